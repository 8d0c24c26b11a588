//! What the `kinesis` source must do on every server of Kinesis: ours, and two that others wrote. Each test runs over all that
//! support the call; tests/README.md says what differs.

mod server;

use crate::harness::{self, Heard, Listener};
use crate::kinesis_stream::{KinesisStream, hashes};
use crate::loopback::Reply;
use crate::proxies::{Chance, Proxy, Turn};
use crate::source_suite;
use md5::{Digest, Md5};
use server::{Emulator, Fake, KinesisServer};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wasmill_connect::pack::{Aggregate, UserRecord};
use wasmill_stream::SplitId;
use wasmill_stream::source::{CaughtUp, Resume, Source};

const KEYS: usize = 8;

/// As whom the source subscribes. kinesis-mock says something every second.
const FAN_OUT: &str = "fan_out = \"reader\"\nfan_out_silence = \"20s\"";

/// Runs each test over each server.
macro_rules! on_every_server {
    ($($test:ident),*) => {
        mod the_fake {
            $(#[tokio::test] async fn $test() { super::$test(&super::Fake::start()).await; })*
        }
        mod kinesis_mock {
            $(#[tokio::test] async fn $test() { super::$test(&super::Emulator::kinesis_mock()).await; })*
        }
        mod kinesalite {
            $(#[tokio::test] async fn $test() { super::$test(&super::Emulator::kinesalite()).await; })*
        }
    };
}

on_every_server!(
    keeps_the_promises_of_a_source,
    begins_where_it_should,
    follows_reshards,
    follows_reshards_of_packed_records,
    survives_a_bad_network,
    goes_on_with_the_next_stream,
    is_sent_what_comes
);

/// A stream, and where it is.
struct Stream {
    url: String,
    /// All of them are asked the same.
    admin: KinesisStream,
}

impl Stream {
    /// Creates a stream; `None`: the server cannot be had here.
    async fn create(server: &impl KinesisServer, name: &str, shards: i32) -> Option<Self> {
        let url = server.url()?.to_owned();
        let admin = KinesisStream::create(&url, &server.stream(name), shards).await;
        Some(Self { url, admin })
    }
}

fn source(url: &str, stream: &Stream, more: &str) -> Box<dyn Source> {
    let text = format!(
        "stream = \"{}\"\nregion = \"us-east-1\"\nendpoint = \"{url}\"\nread_interval = \"5ms\"\npoll_interval = \"5ms\"\n\
         access_key_id = \"${{SECRET}}\"\nsecret_access_key = \"${{SECRET}}\"\n{more}",
        stream.admin.name
    );
    harness::source("kinesis", &text).expect("good settings")
}

fn listen(source: Box<dyn Source>, resume: Option<Resume>) -> Listener {
    Listener::go_on(source, 2, 16 << 20, resume)
}

fn count(splits: &BTreeMap<SplitId, Heard>) -> usize {
    splits.values().map(|split| split.records.len()).sum()
}

/// One more record for every key: its number.
async fn put(stream: &Stream, number: usize) {
    for key in 0..KEYS {
        stream.admin.put(&key.to_string(), format!("{key} {number}")).await;
    }
}

/// Asserts that every key's records came once and in order.
fn assert_in_order(records: &[String], numbers: usize) {
    assert_eq!(records.len(), KEYS * numbers);
    for key in 0..KEYS {
        let prefix = format!("{key} ");
        let found: Vec<_> = records.iter().filter_map(|record| record.strip_prefix(&prefix)).collect();
        assert_eq!(found, (0..numbers).map(|number| number.to_string()).collect::<Vec<_>>(), "of key {key}");
    }
}

/// Three shards, pages smaller than a shard → what every source must do.
async fn keeps_the_promises_of_a_source(server: &impl KinesisServer) {
    let Some(stream) = Stream::create(server, "promises", 3).await else { return };
    for number in 0..5 {
        put(&stream, number).await;
    }
    let expected: Vec<_> = (0..KEYS).flat_map(|key| (0..5).map(move |number| format!("{key} {number}"))).collect();
    let tip = || source(&stream.url, &stream, "until = \"tip\"\nmax_records = 4");
    for workers in [1, 2, 4] {
        source_suite::delivers_and_ends(tip(), workers, &expected).await;
    }
    source_suite::survives_a_small_budget(tip(), 2, &expected).await;
    source_suite::stops_while_it_waits(source(&stream.url, &stream, ""), 2).await;
}

/// A start at the oldest record, at a time long ago, at the latest, and behind a position → what should come, and nothing else.
async fn begins_where_it_should(server: &impl KinesisServer) {
    let Some(stream) = Stream::create(server, "starts", 2).await else { return };
    put(&stream, 0).await;
    let long_ago = "start = \"at-timestamp\"\ntimestamp = \"2013-01-01T00:00:00Z\"";
    let mut behind = None;
    for start in ["start = \"trim-horizon\"", long_ago] {
        let mut listener = listen(source(&stream.url, &stream, start), None);
        listener.listen_until(|splits| count(splits) == KEYS && splits.values().all(|split| split.caught_up > 0)).await;
        assert_in_order(&listener.records, 1);
        behind = Some(listener.checkpoint());
        listener.kill();
    }
    let mut listeners = vec![listen(source(&stream.url, &stream, ""), behind)];
    if server.knows_now() {
        // The time of the server is known to the second.
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        listeners.push(listen(source(&stream.url, &stream, "start = \"latest\""), None));
    }
    for listener in &mut listeners {
        listener.listen_until(|splits| splits.len() == 2 && splits.values().all(|split| split.caught_up > 0)).await;
        assert!(listener.records.is_empty());
    }
    put(&stream, 1).await;
    for mut listener in listeners {
        listener.listen_until(|splits| count(splits) == KEYS).await;
        listener.records.sort();
        assert_eq!(listener.records, (0..KEYS).map(|key| format!("{key} 1")).collect::<Vec<_>>());
        listener.kill();
    }
}

/// Reads until so many records are there, few at a time, and stops. Returns the checkpoint and the records.
async fn read(stream: &Stream, resume: Option<Resume>, records: usize, more: &str) -> (Resume, Vec<String>) {
    let few = format!("max_records = 3\n{more}");
    let mut listener = listen(source(&stream.url, stream, &few), resume);
    listener.listen_until(|splits| count(splits) >= records).await;
    let checkpoint = listener.checkpoint();
    let records = std::mem::take(&mut listener.records);
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
    (checkpoint, records)
}

/// A split and a merge → every key's records once and in order; a subscriber too, on a server that ends subscriptions.
async fn follows_reshards(server: &impl KinesisServer) {
    reshard(server, "reshards", false, "").await;
    if server.ends_subscriptions() {
        reshard(&Fake::start(), "subscribed", false, FAN_OUT).await;
    }
}

/// Packed records, some for other shards than they come to, through a split and a merge, with stops inside of what is packed →
/// every key's records once and in order; what is not whole comes as it is.
async fn follows_reshards_of_packed_records(server: &impl KinesisServer) {
    let Some((stream, checkpoint)) = reshard(server, "packed", true, "").await else { return };
    let mut broken = Aggregate::of("0", None, ["lost"]).pack();
    *broken.last_mut().expect("a digest") ^= 1;
    stream.admin.put("0", broken.clone()).await;
    let (_, rest) = read(&stream, Some(checkpoint), 1, "").await;
    assert_eq!(rest, [String::from_utf8_lossy(&broken)]);
}

/// Puts, a split, puts, a merge, puts; the source stops after each step, and once in the middle of what it has to read.
async fn reshard(server: &impl KinesisServer, name: &str, packs: bool, more: &str) -> Option<(Stream, Resume)> {
    let stream = Stream::create(server, name, 2).await?;
    let put = async |number| if packs { put_together(&stream, number).await } else { put(&stream, number).await };
    put(0).await;
    let (checkpoint, mut all) = read(&stream, None, KEYS, more).await;
    put(1).await;
    stream.admin.split().await;
    put(2).await;
    // Whatever this leaves unread is in the parent, in its children, or in both.
    let (checkpoint, records) = read(&stream, Some(checkpoint), KEYS + 1, more).await;
    all.extend(records);
    let (checkpoint, records) = read(&stream, Some(checkpoint), 3 * KEYS - all.len(), more).await;
    all.extend(records);
    put(3).await;
    stream.admin.merge().await;
    put(4).await;
    let (checkpoint, records) = read(&stream, Some(checkpoint), KEYS + 1, more).await;
    all.extend(records);
    let (checkpoint, records) = read(&stream, Some(checkpoint), 5 * KEYS - all.len(), more).await;
    all.extend(records);
    let done = checkpoint.splits.values().filter(|mark| mark.done).count();
    assert_eq!((checkpoint.splits.len(), done), (5, 3), "two shards, two children, one of a merge: {checkpoint:?}");
    assert_in_order(&all, 5);
    Some((stream, checkpoint))
}

/// Packs a record of every key for the shard of the first, as a producer does that knows nothing of a split, and sends those again
/// that came to the wrong shard.
async fn put_together(stream: &Stream, number: usize) {
    let records: Vec<_> = (0..KEYS).map(|key| (key.to_string(), format!("{key} {number}"))).collect();
    let (first, _) = &records[0];
    let user_record = |(at, (_, data)): (u64, &(String, String))| UserRecord {
        partition_key: at,
        hash_key: None,
        data: data.clone().into(),
    };
    let aggregate = Aggregate {
        partition_keys: records.iter().map(|(key, _)| key.clone()).collect(),
        hash_keys: Vec::new(),
        records: (0..).zip(&records).map(user_record).collect(),
    };
    stream.admin.put(first, aggregate.pack()).await;
    let ranges: Vec<_> = stream.admin.open().await.iter().map(hashes).collect();
    let home = |key: &str| {
        let hash = u128::from_be_bytes(Md5::digest(key).into());
        ranges.iter().position(|(low, high)| (*low..=*high).contains(&hash)).expect("every hash has a shard")
    };
    for (key, data) in records.iter().filter(|(key, _)| home(key) != home(first)) {
        stream.admin.put(key, data.clone()).await;
    }
}

/// A proxy in between that throttles, fails, lets iterators expire, cuts answers short and loses them → every record once, those of
/// a key in order.
async fn survives_a_bad_network(server: &impl KinesisServer) {
    let Some(stream) = Stream::create(server, "disturbed", 2).await else { return };
    for number in 0..10 {
        put(&stream, number).await;
    }
    let expired =
        || Turn::Refused(Reply::Json(400, r#"{"__type":"ExpiredIteratorException","message":"by plan"}"#.to_owned()));
    let mut chance = Chance::seeded(7);
    let proxy = Proxy::planned(&stream.url, move |operation| match (operation, chance.below(10)) {
        ("GetRecords", 0) => expired(),
        ("GetRecords" | "GetShardIterator", 1) => Turn::throttle(),
        (_, 2) => Turn::server_error(),
        (_, 3) => Turn::Half,
        (_, 4) => Turn::Silent,
        ("GetRecords", 5) => Turn::Late,
        _ => Turn::Pass,
    });
    let mut listener =
        listen(source(&proxy.url, &stream, "until = \"tip\"\nmax_records = 3\nstart_timeout = \"1m\""), None);
    listener.finish().await.expect("nothing of this is fatal");
    assert_in_order(&listener.records, 10);
    assert!(proxy.disturbed() > 0);
}

/// A stream that is deleted while it is read, and created again: `on_gap = "skip"` → the next one is read from its first record,
/// a gap for each shard.
async fn goes_on_with_the_next_stream(server: &impl KinesisServer) {
    let Some(stream) = Stream::create(server, "again", 2).await else { return };
    put(&stream, 0).await;
    let mut listener = listen(source(&stream.url, &stream, "on_gap = \"skip\""), None);
    listener.listen_until(|splits| count(splits) == KEYS).await;
    stream.admin.delete().await;
    let waits = |listener: &Listener| listener.hold_ups.look().is_some_and(|why| why.contains("deleted: waiting"));
    listener.listen_while(|listener| !waits(listener)).await;
    // Creation is dated to the second, and iterators of one stream are good for the next with some servers.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stream.admin.create_again(3).await;
    put(&stream, 1).await;
    listener.listen_until(|splits| count(splits) == 2 * KEYS).await;
    assert_in_order(&listener.records, 2);
    let of_next = listener.splits.keys().filter(|split| split.part().ends_with("@1")).count();
    assert_eq!((listener.splits.len(), of_next, listener.ledger.gaps.load(Relaxed)), (5, 3, 2));
    listener.kill();
}

/// A registered consumer → it is sent what is there and what comes, goes on from its checkpoint, and polls nothing.
async fn is_sent_what_comes(server: &impl KinesisServer) {
    if !server.pushes() {
        return;
    }
    let Some(stream) = Stream::create(server, "pushed", 2).await else { return };
    put(&stream, 0).await;
    let mut checkpoint = None;
    let mut records = Vec::new();
    for number in 1..3 {
        // A subscription cannot be taken over by its own consumer for five seconds.
        let more = format!("fan_out = \"reader-{number}\"\nfan_out_silence = \"20s\"");
        let mut listener = listen(source(&stream.url, &stream, &more), checkpoint);
        let is_told = |split: &Heard| split.knows == Some(CaughtUp::Looked { again_within: Duration::from_secs(20) });
        listener.listen_until(|splits| splits.len() == 2 && splits.values().all(is_told)).await;
        put(&stream, number).await;
        listener.listen_until(|splits| records.len() + count(splits) == (number + 1) * KEYS).await;
        assert_eq!(listener.ledger.remarks(), BTreeMap::new());
        records.append(&mut listener.records);
        checkpoint = Some(listener.checkpoint());
        listener.kill();
    }
    assert_in_order(&records, 3);
}
