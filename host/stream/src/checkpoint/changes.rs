//! What has changed in the state of a step, as a log of entries. An entry belongs to a key group, has a name that is
//! unique in its step, and either a value or none, which removes it. Later entries replace earlier ones.
//!
//! Layout of an entry, all numbers little-endian: key group `u16`, length of the name `u32`, length of the value `u32`
//! (`u32::MAX`: removed), expiry `i64`, name, value.

use crate::{Error, ErrorKind, Result};

/// The key group of entries that hold rows of any keys: every worker reads them and keeps what it owns.
pub const ANY_GROUP: u16 = u16::MAX;

/// The length that stands for "removed".
const REMOVED: u32 = u32::MAX;
/// Bytes before the name.
const HEAD: usize = 2 + 4 + 4 + 8;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Its key group.
    pub group: u16,
    /// Its name.
    pub name: &'a [u8],
    /// The watermark of its step at which it counts no more; `i64::MAX`: never. So what event time alone removes, such as
    /// windows that close, needs no entry of its own.
    pub expires: i64,
    /// Its value; `None` removes it.
    pub value: Option<&'a [u8]>,
}

impl Change<'_> {
    /// How many bytes it takes in a log.
    pub(super) fn length(&self) -> usize {
        HEAD + self.name.len() + self.value.map_or(0, <[u8]>::len)
    }
}

/// Takes changes down.
pub trait ChangeLog {
    /// Adds an entry.
    fn push(&mut self, change: Change<'_>);
}

/// Changes in the order in which they were noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    bytes: Vec<u8>,
    count: u64,
}

impl ChangeLog for Changes {
    fn push(&mut self, change: Change<'_>) {
        let value = change.value.unwrap_or_default();
        self.bytes.reserve(change.length());
        self.bytes.extend_from_slice(&change.group.to_le_bytes());
        self.bytes.extend_from_slice(&(change.name.len() as u32).to_le_bytes());
        let length = change.value.map_or(REMOVED, |value| value.len() as u32);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&change.expires.to_le_bytes());
        self.bytes.extend_from_slice(change.name);
        self.bytes.extend_from_slice(value);
        self.count += 1;
    }
}

impl Changes {
    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The log as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The log as bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        // What was pushed can be read.
        Self::read(&self.bytes).map_while(Result::ok)
    }

    /// The entries of a log that was stored. Ends with an error where the bytes are no entries.
    pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<Change<'_>>> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some((change, behind)) = split_first(rest) else {
                let message = format!("an entry of a state is cut off {} bytes before the end", rest.len());
                rest = &[];
                return Some(Err(Error::new(ErrorKind::Corrupt, message)));
            };
            rest = behind;
            Some(Ok(change))
        })
    }
}

fn split_first(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (group, rest) = bytes.split_first_chunk()?;
    let (name_len, rest) = rest.split_first_chunk()?;
    let (value_len, rest) = rest.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*name_len) as usize)?;
    let value_len = u32::from_le_bytes(*value_len);
    let (value, rest) = match value_len {
        REMOVED => (None, rest),
        len => rest.split_at_checked(len as usize).map(|(value, rest)| (Some(value), rest))?,
    };
    let change = Change { group: u16::from_le_bytes(*group), name, expires: i64::from_le_bytes(*expires), value };
    Some((change, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (u16, Vec<u8>, i64, Option<Vec<u8>>);

    fn changes() -> impl Strategy<Value = Vec<Owned>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec((any::<u16>(), bytes(), any::<i64>(), proptest::option::of(bytes())), 0..20)
    }

    fn log(all: &[Owned]) -> Changes {
        let mut log = Changes::default();
        for (group, name, expires, value) in all {
            log.push(Change { group: *group, name, expires: *expires, value: value.as_deref() });
        }
        log
    }

    proptest! {
        /// What was noted is what is read.
        #[test]
        fn round_trip(all in changes()) {
            let log = log(&all);
            let found: Vec<Owned> = Changes::read(log.bytes())
                .map(|change| change.expect("it was written"))
                .map(|c| (c.group, c.name.to_vec(), c.expires, c.value.map(<[u8]>::to_vec)))
                .collect();
            prop_assert_eq!(log.len(), all.len() as u64);
            prop_assert_eq!(found, all);
        }

        /// A log that is cut anywhere but between entries ends with an error, one of garbage does not panic.
        #[test]
        fn damage(all in changes(), cut: prop::sample::Index, garbage in proptest::collection::vec(any::<u8>(), 0..100)) {
            let log = log(&all);
            let ends: Vec<usize> = (0..=all.len()).map(|count| self::log(&all[..count]).bytes().len()).collect();
            let at = cut.index(log.bytes().len() + 1);
            let whole = Changes::read(&log.bytes()[..at]).all(|change| change.is_ok());
            prop_assert_eq!(whole, ends.contains(&at));
            Changes::read(&garbage).for_each(drop);
        }
    }
}
