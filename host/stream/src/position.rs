//! Where a record came from: a split of a source and a place in that split. Positions order within a split only.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One ordered part of a source: a Kinesis shard, one of the N splits of a replay, standard input.
/// Printed as `source/part`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SplitId(Arc<str>);

impl SplitId {
    /// The split `part` of the source called `source` in the job file.
    pub fn new(source: &str, part: impl fmt::Display) -> Self {
        Self(format!("{source}/{part}").into())
    }

    /// `source/part`
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its name within its source. Names of sources have no slash.
    pub fn part(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, part)| part)
    }
}

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Kinesis sequence number: an unsigned integer of at most 192 bits. Real ones have 56 decimal digits, so neither
/// text order nor `u128` will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sequence {
    /// Most significant limb first, so that the derived order is the numeric one.
    limbs: [u64; 3],
}

impl Sequence {
    pub(crate) fn from_limbs(limbs: [u64; 3]) -> Self {
        Self { limbs }
    }

    pub(crate) fn limbs(self) -> [u64; 3] {
        self.limbs
    }

    /// Reads decimal digits; `None` if there is anything else or the number needs more than 192 bits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut limbs = [0u64; 3];
        for digit in text.bytes() {
            let mut carry = u128::from(digit.checked_sub(b'0').filter(|d| *d < 10)?);
            for limb in limbs.iter_mut().rev() {
                let wide = u128::from(*limb) * 10 + carry;
                *limb = wide as u64;
                carry = wide >> 64;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(Self { limbs })
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = self.limbs;
        let mut digits = Vec::new();
        while limbs != [0; 3] {
            let mut rest = 0u128;
            for limb in &mut limbs {
                let wide = (rest << 64) | u128::from(*limb);
                *limb = (wide / 10) as u64;
                rest = wide % 10;
            }
            digits.push(b'0' + rest as u8);
        }
        if digits.is_empty() {
            digits.push(b'0');
        }
        digits.reverse();
        f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl Serialize for Sequence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("\"{text}\" is no sequence number")))
    }
}

/// The position of one record in its split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// The number of a line or record.
    Number(u64),
    /// A Kinesis sequence number.
    Sequence(Sequence),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Sequence(sequence) => sequence.fmt(f),
        }
    }
}

/// The positions of the records of one chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// Line or record numbers that follow each other, the first being `first`.
    Consecutive {
        /// Number of row 0.
        first: u64,
    },
    /// Kinesis sequence numbers, one per row.
    Sequences(Vec<Sequence>),
}

impl Positions {
    /// The position of row `row`.
    pub fn get(&self, row: usize) -> Option<Position> {
        match self {
            Self::Consecutive { first } => Some(Position::Number(first + row as u64)),
            Self::Sequences(all) => all.get(row).copied().map(Position::Sequence),
        }
    }

    /// The position of row `row` as text, for messages, ids and dead letters.
    pub fn text(&self, row: usize) -> String {
        match self {
            Self::Consecutive { first } => (first + row as u64).to_string(),
            Self::Sequences(all) => all.get(row).map(Sequence::to_string).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A sequence number as AWS prints it survives the round trip, and order is numeric.
    #[test]
    fn real_sequence_numbers() {
        let text = "49590338271490256608559692538361571095921575989136588898";
        let sequence = Sequence::parse(text).expect("56 digits fit");
        assert_eq!(sequence.to_string(), text);
        assert!(Sequence::parse("9") < Sequence::parse("10"));
        assert_eq!(Sequence::parse("12a"), None);
        assert_eq!(Sequence::parse(&"9".repeat(60)), None);
    }

    proptest! {
        /// Parsing and printing agree with `u128` where both can.
        #[test]
        fn agrees_with_u128(a: u128, b: u128) {
            let (x, y) = (Sequence::parse(&a.to_string()).expect("fits"), Sequence::parse(&b.to_string()).expect("fits"));
            prop_assert_eq!(x.to_string(), a.to_string());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
    }
}
