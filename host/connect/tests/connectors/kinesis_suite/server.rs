//! Servers of Kinesis, and whoever looks after a stream on one of them: all through the SDK of AWS, so that the suite asks each of
//! them the same.

use crate::fake_kinesis::{self, FakeKinesis};
use crate::harness::PATIENCE;
use crate::servers::{KINESALITE, KINESIS_LOCAL, Server};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{Shard, StreamStatus};
use std::time::Duration;

/// A server that the suite runs over.
pub trait KinesisServer {
    /// Its URL, without a slash at the end; `None`: it cannot be had here.
    fn url(&self) -> Option<&str>;

    /// The name of the stream that a test calls so. A test that runs twice on one server has two names.
    fn stream(&self, name: &str) -> String;

    /// Whether it can be asked for what comes from now on.
    fn knows_now(&self) -> bool;

    /// Whether it has consumers, and sends them what comes.
    fn pushes(&self) -> bool;

    /// Whether it ends the subscriptions to a shard that was split or merged.
    fn ends_subscriptions(&self) -> bool;
}

/// Ours.
pub struct Fake(FakeKinesis);

impl Fake {
    /// One without a stream.
    pub fn start() -> Self {
        Self(FakeKinesis::empty())
    }
}

impl KinesisServer for Fake {
    fn url(&self) -> Option<&str> {
        Some(&self.0.url)
    }

    fn stream(&self, _: &str) -> String {
        fake_kinesis::STREAM.to_owned()
    }

    fn knows_now(&self) -> bool {
        true
    }

    fn pushes(&self) -> bool {
        true
    }

    fn ends_subscriptions(&self) -> bool {
        true
    }
}

/// A server that others wrote, which the tests share.
pub struct Emulator {
    server: &'static Server,
    knows_now: bool,
    pushes: bool,
}

impl Emulator {
    /// kinesis-mock. It forgets to say that a subscribed shard has ended.
    pub fn kinesis_mock() -> Self {
        Self { server: &KINESIS_LOCAL, knows_now: true, pushes: true }
    }

    /// kinesalite, which has the older half of the API, and ends when it is asked for a time behind its last record.
    pub fn kinesalite() -> Self {
        Self { server: &KINESALITE, knows_now: false, pushes: false }
    }
}

impl KinesisServer for Emulator {
    fn url(&self) -> Option<&str> {
        self.server.url()
    }

    fn stream(&self, name: &str) -> String {
        name.to_owned()
    }

    fn knows_now(&self) -> bool {
        self.knows_now
    }

    fn pushes(&self) -> bool {
        self.pushes
    }

    fn ends_subscriptions(&self) -> bool {
        false
    }
}

/// A stream, and whoever writes into it and looks after it.
pub struct Stream {
    /// Its server.
    pub url: String,
    /// Its name.
    pub name: String,
    client: Client,
}

impl Stream {
    /// Creates a stream; `None`: the server cannot be had here.
    pub async fn create(server: &impl KinesisServer, name: &str, shards: i32) -> Option<Self> {
        let url = server.url()?.to_owned();
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url(&url)
            .build();
        let stream = Self { url, name: server.stream(name), client: Client::from_conf(config) };
        stream.create_anew(shards).await;
        Some(stream)
    }

    async fn create_anew(&self, shards: i32) {
        self.client
            .create_stream()
            .stream_name(&self.name)
            .shard_count(shards)
            .send()
            .await
            .expect("the stream is new");
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
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, deleted).await.expect("the stream goes");
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
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("the stream becomes active");
    }

    /// Puts a record.
    pub async fn put(&self, key: &str, data: impl Into<Vec<u8>>) {
        let put = self.client.put_record().stream_name(&self.name).partition_key(key).data(Blob::new(data));
        put.send().await.expect("a record");
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

    /// Merges the first two shards.
    pub async fn merge(&self) {
        let shards = self.open().await;
        let merge = self.client.merge_shards().stream_name(&self.name).shard_to_merge(shards[0].shard_id());
        merge.adjacent_shard_to_merge(shards[1].shard_id()).send().await.expect("a merge");
        self.settle().await;
    }
}

/// The first and the last hash key of a shard.
pub fn hashes(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("every shard has hashes");
    let number = |text: &str| text.parse().expect("a number");
    (number(range.starting_hash_key()), number(range.ending_hash_key()))
}
