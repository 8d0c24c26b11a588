//! A stream on some server of Kinesis, and whoever writes into it and looks after it, through the SDK of AWS. The tests of the
//! connectors use it, too.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, StreamStatus};
use std::time::Duration;

/// Far longer than a server takes to change a stream.
const LIMIT: Duration = Duration::from_secs(300);
/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// PutRecords takes no more.
const RECORDS: usize = 500;

/// A stream.
pub struct KinesisStream {
    /// Its name.
    pub name: String,
    client: Client,
}

impl KinesisStream {
    /// One that is there, or is to be.
    pub fn of(url: &str, name: &str) -> Self {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url(url)
            .build();
        Self { name: name.to_owned(), client: Client::from_conf(config) }
    }

    /// A new one.
    pub async fn create(url: &str, name: &str, shards: i32) -> Self {
        let stream = Self::of(url, name);
        stream.create_anew(shards).await;
        stream
    }

    async fn create_anew(&self, shards: i32) {
        let create = self.client.create_stream().stream_name(&self.name).shard_count(shards);
        create.send().await.expect("the stream is new");
        self.settle().await;
    }

    /// Deletes the stream.
    pub async fn delete(&self) {
        self.client.delete_stream().stream_name(&self.name).send().await.expect("the stream is there");
    }

    /// Creates the stream again once it is deleted.
    pub async fn create_again(&self, shards: i32) {
        let deleted = async {
            while self.client.describe_stream_summary().stream_name(&self.name).send().await.is_ok() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(LIMIT, deleted).await.expect("the stream goes");
        self.create_anew(shards).await;
    }

    /// Waits until the stream takes the next change.
    async fn settle(&self) {
        let settled = async {
            loop {
                let described = self.client.describe_stream_summary().stream_name(&self.name).send().await;
                let summary = described.expect("the stream is there").stream_description_summary;
                if summary.is_some_and(|summary| summary.stream_status == StreamStatus::Active) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(LIMIT, settled).await.expect("the stream becomes active");
    }

    /// Puts a record.
    pub async fn put(&self, key: &str, data: impl Into<Vec<u8>>) {
        let put = self.client.put_record().stream_name(&self.name).partition_key(key).data(Blob::new(data));
        put.send().await.expect("a record");
    }

    /// Puts records, each with its partition key, in order.
    pub async fn put_all(&self, records: &[(String, Vec<u8>)]) {
        for records in records.chunks(RECORDS) {
            let entries = records.iter().map(|(key, data)| {
                let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data.as_slice()));
                entry.build().expect("key and data are there")
            });
            let put = self.client.put_records().stream_name(&self.name).set_records(Some(entries.collect()));
            let answer = put.send().await.expect("the records fit");
            assert_eq!(answer.failed_record_count().unwrap_or_default(), 0, "the emulators know no throttling");
        }
    }

    /// Puts a record into every shard that can be written to.
    pub async fn tell_all(&self, data: &str) {
        for shard in self.open().await {
            let (first, _) = hashes(&shard);
            let put = self.client.put_record().stream_name(&self.name).partition_key("all").data(Blob::new(data));
            put.explicit_hash_key(first.to_string()).send().await.expect("a record");
        }
    }

    /// The shards that can be written to, in the order of their hashes.
    pub async fn open(&self) -> Vec<Shard> {
        let (mut shards, mut token) = (Vec::new(), None::<String>);
        loop {
            let request = self.client.list_shards();
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.stream_name(&self.name),
            };
            let listed = request.send().await.expect("a list");
            shards.extend(listed.shards().to_vec());
            token = listed.next_token;
            if token.is_none() {
                break;
            }
        }
        shards
            .retain(|shard| shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none()));
        shards.sort_by_key(|shard| hashes(shard).0);
        shards
    }

    /// Splits the first shard in the middle.
    pub async fn split(&self) {
        let shard = self.open().await.remove(0);
        let (low, high) = hashes(&shard);
        let split = self.client.split_shard().stream_name(&self.name).shard_to_split(shard.shard_id());
        // The fake looks at the first 32 bits.
        let middle = low.midpoint(high) >> 96 << 96;
        split.new_starting_hash_key(middle.to_string()).send().await.expect("a split");
        self.settle().await;
    }

    /// Merges the last two shards.
    pub async fn merge(&self) {
        let mut open = self.open().await;
        let (upper, lower) = (open.pop().expect("a shard"), open.pop().expect("another"));
        let merge = self.client.merge_shards().stream_name(&self.name).shard_to_merge(lower.shard_id());
        merge.adjacent_shard_to_merge(upper.shard_id()).send().await.expect("a merge");
        self.settle().await;
    }
}

/// The first and the last hash key of a shard.
pub fn hashes(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("every shard has hashes");
    let number = |text: &str| text.parse().expect("a number");
    (number(range.starting_hash_key()), number(range.ending_hash_key()))
}
