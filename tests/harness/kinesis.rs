//! The other end of a Kinesis stream: creates it and puts records, through the AWS SDK.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Credentials;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use std::time::Duration;

/// PutRecords takes no more.
const RECORDS: usize = 500;

/// The settings of a source or sink for AWS that emulators accept, with `KEY` for any key.
pub const ACCESS: &str = r#"region = "us-east-1"
access_key_id = "${KEY}"
secret_access_key = "${KEY}""#;

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
