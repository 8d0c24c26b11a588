//! The other end of a Kinesis stream: creates it and puts records, through the AWS SDK.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Credentials;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, StreamStatus};
use std::time::Duration;
use tokio::runtime::Runtime;

/// PutRecords takes no more.
const RECORDS: usize = 500;

/// The settings of a source or sink for AWS that emulators accept, with `KEY` for any key.
pub const ACCESS: &str = r#"region = "us-east-1"
access_key_id = "${KEY}"
secret_access_key = "${KEY}""#;

/// Whoever looks after a stream: creates it, splits and merges its shards.
pub struct Admin {
    runtime: Runtime,
    client: Client,
    stream: String,
}

impl Admin {
    /// Of a stream that is there.
    pub fn of(url: &str, stream: &str) -> Self {
        let runtime = Runtime::new().expect("threads can be had");
        let client = runtime.block_on(client(url));
        Self { runtime, client, stream: stream.to_owned() }
    }

    /// Of a new stream.
    pub fn create(url: &str, stream: &str, shards: i32) -> Self {
        let admin = Self::of(url, stream);
        let create = admin.client.create_stream().stream_name(stream).shard_count(shards).send();
        admin.runtime.block_on(create).expect("the stream is new");
        admin.settle();
        admin
    }

    /// The name of the stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Splits the first shard in the middle.
    pub fn split(&self) {
        let open = self.open();
        let (low, high) = hashes(&open[0]);
        let split = self.client.split_shard().stream_name(&self.stream).shard_to_split(open[0].shard_id());
        let split = split.new_starting_hash_key((low.midpoint(high) >> 96 << 96).to_string()).send();
        self.runtime.block_on(split).expect("a split");
        self.settle();
    }

    /// Merges the last two shards.
    pub fn merge(&self) {
        let mut open = self.open();
        let (upper, lower) = (open.pop().expect("a shard"), open.pop().expect("another"));
        let merge = self.client.merge_shards().stream_name(&self.stream).shard_to_merge(lower.shard_id());
        self.runtime.block_on(merge.adjacent_shard_to_merge(upper.shard_id()).send()).expect("a merge");
        self.settle();
    }

    /// Puts a record into every shard that can be written to.
    pub fn tell_all(&self, data: &str) {
        for shard in self.open() {
            let (first, _) = hashes(&shard);
            let put = self.client.put_record().stream_name(&self.stream).partition_key("all");
            let put = put.explicit_hash_key(first.to_string()).data(Blob::new(data)).send();
            self.runtime.block_on(put).expect("a record");
        }
    }

    /// The shards that can be written to, in the order of their hashes.
    fn open(&self) -> Vec<Shard> {
        let (mut shards, mut token) = (Vec::new(), None);
        loop {
            let request = self.client.list_shards();
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.stream_name(&self.stream),
            };
            let listed = self.runtime.block_on(request.send()).expect("a list");
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

    fn settle(&self) {
        self.runtime.block_on(async {
            while !is_active(&self.client, &self.stream).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
}

fn hashes(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("every shard has hashes");
    let number = |text: &str| text.parse().expect("a number");
    (number(range.starting_hash_key()), number(range.ending_hash_key()))
}

/// Creates a stream and puts the records, each with its partition key, in order.
pub async fn publish(url: &str, stream: &str, shards: i32, records: &[(String, Vec<u8>)]) {
    let client = client(url).await;
    client.create_stream().stream_name(stream).shard_count(shards).send().await.expect("the stream is new");
    while !is_active(&client, stream).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for records in records.chunks(RECORDS) {
        put(&client, stream, records).await;
    }
}

async fn client(url: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(url)
        .load()
        .await;
    Client::new(&config)
}

async fn is_active(client: &Client, stream: &str) -> bool {
    let described = client.describe_stream_summary().stream_name(stream).send().await.expect("the stream is there");
    described.stream_description_summary().is_some_and(|summary| *summary.stream_status() == StreamStatus::Active)
}

async fn put(client: &Client, stream: &str, records: &[(String, Vec<u8>)]) {
    let entries = records.iter().map(|(key, data)| {
        let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data.as_slice()));
        entry.build().expect("key and data are there")
    });
    let put = client.put_records().stream_name(stream).set_records(Some(entries.collect()));
    let answer = put.send().await.expect("the records fit");
    assert_eq!(answer.failed_record_count().unwrap_or_default(), 0, "the emulators know no throttling");
}
