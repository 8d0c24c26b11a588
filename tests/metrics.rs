//! The metrics of a host: what they say of a job that is fed row by row, whether all of them are documented, and what a real
//! Prometheus makes of them and of the alerts in `examples/deploy`.

use crate::harness::cells;
use crate::harness::fake_kinesis::{FakeKinesis, FakeShard, Fault, WHOLE};
use crate::harness::fleet::Fleet;
use crate::harness::http::send_with;
use crate::harness::kinesis::ACCESS;
use crate::harness::loopback::{self, Reply};
use crate::harness::metrics::{Metrics, series};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::wasmill;
use crate::harness::prometheus::{Prometheus, promtool};
use crate::harness::root;
use crate::harness::search::Search;
use crate::oracle::windows::Row;
use crate::pipeline::{Input, Pipeline, local};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A second, in milliseconds.
const SECOND: i64 = 1_000;

/// A job that counts rows of a stream in windows of a second.
fn job(fake: &FakeKinesis, search: &Search, dir: &Path) -> String {
    let source = format!(
        "type = \"kinesis\"\nstream = \"trips\"\nendpoint = \"{}\"\nread_interval = \"20ms\"\npoll_interval = \"50ms\"\n\
         on_gap = \"skip\"\n{ACCESS}",
        fake.url
    );
    let sink =
        format!("type = \"opensearch\"\nendpoint = \"{}\"\nindex = \"windows\"\nflush_interval = \"10ms\"", search.url);
    let mut text = cells::job(&source, "disorder = \"0s\"", "window = { tumbling = \"1s\" }", &sink);
    for plugin in ["cell-key", "cell-average"] {
        let folder = root().join("plugins").join(plugin).display().to_string();
        text = text.replace(&folder, &component(plugin).display().to_string());
    }
    let dir = dir.display();
    text.push_str(&format!(
        "[checkpoint]\nto = \"{dir}/checkpoints\"\ninterval = \"100ms\"\n[dead_letter]\ntype = \"file\"\npath = \"{dir}/dead\"\n"
    ));
    text.replace("${out}", &dir.to_string())
}

/// A row of this time.
fn row(time: i64) -> String {
    cells::line(&Row { key: "0|0".to_owned(), time, amount: 1 })
}

/// A job over two shards whose first reads are throttled, with bad records, a sink that does not answer for a while, and a stream
/// that is created again → each of these is seen in the metrics where it happens, in its step, and is over when it is over.
#[test]
fn where_things_happen() {
    let (fleet, fake, search) = (Fleet::new(), FakeKinesis::with_shards(2), Search::start());
    let shards = ["split=\"shardId-000000000000\"", "split=\"shardId-000000000001\""];
    for shard in ["shardId-000000000000", "shardId-000000000001"] {
        fake.state().faults.insert(shard.to_owned(), [Some(Fault::Throttled); 2].into());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let base = now - now % SECOND - 3_600 * SECOND;
    let put = |shard: u64, text: String| fake.state().put(shard * WHOLE.end / 2, text);
    for number in 0..50 {
        (0..2).for_each(|shard| put(shard, row(base + number)));
    }
    (0..3).for_each(|_| put(0, "no JSON".to_owned()));
    fleet.write("job", &job(&fake, &search, fleet.path()));
    let arguments = ["serve", ".", "--listen", "127.0.0.1:0", "--set", "KEY=test"];
    let mut serving = fleet.start_as(wasmill(fleet.path()).args(arguments));
    serving.until("job", "running");
    let (rows, averages, results) = (["step=\"rows\""], ["step=\"averages\""], ["step=\"results\""]);
    let metrics = until("all rows, a watermark and a checkpoint", || {
        let now = Metrics::of(&serving);
        let read = now.find("wasmill_records_in_total", &rows) == Some(103.0);
        let is_there = |shard: &&str| {
            let at = now.find("wasmill_split_watermark_timestamp_seconds", &[*shard, rows[0], "job=\"job\""]);
            let lag = now.find("wasmill_split_lag_seconds", &[*shard]);
            at.map(|at| (at * 1e3).round() as i64) == Some(base + 49) && lag == Some(0.0)
        };
        let caught_up = shards.iter().all(is_there);
        let open = now.find("wasmill_open_windows", &averages).is_some_and(|open| open > 0.0);
        let kept = now.find("wasmill_checkpoint_size_bytes", &[]).is_some_and(|size| size > 0.0);
        (read && caught_up && open && kept).then_some(now)
    });
    for shard in shards {
        assert_eq!(metrics.get("wasmill_split_idle", &[shard]), 0.0);
    }
    assert_eq!(metrics.get("wasmill_dead_letters_total", &["cause=\"undecodable\"", rows[0]]), 3.0);
    assert_eq!(series(&metrics.0, "wasmill_dead_letters_total").len(), 1, "nothing else has gone wrong");
    assert_eq!(metrics.get("wasmill_retries_total", &rows), 4.0);
    assert_eq!(metrics.get("wasmill_open_windows", &averages), 1.0);
    assert!(metrics.get("wasmill_state_bytes", &averages) > 0.0);
    assert!(metrics.find("wasmill_state_bytes", &rows).is_none(), "it keeps none");
    assert!(metrics.get("wasmill_event_time_lag_seconds", &averages) > 3_599.0);
    assert!(metrics.get("wasmill_read_bytes_total", &rows) > 100.0 * 50.0);
    assert!(metrics.get("wasmill_checkpoint_age_seconds", &[]) >= 0.0);
    assert!(metrics.get("wasmill_checkpoint_duration_seconds", &[]) > 0.0);
    assert_eq!(metrics.get("wasmill_checkpoint_failures_total", &[]), 0.0);
    let (up, down) =
        (metrics.get("wasmill_job_uptime_seconds", &[]), metrics.get("wasmill_job_downtime_seconds_total", &[]));
    assert!(up > 0.0 && down > 0.0, "{up} {down}");
    assert!(metrics.get("wasmill_step_time_seconds_total", &["activity=\"busy\"", averages[0]]) > 0.0);
    assert!(metrics.get("wasmill_step_time_seconds_total", &["activity=\"idle\"", averages[0]]) > 0.0);
    let plugin = ["plugin=\"cell-average\"", averages[0]];
    assert!(metrics.get("wasmill_plugin_cpu_seconds_total", &plugin) > 0.0);
    assert!(metrics.get("wasmill_plugin_memory_bytes", &plugin) > 0.0);

    search.set_deaf(true);
    // Row after row, window after window, behind results that nobody takes.
    let held = |now: &Metrics| now.get("wasmill_step_time_seconds_total", &["activity=\"backpressured\"", rows[0]]);
    let (before, mut all, mut window) = (held(&metrics), 103.0, 1);
    until("back-pressure", || {
        window += 1;
        (0..50).for_each(|_| (0..2).for_each(|shard| put(shard, row(base + window * SECOND))));
        all += 100.0;
        let now = Metrics::of(&serving);
        (held(&now) > before && now.get("wasmill_records_in_flight", &results) > 0.0).then_some(())
    });
    search.set_deaf(false);
    let metrics = until("everything", || {
        let now = Metrics::of(&serving);
        let read = now.get("wasmill_records_in_total", &rows) == all;
        (read && now.get("wasmill_records_in_flight", &results) == 0.0).then_some(now)
    });
    let writes = metrics.get("wasmill_sink_write_seconds_count", &results);
    assert_eq!(metrics.get("wasmill_sink_write_seconds_bucket", &["le=\"+Inf\"", results[0]]), writes);
    assert!(writes > 0.0 && metrics.get("wasmill_sink_commit_seconds_count", &results) > 0.0);

    let lost = |now: &Metrics| now.get("wasmill_source_gaps_total", &rows);
    assert_eq!(lost(&metrics), 0.0);
    fake.state().create_again([("shardId-000000000000", FakeShard::default())]);
    until("a gap for each shard", || (lost(&Metrics::of(&serving)) == 2.0).then_some(()));

    assert_eq!(serving.ask("POST", "/api/v1/jobs/job/pause", "").0, 202);
    serving.until("job", "paused");
    let metrics = Metrics::of(&serving);
    assert_eq!(metrics.get("wasmill_state_bytes", &averages), 0.0, "its state is in the checkpoint alone");
    assert!(metrics.find("wasmill_job_uptime_seconds", &[]).is_none());
    let down = |now: &Metrics| now.get("wasmill_job_downtime_seconds_total", &[]);
    assert_eq!(down(&metrics), down(&Metrics::of(&serving)), "a pause is no downtime");
    serving.stop().well();
}

/// Every metric is in the table of `examples/deploy/README.md`, and nothing else is; the alerts know no other metrics either. A
/// client that accepts OpenMetrics gets it.
#[test]
fn the_table_is_complete() {
    let fleet = Fleet::new();
    fleet.allow("acme", "");
    let serving = fleet.start();
    let metrics = Metrics::of(&serving);
    let known: BTreeSet<String> = metrics.families().into_iter().collect();
    let deploy = root().join("examples/deploy");
    let readme = fs::read_to_string(deploy.join("README.md")).expect("it is there");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented = rows.filter(|name| name.starts_with("wasmill_") || name.starts_with("process_"));
    let documented: BTreeSet<String> =
        documented.map(|name| name.split('{').next().unwrap_or(name).to_owned()).collect();
    assert_eq!(known.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "not documented");
    assert_eq!(documented.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "not there");
    let rules = fs::read_to_string(deploy.join("prometheus-rules.yml")).expect("it is there");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used: BTreeSet<&str> = words.filter(|word| word.starts_with("wasmill_")).collect();
    assert!(used.len() > 10 && used.iter().all(|name| known.contains(*name)), "{used:?}");

    let url = serving.url("/metrics");
    let (status, head, text) =
        send_with("GET", &url, &[("Accept", "application/openmetrics-text; version=1.0.0")], b"");
    assert!(status == 200 && head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n") && text.contains("# UNIT wasmill_checkpoint_age_seconds seconds\n"), "{text}");
    let (_, head, text) = send_with("GET", &url, &[], b"");
    assert!(head.contains("text/plain; version=0.0.4") && !text.contains("# UNIT"), "{head}");
    serving.stop().well();
}

/// A real Prometheus with the shipped settings → it takes the names and rules, each alert fires on series such as these, and its
/// answers are the host's numbers, under the names of tenant and job; an alert is on its way for a job that has failed.
#[test]
fn a_real_prometheus() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(3_000), local());
    fleet.write("good", &pipeline.text(None));
    fleet.write("bad", "[engin]\n");
    let mut serving = fleet.start();
    serving.until("good", "finished");
    serving.until("bad", "failed");
    let text = Metrics::of(&serving).0;
    for (arguments, input) in [
        (&["check", "metrics"][..], text.as_str()),
        (&["check", "config", "prometheus.yml"], ""),
        (&["check", "rules", "prometheus-rules.yml"], ""),
        (&["test", "rules", "prometheus-rules-test.yml"], ""),
    ] {
        let Some((content, said)) = promtool(arguments, input) else { return };
        assert!(content, "{arguments:?}: {said}");
    }
    let Some(prometheus) = Prometheus::start(&serving.url("")) else { return };
    let read = until("a scrape", || {
        let read = prometheus.query("wasmill_records_in_total{job=\"good\",step=\"rows\"}");
        (!read.is_empty()).then_some(read)
    });
    let [(labels, value)] = read.as_slice() else { panic!("one series: {read:?}") };
    assert_eq!((labels["job"].as_str(), *value), (Some("good"), 3_000.0), "{labels}");
    assert_eq!(prometheus.query("up{job=\"wasmill\"}")[0].1, 1.0);
    let fates = "sum(wasmill_records_in_total) - sum({__name__=~\"wasmill_records_(emitted|filtered|late|rejected|control)_total\"})";
    assert_eq!(prometheus.query(fates)[0].1, 0.0, "every record is accounted for");
    until("an alert", || {
        let alerts = prometheus.query("ALERTS{alertname=\"WasmillJobFailed\",job=\"bad\"}");
        (!alerts.is_empty()).then_some(())
    });
    assert!(prometheus.query("ALERTS{job=\"good\"}").is_empty(), "nothing is wrong with it");
    let groups = prometheus.get("/api/v1/rules");
    let unhealthy = groups["data"]["groups"].as_array().expect("groups").iter().flat_map(|group| {
        group["rules"].as_array().cloned().unwrap_or_default().into_iter().filter(|rule| rule["health"] == "err")
    });
    assert_eq!(unhealthy.count(), 0, "{groups}");
    serving.stop().well();
}

/// A host that is told of a collector → pushes its metrics there, with the key of the environment; they say what the others say. A
/// collector that fails is said once, and once that it works again.
#[test]
fn pushed_to_a_collector() {
    let (sender, requests) = channel();
    let sender = Mutex::new(sender);
    let fails = Arc::new(AtomicBool::new(false));
    let is_broken = fails.clone();
    let url = loopback::serve(move |request| {
        let status = if is_broken.load(SeqCst) { 503 } else { 200 };
        // The test may have seen enough.
        let _ = sender.lock().expect("no thread panics in here").send(request);
        Reply::Json(status, "{}".to_owned())
    });
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(3_000), local());
    fleet.write("good", &pipeline.text(None));
    let settings = format!("[otlp]\nendpoint = \"{url}/\"\ninterval = \"50ms\"\n");
    fs::write(fleet.path().join("host.toml"), settings).expect("it can be written");
    let mut command = wasmill(fleet.path());
    command.args(["serve", ".", "--listen", "127.0.0.1:0"]).env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=sesame");
    let mut serving = fleet.start_as(&mut command);
    serving.until("good", "finished");
    let pushed = || requests.recv_timeout(Duration::from_secs(300)).expect("a push");
    while requests.try_recv().is_ok() {}
    // That one may have begun before the end.
    pushed();
    let request = pushed();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/metrics"));
    assert_eq!((request.header("api-key"), request.header("content-type")), (Some("sesame"), Some("application/json")));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().expect("metrics");
    let find = |name: &str| metrics.iter().find(|metric| metric["name"] == name).expect(name);
    let attribute = |point: &Value, name: &str| {
        let attributes = point["attributes"].as_array().expect("attributes");
        attributes.iter().find(|one| one["key"] == name).map(|one| one["value"]["stringValue"].clone())
    };
    let of_step = |points: &Value, step: &str| {
        let points = points["dataPoints"].as_array().expect("points");
        points.iter().find(|point| attribute(point, "step") == Some(step.into())).expect(step).clone()
    };
    let read = find("wasmill_records_in");
    assert_eq!((&read["sum"]["isMonotonic"], &read["sum"]["aggregationTemporality"]), (&json!(true), &json!(2)));
    let rows = of_step(&read["sum"], "rows");
    assert_eq!((&rows["asInt"], attribute(&rows, "job")), (&json!("3000"), Some("good".into())));
    let nanos: u128 = rows["timeUnixNano"].as_str().and_then(|nanos| nanos.parse().ok()).expect("a time");
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() - nanos < 600_000_000_000);
    let commits = find("wasmill_sink_commit");
    assert_eq!(commits["unit"], "s");
    let commits = of_step(&commits["histogram"], "folder_averages");
    let counts = commits["bucketCounts"].as_array().expect("counts");
    let number = |count: &Value| count.as_str().and_then(|count| count.parse::<u64>().ok()).expect("a number");
    assert_eq!(counts.iter().map(number).sum::<u64>(), number(&commits["count"]));
    assert_eq!(Some(counts.len()), commits["explicitBounds"].as_array().map(|bounds| bounds.len() + 1));
    fails.store(true, SeqCst);
    until("a complaint", || serving.log().contains("push metrics to").then_some(()));
    (0..3).for_each(|_| drop(pushed()));
    fails.store(false, SeqCst);
    until("its end", || serving.log().contains("/v1/metrics again").then_some(()));
    let log = serving.log();
    assert!(log.matches("push metrics to").count() == 1 && log.contains("status 503"), "{log}");
    serving.stop().well();
}
