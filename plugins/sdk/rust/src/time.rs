//! Times: milliseconds since 1970-01-01T00:00:00Z. Written as the host writes them, `2013-01-01T00:10:00.000Z`.

mod iso;

pub use iso::Iso8601;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. JSON shows it as `2013-01-01T00:10:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// The text form, without an allocation.
    pub fn iso8601(self) -> Iso8601 {
        iso::format(self)
    }
}

impl FromStr for Time {
    type Err = String;

    /// Reads `2013-01-01T00:10:00.000Z`, also with a space for the `T`, an offset, no fraction, or no zone, which means UTC.
    fn from_str(text: &str) -> Result<Self, String> {
        iso::parse(text).ok_or_else(|| format!("expected a time such as 2013-01-01T00:10:00.000Z, found {text:?}"))
    }
}

impl Sub for Time {
    type Output = i64;

    /// Milliseconds from `earlier` to this time.
    fn sub(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// The time that much later; at most the last one there is.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.iso8601().as_str())
    }
}

impl Serialize for Time {
    /// Text in formats for people, milliseconds in others.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.iso8601().as_str())
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    /// Text or milliseconds in formats for people, milliseconds in others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TextOrMillis)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

struct TextOrMillis;

impl de::Visitor<'_> for TextOrMillis {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2013-01-01T00:10:00.000Z, or milliseconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E>(self, millis: i64) -> Result<Time, E> {
        Ok(Time(millis))
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Time, E> {
        i64::try_from(millis).map(Time).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON shows text and takes text or milliseconds; compact formats carry milliseconds.
    #[test]
    fn serde_forms() {
        let time = Time(1_356_999_000_000);
        assert_eq!(serde_json::to_string(&time).ok().as_deref(), Some("\"2013-01-01T00:10:00.000Z\""));
        assert_eq!(serde_json::from_str("\"2013-01-01 00:10:00\"").ok(), Some(time));
        assert_eq!(serde_json::from_str("1356999000000").ok(), Some(time));
        assert!(serde_json::from_str::<Time>("\"soon\"").is_err());
        let mut bytes = Vec::new();
        crate::Accumulator::encode(&vec![time], &mut bytes).expect("numbers can be written");
        assert_eq!(crate::Accumulator::decode(&bytes), Ok(vec![time]));
    }
}
