//! Event times: milliseconds since 1970-01-01T00:00:00Z, read from text or numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum TimeFormat {
    /// `iso8601`: `2013-01-01T00:00:00.000Z`, also with a space, an offset, no fraction or no zone (then UTC).
    #[default]
    Iso8601,
    /// `unix-ms`: milliseconds since the epoch, as a number or as digits.
    UnixMillis,
    /// `unix-s`: seconds since the epoch, fractions allowed.
    UnixSeconds,
    /// A pattern as in strptime, such as `%m/%d/%Y %H:%M`. Without a zone it means UTC.
    Pattern(Arc<str>),
}

impl TimeFormat {
    /// Milliseconds since the epoch.
    pub fn parse(&self, _text: &[u8]) -> Option<i64> {
        None
    }
}

impl FromStr for TimeFormat {
    type Err = String;
    fn from_str(_text: &str) -> Result<Self, String> {
        Err(String::new())
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// `2013-01-01T00:00:00.000Z`
pub fn iso8601(_millis: i64) -> String {
    String::new()
}
