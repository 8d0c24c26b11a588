//! One stream on one server, as those who read it and those who write to it have it: how it is addressed, the client, the
//! list of its shards, and what a failed call means. Nothing is tried again in here.

use super::aggregate::Hashes;
use crate::aws::{AwsSettings, Doubt, check_endpoint, failure, is_region};
use crate::retry::Patience;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::SharedInterceptor;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::types::{ChildShard, HashKeyRange};
use std::fmt;
use url::Url;
use wasmill_stream::access::Reach;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::{Error, Result};

/// Which stream it is, where, and who asks.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// Name and ARN of the stream.
    pub stream: StreamName,
    /// Another server than that of AWS.
    pub endpoint: Option<Url>,
    /// Region and credentials.
    pub aws: AwsSettings,
    /// How long to wait for the server at start.
    pub patience: Patience,
}

impl ConnectionSettings {
    /// Reads `stream`, `endpoint`, `start_timeout` and the AWS settings. They mean nothing if there were problems.
    pub fn check(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let mut aws = AwsSettings::check(section, problems);
        let stream = match section.required_located::<String>("stream", problems) {
            None => StreamName::default(),
            Some((given, place)) => {
                section.reach(Reach::Stream(&given), place.clone(), problems);
                StreamName::parse(&given).unwrap_or_else(|message| {
                    let message = format!("{}: `stream`: {message}", section.title());
                    problems.push_hint(place, message, StreamName::EXPECTED);
                    StreamName::default()
                })
            }
        };
        aws.region = aws.region.or_else(|| stream.region());
        let endpoint = check_endpoint(section, problems);
        Self { stream, endpoint, aws, patience: Patience::check_start(section, problems) }
    }
}

/// What a stream is called.
#[derive(Debug, Clone, Default)]
pub struct StreamName {
    name: String,
    /// If that was given and not the name alone.
    arn: Option<String>,
}

impl StreamName {
    /// How one is written.
    pub const EXPECTED: &str = "expected arn:aws:kinesis:REGION:ACCOUNT:stream/NAME, or only NAME";

    /// Reads a name or an ARN, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with("arn:") {
            return Ok(Self { name: text.to_owned(), arn: None });
        }
        let parts: Vec<_> = text.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", _, "kinesis", region, _, resource] if resource.starts_with("stream/") && is_region(region) => {
                Ok(Self { name: resource["stream/".len()..].to_owned(), arn: Some(text.to_owned()) })
            }
            _ => Err(format!("\"{text}\" is not the ARN of a stream")),
        }
    }

    /// The region, if the ARN was given.
    pub fn region(&self) -> Option<String> {
        self.arn.as_ref()?.split(':').nth(3).map(str::to_owned)
    }
}

/// A stream and the client to ask about it.
pub struct Connection {
    /// The client.
    pub client: Client,
    doubt: Doubt,
    stream: StreamName,
    /// The stream and its server, for people.
    place: String,
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

impl Connection {
    /// Resolves region and credentials. Sends nothing to the stream's server. `observer` sees all answers.
    pub async fn open(settings: &ConnectionSettings, observer: Option<SharedInterceptor>) -> Result<Self> {
        let ConnectionSettings { stream, endpoint, aws, .. } = settings;
        let name = &stream.name;
        let access = aws.load().await.map_err(|error| error.context(format!("stream {name}")))?;
        let endpoint = endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        let mut config = aws_sdk_kinesis::config::Builder::from(&access.config);
        // Otherwise it stays what the environment or the profile says, for all of AWS or for Kinesis alone.
        if endpoint.is_some() {
            config.set_endpoint_url(endpoint.clone());
        }
        observer.into_iter().for_each(|observer| {
            config.push_interceptor(observer);
        });
        let at = endpoint.map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        Ok(Self {
            client: Client::from_conf(config.build()),
            doubt: Doubt::new(access.credentials),
            place: format!("stream {name} in {}{at}", access.region),
            stream: stream.clone(),
        })
    }

    /// The name, for requests: only if the ARN was not given.
    pub fn stream_name(&self) -> Option<String> {
        self.stream.arn.is_none().then(|| self.stream.name.clone())
    }

    /// The ARN, for requests, if it was given.
    pub fn stream_arn(&self) -> Option<String> {
        self.stream.arn.clone()
    }

    /// The server has taken the caller's credentials.
    pub fn was_taken(&self) {
        self.doubt.taken();
    }

    /// All shards that still hold records, closed ones too, in the order of their ids.
    pub async fn shards(&self) -> Result<Vec<Shard>> {
        let (mut shards, mut token) = (Vec::new(), None);
        loop {
            let request = self.client.list_shards();
            // A token already names the stream; the service refuses both.
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.set_stream_name(self.stream_name()).set_stream_arn(self.stream_arn()),
            };
            let answer = request.send().await.inspect(|_| self.was_taken());
            let answer = answer.map_err(|error| self.failure("list shards", error))?;
            shards.extend(answer.shards().iter().map(Shard::from));
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

    /// The host's error for a failed call.
    pub fn failure<E>(&self, what: &str, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        failure(format!("{self}: {what}"), error, &self.doubt)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl From<&aws_sdk_kinesis::types::Shard> for Shard {
    fn from(shard: &aws_sdk_kinesis::types::Shard) -> Self {
        let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
        let parents = parents.into_iter().flatten().map(str::to_owned).collect();
        Self { id: shard.shard_id().to_owned(), parents, hashes: shard.hash_key_range().and_then(hashes) }
    }
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
