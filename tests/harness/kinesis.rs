//! The other end of a Kinesis stream, for tests that do one thing after the other.

use super::kinesis_stream::KinesisStream;
use tokio::runtime::Runtime;

/// The settings of a source or sink for AWS that emulators accept, with `KEY` for any key.
pub const ACCESS: &str = r#"region = "us-east-1"
access_key_id = "${KEY}"
secret_access_key = "${KEY}""#;

/// Whoever looks after a stream and puts records into it.
pub struct Admin {
    runtime: Runtime,
    stream: KinesisStream,
}

impl Admin {
    /// Of a stream that is there.
    pub fn of(url: &str, stream: &str) -> Self {
        let runtime = Runtime::new().expect("threads can be had");
        Self { runtime, stream: KinesisStream::of(url, stream) }
    }

    /// Of a new stream.
    pub fn create(url: &str, stream: &str, shards: i32) -> Self {
        let runtime = Runtime::new().expect("threads can be had");
        let stream = runtime.block_on(KinesisStream::create(url, stream, shards));
        Self { runtime, stream }
    }

    /// The name of the stream.
    pub fn stream(&self) -> &str {
        &self.stream.name
    }

    /// Splits the first shard in the middle.
    pub fn split(&self) {
        self.runtime.block_on(self.stream.split());
    }

    /// Merges the last two shards.
    pub fn merge(&self) {
        self.runtime.block_on(self.stream.merge());
    }

    /// Puts records, each with its partition key, in order.
    pub fn put_all(&self, records: &[(String, Vec<u8>)]) {
        self.runtime.block_on(self.stream.put_all(records));
    }

    /// Puts a record into every shard that can be written to.
    pub fn tell_all(&self, data: &str) {
        self.runtime.block_on(self.stream.tell_all(data));
    }
}
