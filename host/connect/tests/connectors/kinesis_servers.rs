//! The `kinesis` source through a split and a merge, with restarts, on servers that others wrote; with records as they are,
//! and with user records that were packed by a producer.

use crate::harness::{self, Heard, Listener, PATIENCE};
use crate::servers::{KINESALITE, KINESIS_LOCAL, Server};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{Shard, StreamStatus};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::time::Duration;
use wasmill_connect::pack::{Aggregate, UserRecord};
use wasmill_stream::SplitId;
use wasmill_stream::source::Resume;

const KEYS: usize = 8;

/// The writer's side of the stream.
struct Writer {
    client: Client,
    stream: &'static str,
    /// Whether it packs records.
    packs: bool,
    /// How many records each key has.
    written: usize,
}

impl Writer {
    async fn create(url: &str, stream: &'static str, packs: bool) -> Self {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url(url)
            .build();
        let writer = Self { client: Client::from_conf(config), stream, packs, written: 0 };
        writer.client.create_stream().stream_name(stream).shard_count(2).send().await.expect("the stream is new");
        writer.settle().await;
        writer
    }

    /// Waits until the stream takes the next change.
    async fn settle(&self) {
        let settled = async {
            loop {
                let described = self.client.describe_stream_summary().stream_name(self.stream).send().await;
                let summary = described.expect("the stream is there").stream_description_summary;
                if summary.is_some_and(|summary| summary.stream_status == StreamStatus::Active) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("the stream becomes active");
    }

    /// One more record for every key.
    async fn put(&mut self) {
        let records: Vec<_> = (0..KEYS).map(|key| (key.to_string(), format!("{key} {}", self.written))).collect();
        let again = if self.packs { self.put_together(&records).await } else { records };
        for (key, data) in again {
            self.put_one(&key, data.into_bytes()).await;
        }
        self.written += 1;
    }

    async fn put_one(&self, key: &str, data: Vec<u8>) {
        let put = self.client.put_record().stream_name(self.stream).partition_key(key).data(Blob::new(data));
        put.send().await.expect("a record");
    }

    /// Packs all records for the shard of the first, as a producer does that knows nothing of a split. Returns those that came
    /// to the wrong shard, which it sends again.
    async fn put_together(&self, records: &[(String, String)]) -> Vec<(String, String)> {
        let (first, _) = &records[0];
        let user_record = |(at, (_, data)): (u64, &(String, String))| UserRecord {
            partition_key: at,
            hash_key: None,
            data: data.clone().into(),
        };
        let aggregate = Aggregate {
            partition_keys: records.iter().map(|(key, _)| key.clone()).collect(),
            hash_keys: Vec::new(),
            records: (0..).zip(records).map(user_record).collect(),
        };
        self.put_one(first, aggregate.pack()).await;
        let ranges: Vec<_> = self.open().await.iter().map(hashes).collect();
        let home = |key: &str| {
            let hash = u128::from_be_bytes(Md5::digest(key).into());
            ranges.iter().position(|(low, high)| (*low..=*high).contains(&hash)).expect("every hash has a shard")
        };
        records.iter().filter(|(key, _)| home(key) != home(first)).cloned().collect()
    }

    /// The shards that can be written to, in the order of their hashes.
    async fn open(&self) -> Vec<Shard> {
        let listed = self.client.list_shards().stream_name(self.stream).send().await.expect("a list");
        let is_open =
            |shard: &Shard| shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none());
        let mut shards: Vec<_> = listed.shards().iter().filter(|shard| is_open(shard)).cloned().collect();
        shards.sort_by_key(|shard| hashes(shard).0);
        shards
    }

    async fn split(&self) {
        let shard = self.open().await.remove(0);
        let (low, high) = hashes(&shard);
        let split = self.client.split_shard().stream_name(self.stream).shard_to_split(shard.shard_id());
        split.new_starting_hash_key(low.midpoint(high).to_string()).send().await.expect("a split");
        self.settle().await;
    }

    async fn merge(&self) {
        let shards = self.open().await;
        let merge = self.client.merge_shards().stream_name(self.stream).shard_to_merge(shards[0].shard_id());
        merge.adjacent_shard_to_merge(shards[1].shard_id()).send().await.expect("a merge");
        self.settle().await;
    }
}

fn hashes(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("every shard has hashes");
    let number = |text: &str| text.parse().expect("a number");
    (number(range.starting_hash_key()), number(range.ending_hash_key()))
}

/// Reads until so many records are there, and stops. Returns the checkpoint and the records.
async fn read(writer: &Writer, url: &str, resume: Option<Resume>, records: usize) -> (Resume, Vec<String>) {
    // Few rows at a time, so that reading stops inside of what was packed.
    let text = format!(
        "stream = \"{}\"\nmax_records = 3\nregion = \"us-east-1\"\nendpoint = \"{url}\"\nread_interval = \"5ms\"\n\
         poll_interval = \"5ms\"\naccess_key_id = \"${{SECRET}}\"\nsecret_access_key = \"${{SECRET}}\"",
        writer.stream
    );
    let source = harness::source("kinesis", &text).expect("good settings");
    let mut listener = Listener::go_on(source, 2, 16 << 20, resume);
    let count = |splits: &BTreeMap<SplitId, Heard>| splits.values().map(|split| split.records.len()).sum::<usize>();
    listener.listen_until(|splits| count(splits) >= records).await;
    let checkpoint = listener.checkpoint();
    let records = std::mem::take(&mut listener.records);
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
    (checkpoint, records)
}

/// Puts, a split, puts, a merge, puts; the source stops after each step, and once in the middle of what it has to read.
async fn reshard(server: &Server, stream: &'static str, packs: bool) {
    let Some(url) = server.url() else { return };
    let mut writer = Writer::create(url, stream, packs).await;
    writer.put().await;
    let (checkpoint, mut all) = read(&writer, url, None, KEYS).await;
    writer.put().await;
    writer.split().await;
    writer.put().await;
    // Whatever this leaves unread is in the parent, in its children, or in both.
    let (checkpoint, records) = read(&writer, url, Some(checkpoint), KEYS + 1).await;
    all.extend(records);
    let (checkpoint, records) = read(&writer, url, Some(checkpoint), 3 * KEYS - all.len()).await;
    all.extend(records);
    writer.put().await;
    writer.merge().await;
    writer.put().await;
    let (checkpoint, records) = read(&writer, url, Some(checkpoint), KEYS + 1).await;
    all.extend(records);
    let (checkpoint, records) = read(&writer, url, Some(checkpoint), 5 * KEYS - all.len()).await;
    all.extend(records);
    let done = checkpoint.splits.values().filter(|mark| mark.done).count();
    assert_eq!((checkpoint.splits.len(), done), (5, 3), "two shards, two children, one of a merge: {checkpoint:?}");
    for key in 0..KEYS {
        let prefix = format!("{key} ");
        let numbers: Vec<_> = all.iter().filter_map(|record| record.strip_prefix(&prefix)).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4"], "of key {key}");
    }
    let mut broken = Aggregate::of("0", None, ["lost"]).pack();
    *broken.last_mut().expect("a digest") ^= 1;
    writer.put_one("0", broken.clone()).await;
    let (_, rest) = read(&writer, url, Some(checkpoint), 1).await;
    assert_eq!(rest, [String::from_utf8_lossy(&broken)], "what is not whole comes as it is");
}

/// A split and a merge on kinesis-mock, which names children → every key's records once and in order.
#[tokio::test]
async fn kinesis_mock() {
    reshard(&KINESIS_LOCAL, "reshards", false).await;
}

/// A split and a merge on kinesalite, which does not → every key's records once and in order.
#[tokio::test]
async fn kinesalite() {
    reshard(&KINESALITE, "reshards", false).await;
}

/// Packed records, some for other shards than they come to, through a split and a merge on kinesis-mock → every key's
/// records once and in order.
#[tokio::test]
async fn kinesis_mock_packed() {
    reshard(&KINESIS_LOCAL, "packed", true).await;
}

/// Packed records, some for other shards than they come to, through a split and a merge on kinesalite → every key's
/// records once and in order.
#[tokio::test]
async fn kinesalite_packed() {
    reshard(&KINESALITE, "packed", true).await;
}
