//! Where a record came from: a split of a source and a place in that split. Positions order within a split only.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One ordered part of a source: a Kinesis shard, one of the N splits of a replay, standard input.
/// Printed as `source/part`. Two with the same name are the same, whatever they know of their parents.
#[derive(Debug, Clone)]
pub struct SplitId(Arc<Named>);

#[derive(Debug)]
struct Named {
    name: Box<str>,
    parents: Box<[String]>,
}

impl SplitId {
    /// The split `part` of the source called `source` in the job file.
    pub fn new(source: &str, part: impl fmt::Display) -> Self {
        Self::behind(source, part, Vec::new())
    }

    /// The same, of a split that goes on after others, which are given by their names within the source.
    pub fn behind(source: &str, part: impl fmt::Display, parents: Vec<String>) -> Self {
        Self(Arc::new(Named { name: format!("{source}/{part}").into(), parents: parents.into() }))
    }

    /// `source/part`
    pub fn as_str(&self) -> &str {
        &self.0.name
    }

    /// Its name within its source. Names of sources have no slash.
    pub fn part(&self) -> &str {
        self.0.name.split_once('/').map_or("", |(_, part)| part)
    }

    /// The splits that it goes on after, by their names within the source, as far as the source has said.
    pub fn parents(&self) -> &[String] {
        &self.0.parents
    }
}

impl PartialEq for SplitId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SplitId {}

impl PartialOrd for SplitId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SplitId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for SplitId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
        // The most decimal digits of which all numbers fit into a limb.
        const DIGITS: u128 = 10_000_000_000_000_000_000;
        let (mut limbs, mut groups, mut count) = (self.limbs, [0u64; 4], 0);
        for group in &mut groups {
            let mut rest = 0u128;
            for limb in &mut limbs {
                let wide = (rest << 64) | u128::from(*limb);
                *limb = (wide / DIGITS) as u64;
                rest = wide % DIGITS;
            }
            *group = rest as u64;
            count += 1;
            if limbs == [0; 3] {
                break;
            }
        }
        let mut groups = groups.iter().take(count).rev();
        groups.next().map_or(Ok(()), |first| write!(f, "{first}"))?;
        groups.try_for_each(|group| write!(f, "{group:019}"))
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

/// Where a record stands in a Kinesis shard: its sequence number and, if its producer packed several user records into one
/// Kinesis record, which of them it is. Printed as `sequence` or `sequence:sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtendedSequence {
    /// The number of the Kinesis record.
    pub sequence: Sequence,
    /// The place among its user records, from 0; `None`: the Kinesis record itself.
    pub sub: Option<u32>,
}

impl ExtendedSequence {
    /// Reads what is printed.
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, sub) = match text.split_once(':') {
            // Only digits: `u32` would take a sign as well.
            Some((sequence, sub)) if sub.bytes().all(|digit| digit.is_ascii_digit()) => {
                (sequence, Some(sub.parse().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        Some(Self { sequence: Sequence::parse(sequence)?, sub })
    }

    /// Whether somebody who has all up to this place has that one too. A Kinesis record that was taken as a whole has all
    /// its user records.
    pub fn covers(&self, place: &Self) -> bool {
        place <= self || (self.sub.is_none() && place.sequence == self.sequence)
    }
}

impl From<Sequence> for ExtendedSequence {
    fn from(sequence: Sequence) -> Self {
        Self { sequence, sub: None }
    }
}

impl fmt::Display for ExtendedSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sub {
            Some(sub) => write!(f, "{}:{sub}", self.sequence),
            None => self.sequence.fmt(f),
        }
    }
}

impl Serialize for ExtendedSequence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExtendedSequence {
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
    /// A Kinesis sequence number, and a sub-sequence number where there is one.
    Sequence(ExtendedSequence),
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
    /// Kinesis sequence numbers, one per row: chunks without user records need no more.
    Sequences(Vec<Sequence>),
    /// Sequence numbers of which some have a sub-sequence number, one per row.
    Extended(Vec<ExtendedSequence>),
}

impl Positions {
    /// The position of row `row`.
    pub fn get(&self, row: usize) -> Option<Position> {
        match self {
            Self::Consecutive { first } => Some(Position::Number(first + row as u64)),
            Self::Sequences(all) => all.get(row).map(|sequence| Position::Sequence((*sequence).into())),
            Self::Extended(all) => all.get(row).copied().map(Position::Sequence),
        }
    }

    /// The position of row `row` as text, for messages, ids and dead letters.
    pub fn text(&self, row: usize) -> String {
        self.get(row).map(|position| position.to_string()).unwrap_or_default()
    }

    /// How many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Consecutive { .. } => 0,
            Self::Sequences(all) => size_of_val(all.as_slice()),
            Self::Extended(all) => size_of_val(all.as_slice()),
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
        let largest = Sequence { limbs: [u64::MAX; 3] };
        assert_eq!(largest.to_string(), "6277101735386680763835789423207666416102355444464034512895");
        for text in ["0", "10000000000000000000", "100000000000000000000000000000000000000"] {
            assert_eq!(Sequence::parse(text).map(|number| number.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Sequence::parse("12a"), None);
        assert_eq!(Sequence::parse(&"9".repeat(60)), None);
    }

    fn place(text: &str) -> ExtendedSequence {
        ExtendedSequence::parse(text).expect(text)
    }

    /// User records come in the order of their numbers, which is not that of texts, between the records around theirs; a
    /// record that was taken as a whole covers all of its own and nothing behind it.
    #[test]
    fn user_records_have_their_order() {
        let ascending = ["9", "10:0", "10:9", "10:10", "11"].map(place);
        assert!(ascending.is_sorted_by(|one, next| one < next && next.covers(one) && !one.covers(next)));
        assert!(place("10").covers(&place("10:7")) && !place("10").covers(&place("11:0")));
        assert!(!place("10:7").covers(&place("10:8")) && place("10:7").covers(&place("10:7")));
    }

    /// Positions in checkpoints: those of format 1 are read as they were written, those of user records come back, and
    /// anything else is no position.
    #[test]
    fn written_positions() {
        let frozen = [
            ("{\"number\":7}", Position::Number(7)),
            ("{\"sequence\":\"4959\"}", Position::Sequence(place("4959"))),
            ("{\"sequence\":\"4959:12\"}", Position::Sequence(place("4959:12"))),
        ];
        for (text, position) in frozen {
            assert_eq!(serde_json::from_str::<Position>(text).expect(text), position);
            assert_eq!(serde_json::to_string(&position).expect("JSON"), text);
        }
        for text in ["", ":", "7:", ":7", "7:-1", "7:+1", "7:4294967296", "7:1:1", "7 :1"] {
            assert_eq!(ExtendedSequence::parse(text), None, "{text}");
        }
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
