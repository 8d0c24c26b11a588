//! The `cloudwatch` sink against a fake, which refuses by script and reads what it is sent by itself, and through it against moto.

use crate::fake_cloudwatch::{FakeCloudWatch, Turn, ask};
use crate::fake_s3::texts;
use crate::harness::{self, PATIENCE};
use crate::servers::MOTO;
use crate::sink_suite::{records, write_batches};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use url::form_urlencoded;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink};
use wasmill_stream::{Batch, Guarantee};

fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    let text = format!(
        "namespace = \"air\"\nregion = \"eu-west-1\"\nendpoint = \"{address}\"\nstart_timeout = \"300ms\"\n\
         access_key_id = \"${{SECRET}}\"\nsecret_access_key = \"${{SECRET}}\"\n{more}\n"
    );
    harness::sink("cloudwatch", &text).expect("good settings")
}

const PM: &str =
    "metric = \"pm25\"\nvalue = \"/v\"\nunit = \"Count\"\nresolution = 1\ndimensions = { station = \"/s\" }";

/// Now, in seconds, at the beginning of a minute.
fn minute() -> i64 {
    jiff::Timestamp::now().as_second() / 60 * 60
}

/// Rows with the times that they have in `at`, seconds.
fn batch(rows: &[(i64, Value)]) -> Arc<Batch> {
    let batch = records(0, rows.iter().map(|(_, row)| row.to_string()));
    Arc::new(Batch { times: rows.iter().map(|(at, _)| at * 1_000).collect(), ..Batch::clone(&batch) })
}

/// Rows of four stations, thirty seconds and a few values.
fn rows(count: usize) -> Vec<(i64, Value)> {
    let start = minute();
    (0..count).map(|n| (start + (n % 30) as i64, json!({"s": format!("s{}", n % 4), "v": n % 7}))).collect()
}

/// Number of values and sum of each station and second.
type Sums = BTreeMap<(String, i64), (f64, f64)>;

fn expected(rows: &[(i64, Value)]) -> Sums {
    let mut sums = Sums::new();
    for (at, row) in rows {
        let sum = sums.entry((row["s"].as_str().expect("a station").to_owned(), *at)).or_default();
        *sum = (sum.0 + 1.0, sum.1 + row["v"].as_f64().expect("a value"));
    }
    sums
}

fn found(fake: &FakeCloudWatch) -> Sums {
    let mut sums = Sums::new();
    for point in &fake.state().points {
        assert_eq!(
            (&point["MetricName"], &point["Unit"], &point["StorageResolution"]),
            (&json!("pm25"), &json!("Count"), &json!(1))
        );
        let dimensions = point["Dimensions"].as_array().expect("dimensions");
        assert_eq!((dimensions.len(), &dimensions[0]["Name"]), (1, &json!("station")));
        let station = dimensions[0]["Value"].as_str().expect("a station").to_owned();
        let sum = sums.entry((station, point["Timestamp"].as_f64().expect("a time") as i64)).or_default();
        let numbers = |name: &str| -> Vec<f64> {
            point[name].as_array().into_iter().flatten().map(|value| value.as_f64().expect("a number")).collect()
        };
        assert!(numbers("Values").len() <= 150);
        for (value, count) in numbers("Values").into_iter().zip(numbers("Counts")) {
            *sum = (sum.0 + count, sum.1 + count * value);
        }
        if let Some(set) = point.get("StatisticValues") {
            *sum = (
                sum.0 + set["SampleCount"].as_f64().expect("a number"),
                sum.1 + set["Sum"].as_f64().expect("a number"),
            );
        }
    }
    sums
}

/// Many rows of few series, as values and as sets, with throttles and broken servers → each row counts once, as a row and in the
/// metric; far fewer data points than rows.
#[tokio::test]
async fn values_are_put_together() {
    for more in ["", "statistics = \"set\"", "gzip = false"] {
        let fake = FakeCloudWatch::start().await;
        assert_eq!(sink(fake.address(), PM).guarantee(), Guarantee::AtLeastOnce);
        fake.state().script =
            [Turn::Says(400, "Throttling"), Turn::Says(500, "InternalServiceFault"), Turn::Says(403, "ExpiredToken")]
                .into();
        let rows = rows(3_000);
        let batches: Vec<_> = rows.chunks(500).map(batch).collect();
        let ledger =
            write_batches(sink(fake.address(), &format!("{PM}\n{more}")), &batches).await.expect("nothing fatal");
        let counts = ledger.counts();
        assert_eq!((counts.written, counts.emitted, counts.rejected, counts.in_flight()), (3_000, 3_000, 0, 0));
        assert!(ledger.retries.load(Relaxed) >= 3);
        assert_eq!(found(&fake), expected(&rows), "{more}");
        assert_eq!(fake.state().points.len(), 60, "one for each station and second");
        let is_zipped = fake.state().requests.iter().any(|(_, is_zipped)| *is_zipped);
        assert_eq!(is_zipped, more != "gzip = false", "{more}");
    }
}

/// More values in a second than a data point has room for, and more series than a request → several, and nothing is missing.
#[tokio::test]
async fn large_ones_are_split() {
    let (fake, start) = (FakeCloudWatch::start().await, minute());
    let mut rows: Vec<_> = (0..700).map(|n| (start, json!({"s": "one", "v": n}))).collect();
    rows.extend((0..2_500).map(|n| (start, json!({"s": format!("s{n}"), "v": 1}))));
    write_batches(sink(fake.address(), &format!("{PM}\nmax_series = 5000")), &[batch(&rows)])
        .await
        .expect("nothing fatal");
    assert_eq!(found(&fake), expected(&rows));
    assert_eq!(fake.state().points.len(), 2_500 + 5);
    assert!(fake.state().requests.len() >= 3);
}

/// An answer that is lost → values count twice, which is what the guarantee says.
#[tokio::test]
async fn lost_answers_count_twice() {
    let fake = FakeCloudWatch::start().await;
    fake.state().script = [Turn::Lost].into();
    let rows = rows(100);
    write_batches(sink(fake.address(), PM), &[batch(&rows)]).await.expect("nothing fatal");
    let doubled: Sums =
        expected(&rows).into_iter().map(|(place, (count, sum))| (place, (2.0 * count, 2.0 * sum))).collect();
    assert_eq!(found(&fake), doubled);
}

/// Rows that are no data points, and a metric that the service refuses → dead letters with reasons, and all others are there.
#[tokio::test]
async fn bad_rows_are_rejected() {
    let (fake, now) = (FakeCloudWatch::start().await, jiff::Timestamp::now().as_second());
    fake.state().script = [Turn::Poison("bad")].into();
    let row = |m: &str, s: Value, v: Value| json!({"m": m, "s": s, "v": v});
    let cases = [
        (now, row("good", json!("a"), json!(1)), ""),
        (now, row("good", json!(7), json!(-2.5)), ""),
        (now, row("bad", json!("a"), json!(1)), "InvalidParameterValue: why"),
        (now, row("good", json!("a"), json!("1")), "wrong type"),
        (now, row("good", json!("a"), json!(1e200)), "-2^360 to 2^360"),
        (now, row("good", json!(null), json!(1)), "the dimension `s` is missing"),
        (now, row("good", json!("Köln"), json!(1)), "the dimension `s` is not"),
        (now, row("good", json!("x".repeat(1_025)), json!(1)), "the dimension `s` is not"),
        (now, row("", json!("a"), json!(1)), "the name of the metric"),
        (now - 15 * 86_400, row("good", json!("a"), json!(1)), "two weeks old"),
        (now + 3 * 3_600, row("good", json!("a"), json!(1)), "two hours ahead"),
    ];
    let rows: Vec<_> = cases.iter().map(|(at, row, _)| (*at, row.clone())).collect();
    let more = "metric = \"{/m}\"\nvalue = \"/v\"\ndimensions = { s = \"/s\" }";
    let ledger = write_batches(sink(fake.address(), more), &[batch(&rows)]).await.expect("nothing fatal");
    let counts = ledger.counts();
    assert_eq!((counts.written, counts.rejected, counts.in_flight()), (2, 9, 0), "{:?}", ledger.rejects());
    for (.., reason) in &cases {
        assert!(
            reason.is_empty() || ledger.rejects().reasons.keys().any(|found| found.contains(reason)),
            "{reason}: {:?}",
            ledger.rejects()
        );
    }
    let state = fake.state();
    let of = |point: &Value| {
        (
            point["Dimensions"][0]["Value"].clone(),
            point["Values"].clone(),
            point["Timestamp"].as_f64().map(|at| at as i64 % 60),
        )
    };
    let points: Vec<_> = state.points.iter().map(of).collect();
    assert_eq!(points.len(), 2);
    for point in [(json!("a"), json!([1.0]), Some(0)), (json!("7"), json!([-2.5]), Some(0))] {
        assert!(points.contains(&point), "{point:?} in {points:?}");
    }
}

/// More series than `max_series` → those that came first keep theirs, all others are one; nothing is lost, and it is said.
#[tokio::test]
async fn series_are_bounded() {
    let (fake, start) = (FakeCloudWatch::start().await, minute());
    let rows: Vec<_> = (0..100).map(|n| (start, json!({"s": format!("s{}", n % 10), "v": 1}))).collect();
    let sink = sink(fake.address(), &format!("{PM}\nmax_series = 3"));
    let ledger = write_batches(sink, &[batch(&rows)]).await.expect("nothing fatal");
    let sums: Vec<_> = found(&fake).into_iter().map(|((station, _), (count, _))| (station, count)).collect();
    let expected = [("other", 70.0), ("s0", 10.0), ("s1", 10.0), ("s2", 10.0)];
    assert_eq!(sums, expected.map(|(station, count)| (station.to_owned(), count)));
    let remark = ledger.remarks().remove("series").expect("it is said");
    assert!(remark.contains("70 rows") && remark.contains("max_series"), "{remark}");
}

/// A right that is taken away → the sink pauses and says why, and goes on once it may.
#[tokio::test]
async fn it_pauses_until_it_is_let_in() {
    let fake = FakeCloudWatch::start().await;
    let ledger = Arc::new(StepLedger::new("out"));
    let mut writer = sink(fake.address(), PM).open(Opening::new(ledger.clone())).await.expect("it opens");
    fake.state().script = std::iter::repeat_n(Turn::Says(403, "AccessDenied"), 100_000).collect();
    let rows = rows(10);
    writer.write(batch(&rows)).await.expect("a write");
    let watch = async {
        while !ledger.paused().is_some_and(|reason| reason.contains("AccessDenied")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fake.state().script.clear();
    };
    let both = async { tokio::join!(writer.flush(), watch).0 };
    tokio::time::timeout(PATIENCE, both).await.expect("in time").expect("it goes on");
    assert_eq!((ledger.paused(), ledger.counts().written), (None, 10));
    assert_eq!(found(&fake), expected(&rows));
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let text = "namespace = \"AWS/EC2\"\nmetric = \"{/m\"\nvalue = \"v\"\nunit = \"count\"\nresolution = 5\n\
                dimensions = { \":x\" = \"/a\", ok = \"b\" }\nstatistics = \"all\"\nmax_series = 0\npoints = 1";
    let problems = harness::sink("cloudwatch", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for words in [
        "`namespace`",
        "`metric`",
        "`value`",
        "no unit \"count\"",
        "`resolution`",
        "\":x\" is no name",
        "`b` must start",
        "`statistics`",
        "`max_series`",
    ] {
        assert!(messages.iter().any(|message| message.contains(words)), "{words}: {messages:?}");
    }
    let unit =
        problems.iter().find(|problem| problem.message.contains("no unit")).and_then(|problem| problem.hint.clone());
    assert_eq!(unit.as_deref(), Some("did you mean \"Count\"?"));
    let missing = harness::sink("cloudwatch", "").err().expect("mistakes");
    for key in ["namespace", "metric", "value"] {
        assert!(
            missing.iter().any(|problem| problem.message.contains(&format!("`{key}` is missing"))),
            "{key}: {missing:?}"
        );
    }
}

/// Metrics of moto, as values and as sets → number, sum, least and greatest value of each station as in the rows.
#[tokio::test]
async fn into_moto() {
    if MOTO.url().is_none() {
        return;
    }
    for (namespace, more) in [("each", ""), ("set", "statistics = \"set\"")] {
        let fake = FakeCloudWatch::start().await;
        fake.state().relays = true;
        let text = format!(
            "namespace = \"{namespace}\"\nregion = \"eu-west-1\"\nendpoint = \"{}\"\naccess_key_id = \"${{SECRET}}\"\n\
             secret_access_key = \"${{SECRET}}\"\n{PM}\n{more}",
            fake.address()
        );
        let rows = rows(600);
        write_batches(harness::sink("cloudwatch", &text).expect("good settings"), &[batch(&rows)])
            .await
            .expect("nothing fatal");
        for station in 0..4 {
            let station = format!("s{station}");
            let (start, end) = (minute() - 600, minute() + 600);
            let time = |second: i64| jiff::Timestamp::from_second(second).expect("a time").to_string();
            let form = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([
                    ("Action", "GetMetricStatistics"),
                    ("Namespace", namespace),
                    ("MetricName", "pm25"),
                    ("Period", "3600"),
                ])
                .extend_pairs([("Dimensions.member.1.Name", "station"), ("Dimensions.member.1.Value", &station)])
                .extend_pairs([("StartTime", &time(start)), ("EndTime", &time(end))])
                .extend_pairs([
                    ("Statistics.member.1", "Sum"),
                    ("Statistics.member.2", "SampleCount"),
                    ("Statistics.member.3", "Maximum"),
                ])
                .finish();
            let answer = ask(&form).expect("moto");
            let number = |name: &str| {
                texts(&answer, name).iter().map(|text| text.parse::<f64>().expect("a number")).sum::<f64>()
            };
            let mine: Vec<_> = rows
                .iter()
                .filter(|(_, row)| row["s"] == station)
                .map(|(_, row)| row["v"].as_f64().expect("a number"))
                .collect();
            assert_eq!(number("Sum"), mine.iter().sum::<f64>(), "{namespace} {station}: {answer}");
            assert_eq!(number("SampleCount"), mine.len() as f64, "{namespace} {station}: {answer}");
        }
    }
}
