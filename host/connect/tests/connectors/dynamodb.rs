//! The `dynamodb` sink against the fake, which refuses by script, and against moto, which others wrote.

use crate::fake_dynamodb::{FakeDynamoDb, Turn};
use crate::harness::{self, PATIENCE};
use crate::servers::{MOTO, http};
use crate::sink_suite::{self, records, write_all, write_batches};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink};

const NUMBER: [(&str, &str, &str); 1] = [("n", "HASH", "N")];

fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    let text = format!(
        "table = \"alarms\"\nregion = \"eu-west-1\"\nendpoint = \"{address}\"\nstart_timeout = \"300ms\"\n\
         access_key_id = \"${{SECRET}}\"\nsecret_access_key = \"${{SECRET}}\"\n{more}\n"
    );
    harness::sink("dynamodb", &text).expect("good settings")
}

/// Updates of so many keys in turns, each with a greater version than the one before.
fn updates(count: usize, keys: usize) -> Vec<String> {
    (0..count).map(|at| json!({"n": at % keys, "version": at}).to_string()).collect()
}

/// The versions in the table by key.
fn versions(fake: &FakeDynamoDb) -> BTreeMap<usize, usize> {
    let number = |item: &Value, name: &str| item[name]["N"].as_str().expect("a number").parse().expect("a number");
    fake.state().items.values().map(|item| (number(item, "n"), number(item, "version"))).collect()
}

/// The last version of each key.
fn expected(count: usize, keys: usize) -> BTreeMap<usize, usize> {
    (0..count).map(|at| (at % keys, at)).collect()
}

/// Throttles, broken servers, items that are left out, lost answers and expired keys, in many batches → each row counts once, and
/// each key has the item that came last.
#[tokio::test]
async fn the_last_one_stays() {
    let fake = FakeDynamoDb::start(&NUMBER).await;
    let turns = [
        Turn::Unprocessed(2),
        Turn::Lost,
        Turn::Fine,
        Turn::Says(400, "ProvisionedThroughputExceededException"),
        Turn::Unprocessed(1),
        Turn::Says(500, "InternalServerError"),
        Turn::Says(400, "ExpiredTokenException"),
        Turn::Fine,
    ];
    fake.state().script = turns.into_iter().cycle().take(40).collect();
    let ledger = write_all(sink(fake.address(), ""), &updates(2_000, 90), 64).await;
    assert!(ledger.retries.load(Relaxed) > 0);
    assert_eq!(versions(&fake), expected(2_000, 90));
    assert!(fake.state().requests.contains(&25), "{:?}", fake.state().requests);
}

/// One key a thousand times → far fewer requests, and the last one is there.
#[tokio::test]
async fn repeats_of_a_key_take_the_place_of_each_other() {
    let fake = FakeDynamoDb::start(&NUMBER).await;
    write_all(sink(fake.address(), ""), &updates(1_000, 1), 100).await;
    assert_eq!((versions(&fake), fake.state().requests.as_slice()), (expected(1_000, 1), &[1][..]));
}

/// Versions in the wrong order and twice, with lost answers → the greatest of each key is there, all rows count as written, and it is
/// said how many were outdated.
#[tokio::test]
async fn the_newest_one_stays() {
    let fake = FakeDynamoDb::start(&NUMBER).await;
    let turns = [Turn::Fine, Turn::Lost, Turn::Says(400, "ThrottlingException")];
    fake.state().script = turns.into_iter().cycle().take(60).collect();
    let mut rows = updates(300, 40);
    rows.reverse();
    rows.extend(updates(50, 40));
    let ledger = write_all(sink(fake.address(), "version = \"/version\""), &rows, 64).await;
    assert_eq!(versions(&fake), expected(300, 40));
    let remark = ledger.remarks().remove("versions").expect("it is said");
    assert!(remark.contains("items were not written"), "{remark}");
}

/// Rows that are no items, and one that the table refuses → dead letters with reasons, and all others are there; what a refused item
/// would have taken the place of stays.
#[tokio::test]
async fn bad_rows_are_rejected() {
    let fake = FakeDynamoDb::start(&[("id", "HASH", "S"), ("n", "RANGE", "N")]).await;
    let row = |id: Value, n: Value| json!({"user": {"id": id}, "n": n}).to_string();
    let large = json!({"user": {"id": "a"}, "n": 0, "pad": "x".repeat(400 << 10)}).to_string();
    let poison = json!({"user": {"id": "a"}, "n": 1, "poison": true}).to_string();
    let long = format!("{{\"user\":{{\"id\":\"a\"}},\"n\":1,\"x\":{}}}", "7".repeat(39));
    let values = [
        (row(json!("a"), json!(1)), ""),
        (row(json!(7), json!(2.50)), ""),
        ("no object".to_owned(), "not a JSON object"),
        (row(json!(""), json!(1)), "the key `id` is empty"),
        (row(json!("x".repeat(2_049)), json!(1)), "more than 2048 bytes"),
        (row(json!(null), json!(1)), "the key `id` is missing"),
        (row(json!("a"), json!("1")), "the key `n` is no number"),
        (row(json!([1]), json!(1)), "no text and no number"),
        (large, "larger than the 400 KB"),
        (long, "38 digits"),
        (poison, "ValidationException: why"),
    ];
    let batch = records(90_061_000, values.iter().map(|(row, _)| row));
    let more = "partition_key = \"/user/id\"\nttl = \"1d\"\nttl_attribute = \"expires\"";
    let ledger = write_batches(sink(fake.address(), more), &[batch]).await.expect("nothing fatal");
    assert_eq!((ledger.counts().written, ledger.counts().rejected, ledger.counts().in_flight()), (2, 9, 0));
    let reasons = ledger.rejects().reasons;
    for (_, reason) in values.iter().filter(|(_, reason)| !reason.is_empty()) {
        assert!(reasons.keys().any(|found| found.contains(reason)), "{reason}: {reasons:?}");
    }
    let items: Vec<_> = fake.state().items.values().cloned().collect();
    let item = |id: &str, user: Value, n: &str| json!({"id": {"S": id}, "user": {"M": {"id": user}}, "n": {"N": n}, "expires": {"N": "176461"}});
    assert_eq!(items, [item("7", json!({"N": "7"}), "2.5"), item("a", json!({"S": "a"}), "1")]);
}

/// Tables that are not there, have other keys, or nobody at the address → said when the sink is opened.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeDynamoDb::start(&NUMBER).await;
    let more = "sort_key = \"/at\"\npartition_key = \"/n\"";
    sink_suite::cannot_open(sink(fake.address(), more), &["table alarms in eu-west-1", "no sort key"]).await;
    fake.state().description["TableStatus"] = "DELETING".into();
    sink_suite::cannot_open(sink(fake.address(), ""), &["the table is DELETING"]).await;
    fake.state().description = Value::Null;
    sink_suite::cannot_open(sink(fake.address(), ""), &["table alarms", "no such table"]).await;
    let binary = FakeDynamoDb::start(&[("n", "HASH", "B")]).await;
    sink_suite::cannot_open(sink(binary.address(), ""), &["`n` is neither a string nor a number"]).await;
    let nobody = crate::http::refusing_address().await;
    sink_suite::cannot_open(sink(&nobody, ""), &["gave up after", "table alarms", &nobody]).await;
}

/// A right that is taken away, and a table that is deleted, while rows come → the sink pauses and says why, and goes on once it may.
#[tokio::test]
async fn it_pauses_until_it_is_let_in() {
    for more in ["", "version = \"/version\""] {
        for code in ["AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"] {
            let fake = FakeDynamoDb::start(&NUMBER).await;
            let ledger = Arc::new(StepLedger::new("out"));
            let mut writer = sink(fake.address(), more).open(Opening::new(ledger.clone())).await.expect("it opens");
            fake.state().script = std::iter::repeat_n(Turn::Says(400, code), 100_000).collect();
            writer.write(sink_suite::batch(&updates(10, 10))).await.expect("a write");
            let watch = async {
                while !ledger.paused().is_some_and(|reason| reason.contains(code)) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                fake.state().script.clear();
            };
            let both = async { tokio::join!(writer.flush(), watch).0 };
            tokio::time::timeout(PATIENCE, both).await.expect("in time").expect("it goes on");
            assert_eq!((ledger.paused(), ledger.counts().written, ledger.counts().rejected), (None, 10, 0), "{code}");
            assert_eq!(versions(&fake), expected(10, 10));
        }
    }
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let text = "table = \"arn:aws:sns:eu-west-1:1:topic\"\npartition_key = \"id\"\nversion = \"/a/b\"\nttl = \"1d\"\n\
                endpoint = \"localhost\"\nconcurrency = 0\nbatch = 3";
    let problems = harness::sink("dynamodb", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for key in ["`table`", "`partition_key`", "`version`", "`ttl`", "`endpoint`", "`concurrency`", "`batch`"] {
        assert!(messages.iter().any(|message| message.contains(key)), "{key}: {messages:?}");
    }
    let missing = harness::sink("dynamodb", "").err().expect("a mistake");
    assert!(missing.iter().any(|problem| problem.message.contains("`table` is missing")), "{missing:?}");
}

/// What moto answers.
pub fn moto(action: &str, body: &Value) -> Option<Value> {
    let headers = [
        ("X-Amz-Target", format!("DynamoDB_20120810.{action}")),
        ("Content-Type", "application/x-amz-json-1.0".to_owned()),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/dynamodb/aws4_request".to_owned()),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (status, _, text) =
        http::send_with("POST", &format!("{}/", MOTO.url()?), &headers, body.to_string().as_bytes());
    assert_eq!(status, 200, "{text}");
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Items in a table of moto, with versions and without → the same attributes as in the rows, and the newest of each key.
#[tokio::test]
async fn into_moto() {
    for (name, more) in [("plain", ""), ("versioned", "version = \"/version\"")] {
        let types =
            json!([{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}]);
        let schema = json!([{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}]);
        let create = json!({"TableName": name, "AttributeDefinitions": types, "KeySchema": schema, "BillingMode": "PAY_PER_REQUEST"});
        if moto("CreateTable", &create).is_none() {
            return;
        }
        let url = MOTO.url().expect("it was there");
        let row = |at: usize| {
            json!({"id": format!("k{}", at % 30), "n": at % 2, "version": at, "l": [at, null, {"é": true}], "f": 0.1})
                .to_string()
        };
        let rows: Vec<_> = (0..200).map(row).collect();
        let sink = harness::sink(
            "dynamodb",
            &format!(
                "table = \"{name}\"\nregion = \"eu-west-1\"\nendpoint = \"{url}\"\naccess_key_id = \"${{SECRET}}\"\n\
             secret_access_key = \"${{SECRET}}\"\n{more}\n"
            ),
        );
        write_all(sink.expect("good settings"), &rows, 64).await;
        let found = moto("Scan", &json!({"TableName": name, "ConsistentRead": true})).expect("it was there");
        let mut versions = BTreeMap::new();
        for item in found["Items"].as_array().expect("items") {
            let at: usize = item["version"]["N"].as_str().expect("a number").parse().expect("a number");
            let id = format!("k{}", at % 30);
            let list = json!([{"N": at.to_string()}, {"NULL": true}, {"M": {"é": {"BOOL": true}}}]);
            assert_eq!(item["l"]["L"], list);
            assert_eq!((&item["id"]["S"], &item["f"]["N"]), (&json!(id), &json!("0.1")));
            versions.insert((at % 30, at % 2), at);
        }
        let expected: BTreeMap<_, _> = (0..200).map(|at| ((at % 30, at % 2), at)).collect();
        assert_eq!(versions, expected, "{name}");
    }
}
