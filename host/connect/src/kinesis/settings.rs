//! The settings of the `kinesis` source as the job file has them.

use super::Kinesis;
use super::connection::ConnectionSettings;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::source::Source;
use wasmill_stream::time::TimeFormat;
use wasmill_stream::units::Period;

/// GetRecords takes no more.
const MAX_RECORDS: i32 = 10_000;

/// Where to begin in the shards of a stream of which nothing was read. Shards that appear later are read from their first
/// record in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that is kept.
    TrimHorizon,
    /// What is written from now on, by the clock of the service.
    Latest,
    /// Records that arrived at this time (milliseconds) or later.
    At(i64),
}

/// What to do about records that are lost because they were not read in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGap {
    /// End the job.
    Fail,
    /// Say so in the log and in the checkpoint, and go on with what is left.
    Skip,
}

/// What is left out when a user record came to a shard to which its key does not belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaveOut {
    /// It alone.
    UserRecord,
    /// The whole aggregate, as KCL does.
    Aggregate,
}

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    /// Which stream it is, where, and who reads it.
    pub connection: ConnectionSettings,
    /// Where to begin.
    pub start: Start,
    /// What to do about lost records.
    pub on_gap: OnGap,
    /// What to do about user records that belong to other shards.
    pub leave_out: LeaveOut,
    /// Whether each shard is left as soon as it has caught up.
    pub until_tip: bool,
    /// Pause between two reads of a shard that has caught up, and between two looks for new shards.
    pub poll_interval: Duration,
    /// Least time between two reads of a shard.
    pub read_interval: Duration,
    /// The consumer as which shards are subscribed to, if they are not polled.
    pub fan_out: Option<String>,
    /// How long a subscription may keep silent before it counts as lost. The service says something every few seconds.
    pub silence: Duration,
    /// How long a shard that cannot be subscribed to is polled before that is tried again.
    pub fan_out_retry: Duration,
    /// Most records of one read, and most rows that are handed on together when user records come of them.
    pub max_records: i32,
}

/// Reads a `[source.…]` table of `type = "kinesis"`.
pub fn check(name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Source>> {
    let before = problems.len();
    let settings = Settings::check(section, problems);
    let source = Kinesis { name: name.to_owned(), settings: Arc::new(settings) };
    (problems.len() == before).then(|| Box::new(source) as Box<dyn Source>)
}

impl Settings {
    /// The settings of a table. They mean nothing if there were problems.
    pub fn check(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let connection = ConnectionSettings::check(section, problems);
        let mut period =
            |key, default| section.optional(key, problems).unwrap_or(Period::from_millis(default)).duration();
        let poll_interval = period("poll_interval", 1_000);
        // A shard allows five reads per second, to all its readers together.
        let read_interval = period("read_interval", 200);
        let silence = period("fan_out_silence", 35_000);
        let fan_out_retry = period("fan_out_retry", 300_000);
        Self {
            connection,
            start: check_start(section, problems),
            on_gap: section.optional("on_gap", problems).unwrap_or(OnGap::Fail),
            leave_out: section.optional("leave_out", problems).unwrap_or(LeaveOut::UserRecord),
            until_tip: check_until(section, problems),
            poll_interval,
            read_interval,
            fan_out: check_fan_out(section, problems),
            silence,
            fan_out_retry,
            max_records: check_max_records(section, problems),
        }
    }

    /// The time between two reads of a shard that has caught up.
    pub fn pause(&self) -> Duration {
        self.poll_interval.max(self.read_interval)
    }
}

fn check_start(section: &mut Section<'_>, problems: &mut Problems) -> Start {
    let start = section.located::<String>("start", problems);
    let timestamp = section.located::<String>("timestamp", problems);
    let (start, place) = start.unwrap_or_else(|| ("trim-horizon".to_owned(), section.place()));
    if let (Some((_, place)), true) = (&timestamp, start != "at-timestamp") {
        let message = format!("{}: `timestamp` needs start = \"at-timestamp\"", section.title());
        problems.push(place.clone(), message);
    }
    match (start.as_str(), timestamp) {
        ("trim-horizon", _) => Start::TrimHorizon,
        ("latest", _) => Start::Latest,
        ("at-timestamp", Some((text, place))) => match TimeFormat::Iso8601.parse(text.as_bytes()) {
            Some(millis) => Start::At(millis),
            None => {
                let message = format!("{}: `timestamp`: \"{text}\" is not a time", section.title());
                problems.push_hint(place, message, "write it like \"2013-01-01T00:00:00Z\"");
                Start::TrimHorizon
            }
        },
        ("at-timestamp", None) => {
            problems.push(place, format!("{}: start = \"at-timestamp\" needs `timestamp`", section.title()));
            Start::TrimHorizon
        }
        (other, _) => {
            let message = format!("{}: `start`: \"{other}\" is no place to start", section.title());
            problems.push_hint(place, message, "one of \"trim-horizon\", \"latest\", \"at-timestamp\"");
            Start::TrimHorizon
        }
    }
}

/// `until = "tip"` reads what is there and ends, as a backfill wants it; without it the source reads for ever.
fn check_until(section: &mut Section<'_>, problems: &mut Problems) -> bool {
    let Some((until, place)) = section.located::<String>("until", problems) else { return false };
    if until != "tip" {
        let message = format!("{}: `until`: expected \"tip\", found \"{until}\"", section.title());
        problems.push_hint(place, message, "leave it out to read for ever");
    }
    true
}

/// The name of a consumer, as the service takes it.
fn check_fan_out(section: &mut Section<'_>, problems: &mut Problems) -> Option<String> {
    let (name, place) = section.located::<String>("fan_out", problems)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if !(1..=128).contains(&name.len()) || !name.bytes().all(is_plain) {
        let message = format!("{}: `fan_out`: \"{name}\" is no name of a consumer", section.title());
        problems.push_hint(place, message, "1 to 128 letters, digits, \"_\", \".\" and \"-\"");
    }
    Some(name)
}

fn check_max_records(section: &mut Section<'_>, problems: &mut Problems) -> i32 {
    let Some((records, place)) = section.located::<i32>("max_records", problems) else { return MAX_RECORDS };
    if !(1..=MAX_RECORDS).contains(&records) {
        let message = format!("{}: `max_records` must be 1 to {MAX_RECORDS}, found {records}", section.title());
        problems.push(place, message);
    }
    records
}
