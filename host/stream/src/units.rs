//! Durations and sizes as people write them in a job file: `10m`, `500ms`, `16 MiB`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A duration in whole milliseconds. Written `250ms`, `10s`, `10m`, `1h`, `7d`, or several in a row: `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(i64);

impl Period {
    /// A duration of so many milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// As the standard library has it.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }
}

const PERIOD_UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected a duration like \"250ms\", \"10s\", \"10m\" or \"1h 30m\", found \"{text}\"");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(bad());
        }
        let mut total = 0i64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let amount: i64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = rest[digits..].trim_start();
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = &rest[..letters];
            let (_, scale) = PERIOD_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
            total = amount.checked_mul(*scale).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
            rest = rest[letters..].trim_start();
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        let mut first = true;
        for (unit, scale) in PERIOD_UNITS {
            if rest >= scale {
                write!(f, "{}{}{unit}", if first { "" } else { " " }, rest / scale)?;
                rest %= scale;
                first = false;
            }
        }
        Ok(())
    }
}

/// A number of bytes. Written `512`, `64 KiB`, `16 MiB`, `1 GiB`, or in powers of ten: `5 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteCount(u64);

impl ByteCount {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

const BYTE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];

impl FromStr for ByteCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected a size like \"512 KiB\", \"16 MiB\" or \"5 MB\", found \"{text}\"");
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let amount: u64 = text[..digits].parse().map_err(|_| bad())?;
        let unit = text[digits..].trim();
        let (_, scale) = BYTE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(bad)?;
        amount.checked_mul(*scale).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = BYTE_UNITS.iter().take(3).find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        match whole {
            Some((unit, scale)) => write!(f, "{} {unit}", self.0 / scale),
            None => write!(f, "{} B", self.0),
        }
    }
}

macro_rules! serde_as_text {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

serde_as_text!(Period, "a duration like \"10s\"");
serde_as_text!(ByteCount, "a size like \"16 MiB\"");

#[cfg(test)]
mod tests {
    use super::*;

    /// What people write reads back as written; nonsense names what was expected.
    #[test]
    fn periods_and_sizes() {
        assert_eq!("10m".parse(), Ok(Period(600_000)));
        assert_eq!("1h 30m".parse::<Period>().map(|p| p.to_string()), Ok("1h 30m".to_owned()));
        assert_eq!("1h30m".parse(), Ok(Period(5_400_000)));
        assert_eq!(Period(250).to_string(), "250ms");
        for bad in ["", "10", "m", "10 minutes", "-5s", "99999999999999999d"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
        assert_eq!("16 MiB".parse(), Ok(ByteCount(16 << 20)));
        assert_eq!("5MB".parse(), Ok(ByteCount(5_000_000)));
        assert_eq!(ByteCount(16 << 20).to_string(), "16 MiB");
        assert!("16 XB".parse::<ByteCount>().is_err());
    }
}
