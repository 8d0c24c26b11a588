//! Records that are lost, or may be. Pure.

use super::stream::Identity;
use serde::{Deserialize, Serialize};
use std::fmt;
use wasmill_stream::time::iso8601;
use wasmill_stream::{ExtendedSequence, Sequence};

/// Records that may be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The shard.
    pub shard: String,
    /// Its stream, if that is gone: another one has its name now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Identity>,
    /// The last record before them; `None`: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ExtendedSequence>,
    /// The first record behind them; `None`: there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sequence>,
    /// Those that are lost arrived after this time, in milliseconds; `None`: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_time: Option<i64>,
    /// What arrived later than this, in milliseconds, is kept. Notes of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_time: Option<i64>,
    /// When it was noticed, in milliseconds.
    pub noticed_at: i64,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.after.map_or("the start".to_owned(), |after| after.to_string());
        let to = match (self.before, &self.stream) {
            (Some(before), _) => before.to_string(),
            (None, Some(stream)) => format!("the end of the stream created at {}", iso8601(stream.created)),
            (None, None) => "the oldest that is kept".to_owned(),
        };
        write!(f, "{}: records between {from} and {to} may be lost", self.shard)?;
        match (self.from_time, self.to_time) {
            (Some(from), Some(to)) => write!(f, ", which arrived from {} to {}", iso8601(from), iso8601(to)),
            (None, Some(to)) => write!(f, ", which arrived before {}", iso8601(to)),
            (_, None) => Ok(()),
        }
    }
}
