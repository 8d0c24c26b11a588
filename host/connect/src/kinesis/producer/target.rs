//! A stream to write to: the shards that take records, and PutRecords. Nothing is tried again in here.

use super::routes::Routes;
use crate::kinesis::connection::{Connection, ConnectionSettings};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use std::fmt;
use wasmill_stream::{Error, Result};

/// A stream and the client to write to it.
pub struct Target {
    connection: Connection,
}

/// A record as it is sent.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its partition key.
    pub key: String,
    /// Its explicit hash key.
    pub hash: Option<u128>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What became of one record of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in this shard.
    Stored(String),
    /// It was refused, for now, and why.
    Refused(String),
}

impl Target {
    /// Resolves region and credentials. Sends nothing to the stream's server.
    pub async fn connect(settings: &ConnectionSettings) -> Result<Self> {
        Ok(Self { connection: Connection::open(settings, None).await? })
    }

    /// Which shard takes what.
    pub async fn routes(&self) -> Result<Routes> {
        Routes::of(&self.connection.shards().await?).map_err(|error| error.context(self))
    }

    /// Puts records. What became of each, in their order.
    pub async fn put(&self, entries: Vec<Entry>) -> Result<Vec<Fate>> {
        let count = entries.len();
        let entry = |Entry { key, hash, data }: Entry| {
            let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
            entry.set_explicit_hash_key(hash.map(|hash| hash.to_string())).build()
        };
        let entries: std::result::Result<Vec<_>, _> = entries.into_iter().map(entry).collect();
        let entries = entries.map_err(|error| Error::internal(format!("{self}: {error}")))?;
        let request = self.connection.client.put_records().set_records(Some(entries));
        let request =
            request.set_stream_name(self.connection.stream_name()).set_stream_arn(self.connection.stream_arn());
        let answer = request.send().await.inspect(|_| self.connection.was_taken());
        let answer = answer.map_err(|error| self.connection.failure("put records", error))?;
        let results = answer.records;
        if results.len() != count {
            let what = format!("{self}: an answer about {} of {count} records", results.len());
            return Err(Error::unavailable(what));
        }
        let fate = |result: PutRecordsResultEntry| match (result.error_code, result.shard_id) {
            (None, Some(shard)) => Fate::Stored(shard),
            (None, None) => Fate::Refused("an answer without a shard".to_owned()),
            (Some(code), _) => match result.error_message {
                Some(message) => Fate::Refused(format!("{code}: {message}")),
                None => Fate::Refused(code),
            },
        };
        Ok(results.into_iter().map(fate).collect())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}
