//! The window that a result belongs to.

use crate::Time;
use serde::{Serialize, Serializer};

/// Why a window fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pane {
    /// The watermark passed its end.
    OnTime,
    /// A late row within the allowed lateness changed it after it had fired. This result replaces the earlier one.
    Late,
}

/// A window of event time that fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Its first millisecond.
    pub start: Time,
    /// The first millisecond after it.
    pub end: Time,
    /// Why it fires.
    pub pane: Pane,
}

impl Window {
    /// Its last millisecond, which is the event time of its results.
    pub fn last(self) -> Time {
        Time(self.end.0 - 1)
    }
}

impl Serialize for Pane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::OnTime => "on-time",
            Self::Late => "late",
        })
    }
}
