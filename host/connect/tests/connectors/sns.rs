//! The `sns` sink against the fake, which refuses by script, and against moto, which others wrote: there a queue gets what the topic
//! is sent.

use crate::fake_sns::{FakeSns, Turn};
use crate::harness::{self, PATIENCE};
use crate::servers::{MOTO, http};
use crate::sink_suite::{self, records, rows, write_all, write_batches};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use url::form_urlencoded;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink};

fn settings(topic: &str, address: &str, more: &str) -> String {
    format!(
        "topic = \"{topic}\"\nendpoint = \"{address}\"\nstart_timeout = \"300ms\"\naccess_key_id = \"${{SECRET}}\"\n\
         secret_access_key = \"${{SECRET}}\"\n{more}\n"
    )
}

fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    harness::sink("sns", &settings("arn:aws:sns:eu-west-1:1:alarms", address, more)).expect("good settings")
}

fn fifo(address: &str, more: &str) -> Box<dyn Sink> {
    harness::sink("sns", &settings("arn:aws:sns:eu-west-1:1:alarms.fifo", address, more)).expect("good settings")
}

/// Throttles, broken servers, requests that are taken in part, lost answers and expired keys → every row is there, and counts once; only
/// what an answer was lost of is there twice.
#[tokio::test]
async fn every_row_arrives() {
    let fake = FakeSns::start().await;
    let turns = [
        Turn::Except(3, "InternalError", false),
        Turn::Says(400, "Throttling"),
        Turn::Fine,
        Turn::Says(403, "ExpiredToken"),
        Turn::Except(1, "Throttled", true),
        Turn::Says(500, "InternalError"),
    ];
    fake.state().script = turns.into_iter().cycle().take(60).collect();
    let ledger = write_all(sink(fake.address(), ""), &rows(300), 64).await;
    assert!(ledger.retries.load(Relaxed) > 0);
    let texts = fake.texts();
    assert_eq!(texts.len(), 300, "none is there twice");
    assert_eq!(texts.into_iter().collect::<BTreeSet<_>>(), rows(300).into_iter().collect());
    let fake = FakeSns::start().await;
    fake.state().script = [Turn::Lost].into();
    write_all(sink(fake.address(), ""), &rows(10), 10).await;
    assert_eq!(fake.texts().len(), 20);
}

/// A FIFO topic that takes requests in part and loses answers → what comes first of each deduplication id is in order in each group, and
/// complete; another run gives the same ids.
#[tokio::test]
async fn groups_keep_their_order() {
    let fake = FakeSns::start().await;
    let turns = [Turn::Except(2, "Throttled", false), Turn::Lost, Turn::Fine, Turn::Says(500, "InternalError")];
    fake.state().script = turns.into_iter().cycle().take(80).collect();
    let values = |count: usize| (0..count).map(|n| json!({"group": format!("g{}", n % 7), "n": n / 7}).to_string());
    let batch = records(0, values(140));
    let write = || write_batches(fifo(fake.address(), "group_id = \"/group\""), std::slice::from_ref(&batch));
    let ledger = write().await.expect("nothing fatal");
    assert_eq!((ledger.counts().written, ledger.counts().in_flight()), (140, 0));
    let seen = |fake: &FakeSns| {
        let (mut ids, mut groups) = (BTreeSet::new(), BTreeMap::<String, Vec<usize>>::new());
        for (_, message) in &fake.state().messages {
            if ids.insert(message["MessageDeduplicationId"].clone()) {
                let row: Value = serde_json::from_str(&message["Message"]).expect("JSON");
                assert_eq!(row["group"], message["MessageGroupId"]);
                groups
                    .entry(message["MessageGroupId"].clone())
                    .or_default()
                    .push(row["n"].as_u64().expect("a number") as usize);
            }
        }
        (ids, groups)
    };
    let (ids, groups) = seen(&fake);
    assert_eq!((ids.len(), groups.len()), (140, 7));
    assert!(groups.values().all(|numbers| *numbers == (0..20).collect::<Vec<_>>()), "{groups:?}");
    fake.state().script.clear();
    write().await.expect("nothing fatal");
    assert_eq!(seen(&fake).0, ids);
}

/// Templates, attributes and a filter → messages as they were meant; rows that do not pass count as filtered; those that make no message
/// or one that the service refuses are dead letters.
#[tokio::test]
async fn messages_are_as_they_were_meant() {
    let fake = FakeSns::start().await;
    let row = |severity: &str, level: Value, more: Value| {
        json!({"severity": severity, "level": level, "at": more}).to_string()
    };
    let values = [
        row("high", json!(7), json!("Köln\n")),
        row("low", json!(9), json!("x")),
        row("high", json!(2), json!("x")),
        row("high", json!(3.5), json!(null)),
        row("high", json!(4), json!("x".repeat(256 << 10))),
        "no object".to_owned(),
    ];
    let more = "filter = ['/severity = \"high\"', \"/level >= 3\"]\nsubject = \"{/severity} at {/at?}\"\n\
                message = \"Level {/level} at {/at} ({time}).\"\nattributes = { severity = \"/severity\", level = \"/level\", where = \"/none\" }";
    let ledger = write_batches(sink(fake.address(), more), &[records(0, &values)]).await.expect("nothing fatal");
    let counts = ledger.counts();
    assert_eq!((counts.written, counts.filtered, counts.rejected, counts.in_flight()), (1, 2, 3, 0));
    let reasons = ledger.rejects().reasons;
    for reason in ["the field `/at` is missing", "larger than the 256 KiB", "JSON object"] {
        assert!(reasons.keys().any(|found| found.contains(reason)), "{reason}: {reasons:?}");
    }
    let (_, message) = fake.state().messages.pop().expect("a message");
    assert_eq!(message["Message"], "Level 7 at Köln\n (1970-01-01T00:00:00.000Z).");
    assert_eq!(message["Subject"], "high at K?ln");
    let attributes: BTreeSet<_> = (1..=2)
        .map(|at| {
            let part = |name: &str| message[&format!("MessageAttributes.entry.{at}.{name}")].clone();
            (part("Name"), part("Value.DataType"), part("Value.StringValue"))
        })
        .collect();
    let expected = [("level", "Number", "7"), ("severity", "String", "high")];
    assert_eq!(attributes, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())).into());
    assert!(!message.contains_key("MessageAttributes.entry.3.Name"));
    fake.state().script = [Turn::Except(2, "InvalidParameter", true)].into();
    let ledger = write_batches(sink(fake.address(), ""), &[records(0, rows(4))]).await.expect("nothing fatal");
    assert_eq!((ledger.counts().written, ledger.counts().rejected), (2, 2));
    assert_eq!(ledger.rejects().reasons["InvalidParameter: why"], 2);
    fake.state().script =
        [Turn::Says(400, "InvalidParameter"), Turn::Says(400, "InvalidParameter"), Turn::Says(400, "InvalidParameter")]
            .into();
    let ledger = write_batches(sink(fake.address(), ""), &[records(0, rows(4))]).await.expect("nothing fatal");
    assert_eq!((ledger.counts().written, ledger.counts().rejected), (3, 1), "only what is to blame");
}

/// A rate → at no moment more messages have come than a burst and what time has brought; all of them come.
#[tokio::test]
async fn the_rate_is_kept() {
    let fake = FakeSns::start().await;
    let start = tokio::time::Instant::now();
    write_all(sink(fake.address(), "rate = 100\nburst = 10"), &rows(40), 40).await;
    for (number, (at, _)) in fake.state().messages.iter().enumerate() {
        let allowed = 10.0 + 100.0 * at.duration_since(start).as_secs_f64();
        assert!((number as f64) < allowed, "message {number} where {allowed} may have come");
    }
    assert_eq!(fake.texts().len(), 40);
}

/// A right that is taken away and a topic that is deleted, of a request or of single messages → the sink pauses and says why, and goes on
/// once it may.
#[tokio::test]
async fn it_pauses_until_it_is_let_in() {
    for (code, turn) in [
        ("AuthorizationError", Turn::Says(403, "AuthorizationError")),
        ("NotFound", Turn::Says(404, "NotFound")),
        ("KMSAccessDenied", Turn::Except(1, "KMSAccessDenied", true)),
    ] {
        let fake = FakeSns::start().await;
        let ledger = Arc::new(StepLedger::new("out"));
        let mut writer = sink(fake.address(), "").open(Opening::new(ledger.clone())).await.expect("it opens");
        fake.state().script = std::iter::repeat_n(turn, 100_000).collect();
        writer.write(sink_suite::batch(&rows(10))).await.expect("a write");
        let watch = async {
            while !ledger.paused().is_some_and(|reason| reason.contains(code)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fake.state().script.clear();
        };
        let both = async { tokio::join!(writer.flush(), watch).0 };
        tokio::time::timeout(PATIENCE, both).await.expect("in time").expect("it goes on");
        assert_eq!((ledger.paused(), ledger.counts().written, ledger.counts().rejected), (None, 10, 0), "{code}");
        assert_eq!(fake.texts().len(), 10);
    }
}

/// A topic that is not there, or nobody at the address → said when the sink is opened; a topic that may not be looked at is written to.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeSns::start().await;
    fake.state().looks = Some((404, "NotFound"));
    sink_suite::cannot_open(sink(fake.address(), ""), &["topic arn:aws:sns:eu-west-1:1:alarms", "no such topic"]).await;
    fake.state().looks = Some((403, "AuthorizationError"));
    write_all(sink(fake.address(), ""), &rows(3), 3).await;
    assert_eq!(fake.texts().len(), 3);
    let nobody = crate::http::refusing_address().await;
    sink_suite::cannot_open(sink(&nobody, ""), &["gave up after", "alarms", &nobody]).await;
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let text = "topic = \"arn:aws:sqs:eu-west-1:1:queue\"\nsubject = \"{/a\"\nfilter = [\"/a\", \"/b ~ 1\"]\nrate = 0\n\
                attributes = { \"AWS.x\" = \"/a\", ok = \"b\" }\ngroup_id = \"/g\"\ndedup_id = \"d\"\nmessages = 3";
    let problems = harness::sink("sns", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for words in [
        "`topic`",
        "`subject`",
        "\"/a\" is no condition",
        "\"/b ~ 1\" has no relation",
        "`rate`",
        "\"AWS.x\" is no name",
        "`b` must start",
        "are for FIFO topics",
        "`dedup_id`",
        "`messages`",
    ] {
        assert!(messages.iter().any(|message| message.contains(words)), "{words}: {messages:?}");
    }
    let burst =
        harness::sink("sns", &settings("arn:aws:sns:eu-west-1:1:a", "http://x", "burst = 3")).err().expect("a mistake");
    assert!(burst.iter().any(|problem| problem.message.contains("`burst` needs `rate`")), "{burst:?}");
}

/// Asks moto something, for a service.
pub fn ask(service: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let scope = format!("AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/{service}/aws4_request");
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", scope.as_str())];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let (status, _, text) = http::send_with("POST", &format!("{}/", MOTO.url()?), &headers, body.as_bytes());
    assert_eq!(status, 200, "{text}");
    Some(text)
}

fn element(text: &str, name: &str) -> Vec<String> {
    crate::fake_s3::texts(text, name)
}

/// Takes everything out of a queue: what the topic has sent there.
fn drain(queue: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let text = ask("sqs", &[("Action", "ReceiveMessage"), ("QueueUrl", queue), ("MaxNumberOfMessages", "10")])
            .expect("moto");
        let bodies = element(&text, "Body");
        if bodies.is_empty() {
            return all;
        }
        for handle in element(&text, "ReceiptHandle") {
            ask("sqs", &[("Action", "DeleteMessage"), ("QueueUrl", queue), ("ReceiptHandle", &handle)]);
        }
        let plain = |body: &String| {
            body.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        };
        all.extend(bodies.iter().map(|body| serde_json::from_str::<Value>(&plain(body)).expect("JSON")));
    }
}

/// Messages to topics of moto, written twice → a queue behind a standard topic has each twice, one behind a FIFO topic once and in order,
/// with subject and attributes.
#[tokio::test]
async fn into_moto() {
    let Some(url) = MOTO.url() else { return };
    for (name, copies) in [("alarms", 2), ("alarms.fifo", 1)] {
        let is_fifo = copies == 1;
        let fifo = [("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")];
        let mut topic = vec![("Action", "CreateTopic"), ("Name", name)];
        topic.extend(fifo.into_iter().filter(|_| is_fifo));
        let topic = element(&ask("sns", &topic).expect("moto"), "TopicArn").remove(0);
        let fifo = [("Attribute.1.Name", "FifoQueue"), ("Attribute.1.Value", "true")];
        let mut queue = vec![("Action", "CreateQueue"), ("QueueName", name)];
        queue.extend(fifo.into_iter().filter(|_| is_fifo));
        let queue = element(&ask("sqs", &queue).expect("moto"), "QueueUrl").remove(0);
        let arn = topic.replace(":sns:", ":sqs:");
        ask("sns", &[("Action", "Subscribe"), ("TopicArn", &topic), ("Protocol", "sqs"), ("Endpoint", &arn)]);
        let more = "subject = \"alarm {/n}\"\nattributes = { n = \"/n\" }\nmessage = \"<{/n}> & more\"";
        let batch = records(0, rows(25));
        for _ in 0..2 {
            let sink = harness::sink("sns", &settings(&topic, url, more)).expect("good settings");
            let ledger = write_batches(sink, std::slice::from_ref(&batch)).await.expect("nothing fatal");
            assert_eq!(ledger.counts().written, 25);
        }
        let messages = drain(&queue);
        let number = |message: &Value| {
            let n: usize =
                message["MessageAttributes"]["n"]["Value"].as_str().expect("an attribute").parse().expect("a number");
            assert_eq!(message["Subject"], format!("alarm {n}"));
            assert_eq!(message["Message"], format!("<{n}> & more"));
            n
        };
        let mut numbers: Vec<_> = messages.iter().map(number).collect();
        if !is_fifo {
            numbers.sort_unstable();
        }
        let expected: Vec<_> = (0..25).flat_map(|n| std::iter::repeat_n(n, copies)).collect();
        assert_eq!(numbers, expected, "{name}");
    }
}
