//! What to play, where to, and how.

use crate::aws::AwsSettings;
use crate::producer::{ConnectionSettings, StreamName};
use crate::replay::files::Format;
use crate::replay::objects::S3Settings;
use crate::retry::Patience;
use std::time::Duration;
use url::Url;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::units::Period;
use wasmill_stream::{Error, Result};

/// What becomes of the event time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdaptTime {
    /// It stays.
    #[default]
    Original,
    /// The first event is moved to when the replay began, all others by as much.
    Invocation,
    /// It becomes the time at which the event is sent.
    Ingestion,
}

/// When to send markers.
#[derive(Debug, Clone)]
pub struct MarkerSettings {
    /// At least so often.
    pub interval: Period,
    /// And after so many events.
    pub events: u64,
    /// How far events are out of order.
    pub disorder: Period,
}

/// A playback.
#[derive(Debug, Clone)]
pub struct Playback {
    /// Files, folders, and `s3://` addresses.
    pub inputs: Vec<String>,
    /// How all of them are written; `None`: by their names.
    pub format: Option<Format>,
    /// How many events to play of each pass.
    pub limit: Option<u64>,
    /// How often to play the input.
    pub passes: u64,
    /// Name or ARN of the stream.
    pub stream: String,
    /// The region.
    pub region: Option<String>,
    /// A profile.
    pub profile: Option<String>,
    /// The address of another Kinesis.
    pub endpoint: Option<String>,
    /// The address of another S3.
    pub s3_endpoint: Option<String>,
    /// The region of the bucket, if it is another.
    pub s3_region: Option<String>,
    /// Where the event time is.
    pub time: Option<FieldSpec>,
    /// How many times faster than event time; `None`: as fast as it goes.
    pub speedup: Option<f64>,
    /// Events before this time are left out.
    pub seek: Option<i64>,
    /// The pause between two events.
    pub delay: Duration,
    /// Whether events are packed.
    pub aggregate: bool,
    /// What becomes of event times.
    pub adapt_time: AdaptTime,
    /// The member that gets the time at which an event is sent.
    pub add_timestamp: Option<String>,
    /// Where the partition key is, as a text and as a number; absent: a hash of the event.
    pub partition_key: Option<[FieldSpec; 2]>,
    /// Markers, if there are to be some.
    pub markers: Option<MarkerSettings>,
}

impl Playback {
    /// The stream to write to.
    pub fn target(&self) -> Result<ConnectionSettings> {
        let refuse = |message| Error::invalid(format!("stream: {message}")).hint(StreamName::EXPECTED);
        let stream = StreamName::parse(&self.stream).map_err(refuse)?;
        let region = self.region.clone().or_else(|| stream.region());
        Ok(ConnectionSettings {
            stream,
            endpoint: self.endpoint.as_deref().map(|given| address("endpoint", given)).transpose()?,
            aws: AwsSettings::of(region, self.profile.clone()),
            patience: Patience::START,
        })
    }

    /// Where objects of the input are.
    pub fn s3(&self) -> Result<S3Settings> {
        Ok(S3Settings {
            region: self.s3_region.clone().or(self.region.clone()),
            profile: self.profile.clone(),
            endpoint: self.s3_endpoint.as_deref().map(|given| address("s3-endpoint", given)).transpose()?,
        })
    }
}

fn address(what: &str, text: &str) -> Result<Url> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(url),
        _ => Err(Error::invalid(format!("{what}: \"{text}\" is not an address, such as \"http://127.0.0.1:4568\""))),
    }
}
