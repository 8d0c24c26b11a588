//! The `kinesis` sink against the fake, which refuses by script and by its limits. What was written is read back by the source.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Limits, PutFault, hash_key};
use crate::harness::{self, Listener};
use crate::kinesis::{listen, settings, source};
use crate::sink_suite::{self, records, write_all, write_batches};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wasmill_stream::sink::Sink;

const KEYS: usize = 8;

fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    let settings =
        settings(address, more).replace("read_interval = \"1ms\"\n", "").replace("poll_interval = \"1ms\"\n", "");
    harness::sink("kinesis", &settings).expect("good settings")
}

/// Rows of several keys, numbered within each key.
fn rows(count: usize) -> Vec<String> {
    (0..count).map(|at| json!({"key": format!("key {}", at % KEYS), "n": at / KEYS}).to_string()).collect()
}

/// Everything in the stream, as the source reads it.
async fn read(fake: &FakeKinesis) -> Vec<String> {
    let mut listener = listen(source(&fake.url, "until = \"tip\""));
    listener.finish().await.expect("all is read");
    listener.records
}

/// The numbers of each key, in the order of the stream.
fn numbers(rows: &[String]) -> BTreeMap<String, Vec<u64>> {
    let mut numbers = BTreeMap::<String, Vec<u64>>::new();
    for row in rows {
        let row: Value = serde_json::from_str(row).expect("JSON");
        let key = row["key"].as_str().expect("a key").to_owned();
        numbers.entry(key).or_default().push(row["n"].as_u64().expect("a number"));
    }
    numbers
}

/// Asserts that the numbers of each key are those of so many rows, in order, each once.
fn assert_in_order(read: &[String], rows: usize) {
    let numbers = numbers(read);
    assert_eq!(numbers.len(), KEYS);
    for (key, found) in numbers {
        assert_eq!(found, (0..(rows / KEYS) as u64).collect::<Vec<_>>(), "{key}");
    }
}

const BY_KEY: &str = "partition_key = \"/key\"\n";

/// Answers that are lost behind what was stored → rows come twice, with the ids that they had before, and what comes first of
/// each is in order.
#[tokio::test]
async fn doubles_have_the_same_id() {
    let fake = FakeKinesis::with_shards(4);
    let faults = [Some(PutFault::StoredButBroken), None, Some(PutFault::StoredButHungUp), None];
    fake.state().puts_meet(faults.into_iter().cycle().take(20));
    write_all(sink(&fake.url, &format!("{BY_KEY}dedup = \"id\"")), &rows(160), 40).await;
    let all = read(&fake).await;
    assert!(all.len() > 160, "some are there twice: {}", all.len());
    let mut seen = BTreeSet::new();
    let id = |row: &String| serde_json::from_str::<Value>(row).expect("JSON")["id"].to_string();
    let once: Vec<_> = all.into_iter().filter(|row| seen.insert(id(row))).collect();
    assert_in_order(&once, 160);
}

/// A shard that is split, and two that are merged, while a producer packs for those that it knows → every row is read once,
/// and those of a key in order.
#[tokio::test]
async fn packed_rows_find_their_shards() {
    let fake = FakeKinesis::with_shards(2);
    let (mut writer, _) = sink_suite::open(sink(&fake.url, &format!("{BY_KEY}aggregate = true"))).await;
    // So many that some wait behind those which come to the wrong shard.
    let rows = rows(12_000);
    let mut listener = listen(source(&fake.url, ""));
    for (round, rows) in rows.chunks(4_000).enumerate() {
        writer.write(sink_suite::batch(rows)).await.expect("a write");
        let open = fake.state().open();
        match round {
            0 => fake.state().split(&open[0]),
            1 => fake.state().merge(&open[1], &open[2]),
            _ => {}
        }
        writer.flush().await.expect("a flush");
    }
    let count = |listener: &Listener| listener.splits.values().map(|split| split.records.len()).sum::<usize>();
    while count(&listener) < rows.len() {
        listener.hear_next(0).await;
    }
    assert_in_order(&listener.records, rows.len());
    listener.kill();
    // And nothing comes twice.
    assert_eq!(read(&fake).await.len(), rows.len());
}

/// Ten times what two shards take in a second, at the limits of AWS → all of it, in order.
#[tokio::test]
async fn limits_are_kept() {
    let fake = FakeKinesis::with_shards(2);
    fake.state().limits = Some(Limits::of_aws());
    let pad = "x".repeat(2_000);
    let rows: Vec<_> =
        rows(1_600).into_iter().map(|row| row.replacen('{', &format!("{{\"pad\":\"{pad}\","), 1)).collect();
    write_all(sink(&fake.url, &format!("{BY_KEY}aggregate = true")), &rows, 400).await;
    fake.state().limits = None;
    assert_in_order(&read(&fake).await, 1_600);
}

/// More than two shards take in a second, in bytes or in records, into a stream that would take it all at once → at no moment has
/// a shard been sent more than it takes.
#[tokio::test]
async fn no_shard_is_written_too_fast() {
    for (packs, count, pad) in [(true, 1_600, 2_000), (false, 3_000, 0)] {
        let fake = FakeKinesis::with_shards(2);
        let since = fake.state().clock.now();
        let pad = "x".repeat(pad);
        let rows: Vec<_> = (0..count).map(|n| json!({"key": n.to_string(), "pad": pad}).to_string()).collect();
        write_all(sink(&fake.url, &format!("{BY_KEY}aggregate = {packs}")), &rows, 400).await;
        for shard in fake.state().shards.values() {
            let (mut records, mut bytes) = (0.0, 0.0);
            for record in &shard.records {
                // A second's worth at once, and then what time brings; the last request may overdraw.
                let seconds = 1.0 + (record.arrived - since + 1) as f64 / 1e3;
                (records, bytes) = (records + 1.0, bytes + record.size() as f64);
                assert!(records <= 1_000.0 * seconds + 1.0, "{records} records in {seconds} s");
                assert!(bytes <= f64::from(1 << 20) * seconds + f64::from(64 << 10), "{bytes} bytes in {seconds} s");
            }
        }
    }
}

/// Partition keys that are texts or numbers, hash keys that say which shard, and rows that have neither, are no objects or too
/// large → the shards that were meant, and the others rejected with reasons.
#[tokio::test]
async fn rows_say_where_they_go() {
    let fake = FakeKinesis::start([
        ("low", FakeShard { hashes: 0..8, ..FakeShard::default() }),
        ("high", FakeShard { hashes: 8..1 << 32, ..FakeShard::default() }),
    ]);
    let row = |key: Value, hash: u128| json!({"key": key, "at": {"hash": hash.to_string()}}).to_string();
    let large = json!({"key": "x".repeat(1 << 20), "at": {"hash": "1"}}).to_string();
    let values = [
        row(json!("text"), 5),
        row(json!(7), hash_key(9)),
        row(json!("last"), u128::MAX),
        row(json!(1.5), 1),
        json!({"key": "k", "at": {"hash": -1}}).to_string(),
        "no object".to_owned(),
        large,
    ];
    let more = "partition_key = \"/key\"\nexplicit_hash_key = \"/at/hash\"\ndedup = \"id\"";
    let ledger = write_batches(sink(&fake.url, more), &[records(0, values)]).await.expect("nothing fatal");
    assert_eq!((ledger.counts().written, ledger.counts().rejected), (3, 4));
    let reasons = ledger.rejects().reasons;
    for (reason, count) in [("the partition key", 2), ("the explicit hash key", 1), ("larger than", 1)] {
        let found = reasons.iter().find(|(text, _)| text.contains(reason)).map(|(_, count)| *count);
        assert_eq!(found, Some(count), "{reason}: {reasons:?}");
    }
    let state = fake.state();
    let keys = |id: &str| state.shards[id].records.iter().map(|record| record.key.clone()).collect::<Vec<_>>();
    assert_eq!((keys("low"), keys("high")), (vec!["text".to_owned()], vec!["7".to_owned(), "last".to_owned()]));
    let text = String::from_utf8_lossy(&state.shards["low"].records[0].data).into_owned();
    assert!(text.starts_with("{\"id\":\"|in|in/0|0\",\"at\":"), "{text}");
}

/// A stream that is not there, or nobody at its address → said when the sink is opened, with stream, region and address.
#[tokio::test]
async fn refusals_name_everything() {
    let fake = FakeKinesis::with_shards(1);
    let misspelt = settings(&fake.url, "").replace("\"trips\"", "\"trisp\"");
    let misspelt = misspelt.replace("read_interval = \"1ms\"\n", "").replace("poll_interval = \"1ms\"\n", "");
    let misspelt = harness::sink("kinesis", &misspelt).expect("good settings");
    sink_suite::cannot_open(misspelt, &["stream trisp", "eu-west-1", &fake.url, "ResourceNotFoundException"]).await;
    let nobody = crate::http::refusing_address().await;
    sink_suite::cannot_open(sink(&nobody, ""), &["gave up after", "stream trips", &nobody]).await;
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let text = "stream = \"arn:aws:s3:::bucket\"\nendpoint = \"localhost\"\npartition_key = \"key\"\nshards = 3";
    let problems = harness::sink("kinesis", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for key in ["`stream`", "`endpoint`", "`partition_key`", "`shards`"] {
        assert!(messages.iter().any(|message| message.contains(key)), "{key}: {messages:?}");
    }
}
