//! One stream on one server, to write to: the list of its shards, and PutRecords. Nothing is tried again in here.

use super::routes::Routes;
use crate::aws::{AwsSettings, Doubt};
use crate::kinesis::failure::failure;
use crate::kinesis::stream::shard;
use crate::retry::Patience;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::fmt;
use url::Url;
use wasmill_stream::{Error, Result};

/// Which stream to write to, and who writes.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Its name.
    pub stream: String,
    /// Its ARN, if that was given.
    pub arn: Option<String>,
    /// Another server than that of AWS.
    pub endpoint: Option<Url>,
    /// Region and credentials.
    pub aws: AwsSettings,
    /// How long to wait for the server at start.
    pub patience: Patience,
}

/// A stream and the client to write to it.
pub struct Target {
    client: Client,
    doubt: Doubt,
    name: String,
    arn: Option<String>,
    place: String,
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
    pub async fn connect(settings: &TargetSettings) -> Result<Self> {
        let name = settings.stream.clone();
        let access = settings.aws.load().await.map_err(|error| error.context(format!("stream {name}")))?;
        let endpoint = settings.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let mut config = aws_sdk_kinesis::config::Builder::from(&access.config);
        // Otherwise it stays what the environment or the profile says, for all of AWS or for Kinesis alone.
        if endpoint.is_some() {
            config.set_endpoint_url(endpoint.clone());
        }
        let at = endpoint.map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        Ok(Self {
            client: Client::from_conf(config.build()),
            doubt: Doubt::new(access.credentials),
            place: format!("stream {name} in {}{at}", access.region),
            name,
            arn: settings.arn.clone(),
        })
    }

    /// Which shard takes what.
    pub async fn routes(&self) -> Result<Routes> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_shards();
            // A token already names the stream; the service refuses both.
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.set_stream_name(self.name_unless_arn()).set_stream_arn(self.arn.clone()),
            };
            let answer = request.send().await.map_err(|error| self.failure("list shards", error))?;
            self.doubt.taken();
            shards.extend(answer.shards().iter().map(shard));
            token = answer.next_token;
            if token.is_none() {
                return Routes::of(&shards).map_err(|error| error.context(self));
            }
        }
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
        let request = self.client.put_records().set_records(Some(entries));
        let request = request.set_stream_name(self.name_unless_arn()).set_stream_arn(self.arn.clone());
        let answer = request.send().await.map_err(|error| self.failure("put records", error))?;
        self.doubt.taken();
        let results = answer.records;
        if results.len() != count {
            let what = format!("{self}: an answer about {} of {count} records", results.len());
            return Err(Error::unavailable(what));
        }
        let fate = |result: aws_sdk_kinesis::types::PutRecordsResultEntry| match (result.error_code, result.shard_id) {
            (None, Some(shard)) => Fate::Stored(shard),
            (None, None) => Fate::Refused("an answer without a shard".to_owned()),
            (Some(code), _) => match result.error_message {
                Some(message) => Fate::Refused(format!("{code}: {message}")),
                None => Fate::Refused(code),
            },
        };
        Ok(results.into_iter().map(fate).collect())
    }

    fn failure<E>(&self, what: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        failure(format!("{self}: {what}"), error, &self.doubt)
    }

    fn name_unless_arn(&self) -> Option<String> {
        self.arn.is_none().then(|| self.name.clone())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}
