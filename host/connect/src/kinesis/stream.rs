//! One stream on one server: the four calls that reading needs. Nothing is tried again in here.

use super::aggregate::Hashes;
use super::clock::ServerClock;
use super::failure::{failure, is_expired_iterator, is_not_found, is_unknown_place};
use super::page::Page;
use super::plan::same_stream;
use super::settings::Settings;
use crate::aws::Doubt;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::SharedInterceptor;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::describe_stream_summary::{DescribeStreamSummaryError, DescribeStreamSummaryOutput};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{ChildShard, HashKeyRange, ShardIteratorType};
use serde::{Deserialize, Serialize};
use std::fmt;
use wasmill_stream::{Error, ExtendedSequence, Result};

/// A stream and the client to read it.
pub struct Stream {
    pub(super) client: Client,
    clock: ServerClock,
    pub(super) doubt: Doubt,
    name: String,
    arn: Option<String>,
    region: String,
    endpoint: Option<String>,
}

/// A shard as the service describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shards that it was split from or merged of.
    pub parents: Vec<String>,
    /// The hashes of the keys that belong to it, if the service says.
    pub hashes: Option<Hashes>,
}

/// What tells a stream from another one that had, or has, the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its ARN.
    pub arn: String,
    /// When it was created, in milliseconds.
    pub created: i64,
}

/// A stream as the service describes it.
#[derive(Debug, Clone)]
pub struct Description {
    /// Which stream it is.
    pub identity: Identity,
    /// How many hours it keeps records.
    pub retention_hours: i64,
}

impl Description {
    /// How many milliseconds it keeps records.
    pub fn retention_millis(&self) -> i64 {
        self.retention_hours.saturating_mul(3_600_000)
    }
}

/// The place in a shard from which to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The oldest record that is kept.
    Oldest,
    /// Records that arrived at this time (milliseconds) or later.
    Since(i64),
    /// A record that was handed on, or a user record in it: reading begins with the record, which proves that what follows it
    /// is still kept too, and in which there may be user records to come.
    At(ExtendedSequence),
}

impl Place {
    /// The record that was handed on last, if there was one.
    pub fn position(self) -> Option<ExtendedSequence> {
        match self {
            Self::At(position) => Some(position),
            Self::Oldest | Self::Since(_) => None,
        }
    }
}

/// What a request for an iterator gave.
pub enum Sought {
    /// An iterator. It lives for five minutes.
    Iterator(String),
    /// There is no such record any more.
    Unknown(Error),
    /// There is no such shard, or no such stream, any more.
    Gone(Error),
}

/// What a read gave.
pub enum Fetched {
    /// Records, or none.
    Page(Page),
    /// The iterator was too old.
    Expired,
    /// There is no such shard, or no such stream, any more.
    Gone(Error),
}

impl Stream {
    /// Resolves region and credentials. Sends nothing to the stream's server.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let stream = &settings.stream;
        let access = settings.aws.load().await.map_err(|error| error.context(format!("stream {stream}")))?;
        let endpoint = settings.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let mut config = aws_sdk_kinesis::config::Builder::from(&access.config);
        // Otherwise it stays what the environment or the profile says, for all of AWS or for Kinesis alone.
        if endpoint.is_some() {
            config.set_endpoint_url(endpoint.clone());
        }
        let clock = ServerClock::default();
        config.push_interceptor(SharedInterceptor::new(clock.clone()));
        Ok(Self {
            client: Client::from_conf(config.build()),
            clock,
            doubt: Doubt::new(access.credentials),
            name: stream.clone(),
            arn: settings.arn.clone(),
            region: access.region,
            endpoint,
        })
    }

    /// Milliseconds since 1970 by the clock of the service, as far as it has answered.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Which stream it is.
    pub async fn describe(&self) -> Result<Description> {
        let answer = self.summary().await.map_err(|error| self.failure("describe it", error))?;
        self.description(answer)
    }

    /// What has become of the stream. An error if it is not the one that it was.
    pub async fn describe_again(&self, was: &Identity) -> Result<Description> {
        let now = match self.summary().await {
            Ok(answer) => self.description(answer)?,
            Err(error) if is_not_found(&error) => {
                let error = failure("describe it".to_owned(), error, &self.doubt);
                return Err(Error::invalid(format!("{self} was deleted while it was read")).with_source(error));
            }
            Err(error) => return Err(self.failure("describe it", error)),
        };
        same_stream(was, &now.identity).map_err(|error| error.context(self))?;
        Ok(now)
    }

    async fn summary(&self) -> Result<DescribeStreamSummaryOutput, SdkError<DescribeStreamSummaryError, HttpResponse>> {
        let request = self.client.describe_stream_summary();
        let request = request.set_stream_name(self.name_unless_arn()).set_stream_arn(self.arn.clone());
        request.send().await.inspect(|_| self.doubt.taken())
    }

    fn description(&self, answer: DescribeStreamSummaryOutput) -> Result<Description> {
        let summary = answer.stream_description_summary;
        let summary = summary.ok_or_else(|| Error::unavailable(format!("{self}: an empty description")))?;
        let created = summary.stream_creation_timestamp.to_millis().map_err(|error| {
            Error::unavailable(format!("{self}: the time of its creation cannot be read")).with_source(error)
        })?;
        let identity = Identity { arn: summary.stream_arn, created };
        Ok(Description { identity, retention_hours: summary.retention_period_hours.into() })
    }

    /// All shards that still hold records, closed ones too, in the order of their ids.
    pub async fn shards(&self) -> Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_shards();
            // A token already names the stream; the service refuses both.
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.set_stream_name(self.name_unless_arn()).set_stream_arn(self.arn.clone()),
            };
            let answer = request
                .send()
                .await
                .inspect(|_| self.doubt.taken())
                .map_err(|error| self.failure("list shards", error))?;
            shards.extend(answer.shards().iter().map(shard));
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        shards.sort_by(|a: &Shard, b| a.id.cmp(&b.id));
        // A list that changes between two pages may name a shard on both.
        shards.dedup_by(|a, b| a.id == b.id);
        Ok(shards)
    }

    /// An iterator that starts at `place`.
    pub async fn iterator(&self, shard: &str, place: Place) -> Result<Sought> {
        let request = self.client.get_shard_iterator().shard_id(shard);
        let request = request.set_stream_name(self.name_unless_arn()).set_stream_arn(self.arn.clone());
        let request = match place {
            Place::Oldest => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Place::Since(millis) => {
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(millis))
            }
            Place::At(place) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(place.sequence.to_string()),
        };
        let subject = format!("get an iterator for {shard}");
        match (request.send().await.inspect(|_| self.doubt.taken()), place) {
            (Ok(answer), _) => match answer.shard_iterator {
                Some(iterator) => Ok(Sought::Iterator(iterator)),
                None => Err(Error::unavailable(format!("{self}: {shard} gave no iterator"))),
            },
            (Err(error), Place::At(_)) if is_unknown_place(&error) => {
                Ok(Sought::Unknown(self.failure(&subject, error)))
            }
            (Err(error), _) if is_not_found(&error) => Ok(Sought::Gone(self.failure(&subject, error))),
            // The service takes no time that its own clock has not reached.
            (Err(error), Place::Since(_)) if is_unknown_place(&error) => {
                let error = self.failure(&subject, error);
                Err(Error::unavailable("the time to start at has not come yet: is this clock ahead?")
                    .with_source(error))
            }
            (Err(error), _) => Err(self.failure(&subject, error)),
        }
    }

    /// Reads up to `limit` records of `shard`.
    pub async fn fetch(&self, shard: &str, iterator: &str, limit: i32) -> Result<Fetched> {
        let request = self.client.get_records().shard_iterator(iterator).limit(limit);
        match request.set_stream_arn(self.arn.clone()).send().await.inspect(|_| self.doubt.taken()) {
            Ok(answer) => Page::of(answer).map(Fetched::Page).map_err(|error| error.context(shard).context(self)),
            Err(error) if is_expired_iterator(&error) => Ok(Fetched::Expired),
            Err(error) if is_not_found(&error) => Ok(Fetched::Gone(self.failure(&format!("read {shard}"), error))),
            Err(error) => Err(self.failure(&format!("read {shard}"), error)),
        }
    }

    pub(super) fn failure<E>(&self, what: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        failure(format!("{self}: {what}"), error, &self.doubt)
    }

    fn name_unless_arn(&self) -> Option<String> {
        self.arn.is_none().then(|| self.name.clone())
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {} in {}", self.name, self.region)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " at {endpoint}"),
            None => Ok(()),
        }
    }
}

/// A shard of a list.
pub fn shard(shard: &aws_sdk_kinesis::types::Shard) -> Shard {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let parents = parents.into_iter().flatten().map(str::to_owned).collect();
    Shard { id: shard.shard_id().to_owned(), parents, hashes: shard.hash_key_range().and_then(hashes) }
}

impl From<ChildShard> for Shard {
    fn from(child: ChildShard) -> Self {
        let hashes = child.hash_key_range().and_then(hashes);
        Self { id: child.shard_id, parents: child.parent_shards, hashes }
    }
}

/// `None`: nobody can say which keys these are.
fn hashes(range: &HashKeyRange) -> Option<Hashes> {
    let hashes = range.starting_hash_key().parse().ok()?..=range.ending_hash_key().parse().ok()?;
    (!hashes.is_empty()).then_some(hashes)
}
