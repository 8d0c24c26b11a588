//! The settings of the `kinesis` sink as the job file has them.

use super::Kinesis;
use crate::kinesis::connection::ConnectionSettings;
use crate::row_field;
use std::time::Duration;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::sink::Sink;
use wasmill_stream::units::Period;

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    /// The stream.
    pub target: ConnectionSettings,
    /// Whether rows are packed into few records.
    pub packs: bool,
    /// What becomes of a row.
    pub rows: RowSettings,
    /// How long a row may wait.
    pub flush_interval: Duration,
}

/// What of a row becomes what of a record.
#[derive(Debug, Default)]
pub struct RowSettings {
    /// Where the partition key is, as a text and as a number; absent: the key of the row, or else its id.
    pub partition_key: Option<[FieldSpec; 2]>,
    /// Where the explicit hash key is, in the same way.
    pub hash_key: Option<[FieldSpec; 2]>,
    /// The member that gets the id of the row.
    pub dedup: Option<String>,
}

/// Reads a `[sink.…]` table of `type = "kinesis"`.
pub fn check(_name: &str, section: &mut Section<'_>, problems: &mut Problems) -> Option<Box<dyn Sink>> {
    let before = problems.len();
    let target = ConnectionSettings::check(section, problems);
    let settings = Settings {
        target,
        packs: section.optional("aggregate", problems).unwrap_or(false),
        rows: RowSettings {
            partition_key: row_field::check("partition_key", section, problems),
            hash_key: row_field::check("explicit_hash_key", section, problems),
            dedup: section.optional("dedup", problems),
        },
        flush_interval: section.optional("flush_interval", problems).unwrap_or(Period::from_millis(1_000)).duration(),
    };
    (problems.len() == before).then(|| Box::new(Kinesis { settings }) as Box<dyn Sink>)
}
