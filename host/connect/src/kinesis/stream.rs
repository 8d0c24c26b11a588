//! A stream that is read: what it is, iterators, pages. Nothing is tried again in here.

use super::clock::ServerClock;
use super::connection::{Connection, ConnectionSettings, Shard};
use super::failure::{is_expired_iterator, is_not_found, is_unknown_place};
use super::page::Page;
use super::plan::same_stream;
use aws_sdk_kinesis::config::SharedInterceptor;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use serde::{Deserialize, Serialize};
use std::fmt;
use wasmill_stream::{Error, ExtendedSequence, Result};

/// A stream and the client to read it.
pub struct Stream {
    pub(super) connection: Connection,
    clock: ServerClock,
    /// Whether each record comes with the time of its arrival.
    dated: bool,
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

/// What is there by the name of a stream.
pub enum Described {
    /// A stream.
    Stream(Description),
    /// Nothing, in the words of the service.
    Missing(Error),
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
    /// `dated`: each record is to come with the time of its arrival.
    pub async fn connect(settings: &ConnectionSettings, dated: bool) -> Result<Self> {
        let clock = ServerClock::default();
        let connection = Connection::open(settings, Some(SharedInterceptor::new(clock.clone()))).await?;
        Ok(Self { connection, clock, dated })
    }

    /// Milliseconds since 1970 by the clock of the service, as far as it has answered.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Whether each record comes with the time of its arrival.
    pub fn is_dated(&self) -> bool {
        self.dated
    }

    /// Which stream it is.
    pub async fn describe(&self) -> Result<Described> {
        let request = self.connection.client.describe_stream_summary();
        let request =
            request.set_stream_name(self.connection.stream_name()).set_stream_arn(self.connection.stream_arn());
        match request.send().await.inspect(|_| self.connection.was_taken()) {
            Ok(answer) => self.description(answer).map(Described::Stream),
            Err(error) if is_not_found(&error) => Ok(Described::Missing(self.connection.failure("describe it", error))),
            Err(error) => Err(self.connection.failure("describe it", error)),
        }
    }

    /// What has become of the stream. An error of the kind `Invalid` if it is not the one that it was.
    pub async fn describe_again(&self, was: &Identity) -> Result<Description> {
        match self.describe().await? {
            Described::Stream(now) => {
                same_stream(was, &now.identity).map_err(|error| error.context(self))?;
                Ok(now)
            }
            Described::Missing(error) => {
                let what = format!("{self} was deleted while it was read");
                let hint = "on_gap = \"skip\" waits for the one that takes its place";
                Err(Error::invalid(what).hint(hint).with_source(error))
            }
        }
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
        self.connection.shards().await
    }

    /// An iterator that starts at `place`.
    pub async fn iterator(&self, shard: &str, place: Place) -> Result<Sought> {
        let request = self.connection.client.get_shard_iterator().shard_id(shard);
        let request =
            request.set_stream_name(self.connection.stream_name()).set_stream_arn(self.connection.stream_arn());
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
        match (request.send().await.inspect(|_| self.connection.was_taken()), place) {
            (Ok(answer), _) => match answer.shard_iterator {
                Some(iterator) => Ok(Sought::Iterator(iterator)),
                None => Err(Error::unavailable(format!("{self}: {shard} gave no iterator"))),
            },
            (Err(error), Place::At(_)) if is_unknown_place(&error) => {
                Ok(Sought::Unknown(self.connection.failure(&subject, error)))
            }
            (Err(error), _) if is_not_found(&error) => Ok(Sought::Gone(self.connection.failure(&subject, error))),
            // The service takes no time that its own clock has not reached.
            (Err(error), Place::Since(_)) if is_unknown_place(&error) => {
                let error = self.connection.failure(&subject, error);
                Err(Error::unavailable("the time to start at has not come yet: is this clock ahead?")
                    .with_source(error))
            }
            (Err(error), _) => Err(self.connection.failure(&subject, error)),
        }
    }

    /// Reads up to `limit` records of `shard`.
    pub async fn fetch(&self, shard: &str, iterator: &str, limit: i32) -> Result<Fetched> {
        let request = self.connection.client.get_records().shard_iterator(iterator).limit(limit);
        match request.set_stream_arn(self.connection.stream_arn()).send().await.inspect(|_| self.connection.was_taken())
        {
            Ok(answer) => {
                let page = Page::of(answer, self.dated).map(Fetched::Page);
                page.map_err(|error| error.context(shard).context(self))
            }
            Err(error) if is_expired_iterator(&error) => Ok(Fetched::Expired),
            Err(error) if is_not_found(&error) => {
                Ok(Fetched::Gone(self.connection.failure(&format!("read {shard}"), error)))
            }
            Err(error) => Err(self.connection.failure(&format!("read {shard}"), error)),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}
