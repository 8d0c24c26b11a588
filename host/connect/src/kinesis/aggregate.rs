//! Records into which their producer has packed several user records: the aggregated record format of the Kinesis Producer
//! Library. Magic bytes, a protobuf message, the MD5 of that message. Pure.
//!
//! Anything that does not fit is not an aggregate but a record as it is: a wrong digest, a message that cannot be read, an
//! index outside its table, a hash key that is no number. (KCL logs the last two and loses the rest of the record.)
//!
//! The message is read in place. Parsed into structures, as a generated reader would, a user record of six bytes takes
//! more than sixty, and an aggregate may have hundreds of thousands of them.

mod wire;

use md5::{Digest, Md5};
use std::ops::RangeInclusive;
use wire::{Fields, Malformed, Value};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// The hashes of keys that belong to a shard.
pub type Hashes = RangeInclusive<u128>;

/// A user record of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserRecord {
    /// Which it is, from 0. Those of other shards count.
    pub sub: u32,
    /// Where its bytes lie in the aggregate.
    pub start: u32,
    /// One past them.
    pub end: u32,
}

/// An aggregate.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Aggregate {
    /// Its user records, in order, without those of other shards.
    pub records: Vec<UserRecord>,
    /// How many belong to other shards. Their producer has learnt that they came to the wrong shard, after a split, and has
    /// sent them again.
    pub elsewhere: u32,
}

/// Whether a record may be an aggregate.
pub fn has_magic(record: &[u8]) -> bool {
    record.starts_with(&MAGIC)
}

/// Reads an aggregate; `None`: the record is none. Without `hashes`, all user records belong to the shard.
pub fn read(record: &[u8], hashes: Option<&Hashes>) -> Option<Aggregate> {
    let (message, digest) = record.strip_prefix(&MAGIC)?.split_last_chunk::<16>()?;
    if message.is_empty() || Md5::digest(message)[..] != digest[..] {
        return None;
    }
    let tables = Tables::read(message, hashes).ok()?;
    tables.user_records(message, MAGIC.len()).ok()
}

/// For each key of a message whether its user records belong to the shard: a byte for each, as tables may be as long as
/// the aggregate.
#[derive(Default)]
struct Tables {
    partition_keys: Vec<bool>,
    /// `None`: it is no hash key. No user record may name it.
    hash_keys: Vec<Option<bool>>,
}

impl Tables {
    fn read(message: &[u8], hashes: Option<&Hashes>) -> Result<Self, Malformed> {
        let belongs = |hash: u128| hashes.is_none_or(|hashes| hashes.contains(&hash));
        let mut tables = Self::default();
        for field in Fields::of(message) {
            match field? {
                // Without hashes there is nothing to compare with, and no reason to hash.
                (1, Value::Bytes { bytes, .. }) => {
                    tables.partition_keys.push(hashes.is_none() || belongs(hash_of(bytes)));
                }
                (2, Value::Bytes { bytes, .. }) => {
                    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
                    tables.hash_keys.push(number.map(belongs));
                }
                (1 | 2, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(tables)
    }

    /// The user records of a message that begins at `offset` of its record.
    fn user_records(&self, message: &[u8], offset: usize) -> Result<Aggregate, Malformed> {
        let mut aggregate = Aggregate::default();
        for field in Fields::of(message) {
            match field? {
                (3, Value::Bytes { at, bytes }) => {
                    let sub = aggregate.elsewhere + aggregate.records.len() as u32;
                    match self.user_record(bytes)? {
                        Some((start, end)) => {
                            let place = |within: usize| u32::try_from(offset + at + within).map_err(|_| Malformed);
                            aggregate.records.push(UserRecord { sub, start: place(start)?, end: place(end)? });
                        }
                        None => aggregate.elsewhere += 1,
                    }
                }
                (3, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(aggregate)
    }

    /// Where the bytes of a user record lie in its message; `None`: it belongs to another shard.
    fn user_record(&self, message: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
        let (mut partition_key, mut hash_key, mut data) = (None, None, None);
        for field in Fields::of(message) {
            match field? {
                (1, Value::Number(index)) => partition_key = Some(index),
                (2, Value::Number(index)) => hash_key = Some(index),
                (3, Value::Bytes { at, bytes }) => data = Some((at, at + bytes.len())),
                (1..=3, _) => return Err(Malformed),
                _ => {}
            }
        }
        let (Some(partition_key), Some(data)) = (partition_key, data) else { return Err(Malformed) };
        let by_partition_key = *entry(&self.partition_keys, partition_key)?;
        let belongs = match hash_key {
            Some(index) => entry(&self.hash_keys, index)?.ok_or(Malformed)?,
            None => by_partition_key,
        };
        Ok(belongs.then_some(data))
    }
}

fn entry<T>(table: &[T], index: u64) -> Result<&T, Malformed> {
    usize::try_from(index).ok().and_then(|index| table.get(index)).ok_or(Malformed)
}

/// The hash of a partition key, as the service finds the shard.
fn hash_of(partition_key: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

#[cfg(test)]
mod tests;
