//! One stream on one server: the three calls that reading needs. Nothing is tried again in here.

use super::failure::{failure, is_expired_iterator};
use super::settings::{Settings, Start};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use std::fmt;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::{Binary, Error, ErrorKind, Result, Sequence};

/// A stream and the client to read it.
pub struct Stream {
    client: Client,
    name: String,
    arn: Option<String>,
    region: String,
    endpoint: Option<String>,
}

/// A shard as ListShards describes it.
#[derive(Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shards that it was split from or merged of.
    pub parents: Vec<String>,
    /// Whether nothing can be written to it any more.
    pub closed: bool,
}

/// The place in a shard from which to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing was read yet.
    Start(Start),
    /// Behind a record that was handed on.
    After(Sequence),
}

/// What a read gave.
pub enum Fetched {
    /// Records, or none.
    Page(Page),
    /// The iterator was too old.
    Expired,
}

/// The records of one read.
pub struct Page {
    /// Their bytes.
    pub values: Binary,
    /// Their sequence numbers.
    pub sequences: Vec<Sequence>,
    /// The iterator to go on with; `None` at the end of a closed shard.
    pub next: Option<String>,
    /// Whether the server says that there is nothing behind this page.
    pub at_tip: bool,
    /// The children of a closed shard, from servers that name them.
    pub children: Option<Vec<String>>,
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
        Ok(Self {
            client: Client::from_conf(config.build()),
            name: stream.clone(),
            arn: settings.arn.clone(),
            region: access.region,
            endpoint,
        })
    }

    /// All shards that still hold records, closed ones too, parents before children.
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
            let answer = request.send().await.map_err(|error| failure(format!("{self}: list shards"), error))?;
            shards.extend(answer.shards().iter().map(shard));
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        shards.sort_by(|a: &Shard, b| a.id.cmp(&b.id));
        Ok(shards)
    }

    /// An iterator that starts at `place`. It lives for five minutes.
    pub async fn iterator(&self, shard: &str, place: Place) -> Result<String> {
        let request = self.client.get_shard_iterator().shard_id(shard);
        let request = request.set_stream_name(self.name_unless_arn()).set_stream_arn(self.arn.clone());
        let request = match place {
            Place::Start(Start::TrimHorizon) => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Place::Start(Start::Latest) => request.shard_iterator_type(ShardIteratorType::Latest),
            Place::Start(Start::At(millis)) => {
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(millis))
            }
            Place::After(sequence) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.to_string()),
        };
        let answer = request.send().await;
        let answer = answer.map_err(|error| failure(format!("{self}: get an iterator for {shard}"), error))?;
        answer.shard_iterator.ok_or_else(|| Error::unavailable(format!("{self}: {shard} gave no iterator")))
    }

    /// Reads up to `limit` records of `shard`.
    pub async fn fetch(&self, shard: &str, iterator: &str, limit: i32) -> Result<Fetched> {
        let request = self.client.get_records().shard_iterator(iterator).limit(limit);
        match request.set_stream_arn(self.arn.clone()).send().await {
            Ok(answer) => self.page(shard, answer).map(Fetched::Page),
            Err(error) if is_expired_iterator(&error) => Ok(Fetched::Expired),
            Err(error) => Err(failure(format!("{self}: read {shard}"), error)),
        }
    }

    fn page(&self, shard: &str, answer: GetRecordsOutput) -> Result<Page> {
        let records = answer.records;
        let bytes = records.iter().map(|record| record.data.as_ref().len()).sum();
        let mut values = BinaryBuilder::with_capacity(records.len(), bytes);
        let mut sequences = Vec::with_capacity(records.len());
        for record in &records {
            let sequence = Sequence::parse(&record.sequence_number).ok_or_else(|| {
                let number = &record.sequence_number;
                Error::new(ErrorKind::Corrupt, format!("{self}: {shard}: \"{number}\" is no sequence number"))
            })?;
            values.push(record.data.as_ref());
            sequences.push(sequence);
        }
        let children = answer.child_shards.map(|all| all.into_iter().map(|child| child.shard_id).collect());
        Ok(Page {
            values: values.finish(),
            sequences,
            next: answer.next_shard_iterator,
            at_tip: answer.millis_behind_latest == Some(0),
            children,
        })
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

fn shard(shard: &aws_sdk_kinesis::types::Shard) -> Shard {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    Shard {
        id: shard.shard_id().to_owned(),
        parents: parents.into_iter().flatten().map(str::to_owned).collect(),
        closed: shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some()),
    }
}
