//! Shards and their records.

use super::clock::seconds;
use super::state::State;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::ops::Range;

/// Real sequence numbers have 56 digits; these begin where those of the year 2020 did.
const FIRST_SEQUENCE: &str = "496000000000000000000000000000000000000000000000";
/// The first 32 bits of all hashes.
pub const WHOLE: Range<u64> = 0..1 << 32;

/// A record.
#[derive(Debug, Default, Clone)]
pub struct Record {
    /// Its number among all records of the stream.
    pub number: u64,
    /// Its partition key.
    pub key: String,
    /// Its bytes.
    pub data: Vec<u8>,
    /// When it arrived, in milliseconds.
    pub arrived: i64,
}

impl Record {
    /// A record of a stream that is to be: it gets its number there.
    pub fn of(data: impl Into<Vec<u8>>) -> Self {
        Self { key: "k".to_owned(), data: data.into(), ..Self::default() }
    }

    /// As reads and subscriptions have it.
    pub fn json(&self) -> Value {
        json!({"SequenceNumber": sequence(self.number), "PartitionKey": self.key, "Data": base64(&self.data),
            "ApproximateArrivalTimestamp": seconds(self.arrived), "EncryptionType": "NONE"})
    }

    /// A number behind this record's, which is that of none: only a subscription goes on with it.
    fn continuation(&self) -> String {
        format!("{FIRST_SEQUENCE}{:07}5", self.number)
    }

    /// What counts for the limits of the service.
    pub fn size(&self) -> usize {
        self.data.len() + self.key.len()
    }
}

/// A shard.
#[derive(Debug, Clone)]
pub struct FakeShard {
    /// Its parents.
    pub parents: Vec<String>,
    /// Whether it was split or merged.
    pub closed: bool,
    /// Its records, also those that are not kept any more.
    pub records: Vec<Record>,
    /// How many of the first records are not kept any more.
    pub trimmed: usize,
    /// The hashes of keys that belong to it, as the first 32 of 128 bits.
    pub hashes: Range<u64>,
    /// The number from which it was there.
    pub born: u64,
}

impl Default for FakeShard {
    fn default() -> Self {
        Self { parents: Vec::new(), closed: false, records: Vec::new(), trimmed: 0, hashes: WHOLE, born: 0 }
    }
}

impl FakeShard {
    /// The hash keys of the shard, the last included.
    pub fn key_range(&self) -> Value {
        let Range { start, end } = self.hashes;
        let last = hash_key(end - 1) | (u128::MAX >> 32);
        json!({"StartingHashKey": hash_key(start).to_string(), "EndingHashKey": last.to_string()})
    }

    /// As a list of shards has it.
    pub fn listed(&self, id: &str) -> Value {
        let mut range = json!({"StartingSequenceNumber": sequence(self.born)});
        if self.closed {
            let last = self.records.last().map_or(self.born, |record| record.number);
            range["EndingSequenceNumber"] = sequence(last).into();
        }
        let mut listed = json!({"ShardId": id, "SequenceNumberRange": range, "HashKeyRange": self.key_range()});
        for (key, parent) in ["ParentShardId", "AdjacentParentShardId"].into_iter().zip(&self.parents) {
            listed[key] = parent.clone().into();
        }
        listed
    }

    /// The number that a subscription goes on with which has had everything before `next`.
    pub fn continuation(&self, next: usize) -> String {
        match next.checked_sub(1).and_then(|last| self.records.get(last)) {
            Some(record) => record.continuation(),
            None => format!("{FIRST_SEQUENCE}{:07}3", self.born),
        }
    }

    /// Where a subscription goes on with such a number.
    pub fn behind_continuation(&self, number: &str) -> Option<usize> {
        if number == self.continuation(0) {
            return Some(0);
        }
        self.records.iter().position(|record| record.continuation() == number).map(|before| before + 1)
    }

    /// How far the reader that has everything before `next` is behind, in milliseconds.
    pub fn behind(&self, next: usize, now: i64) -> i64 {
        // A record that arrived just now leaves a reader behind too.
        self.records.get(next).map_or(0, |record| (now - record.arrived).max(1))
    }
}

impl State {
    /// The children of a shard, as the last answer of a closed one names them.
    pub fn children_of(&self, id: &str) -> Value {
        let children = self.shards.iter().filter(|(_, child)| child.parents.iter().any(|parent| parent == id));
        let named = children.map(
            |(id, child)| json!({"ShardId": id, "ParentShards": child.parents, "HashKeyRange": child.key_range()}),
        );
        named.collect::<Vec<_>>().into()
    }
}

/// The sequence number of a record.
pub fn sequence(number: u64) -> String {
    format!("{FIRST_SEQUENCE}{number:07}0")
}

/// The first hash key that has these 32 bits.
pub fn hash_key(hash: u64) -> u128 {
    u128::from(hash) << 96
}

/// The first 32 bits of the hash of a partition key.
pub fn hash_of(key: &str) -> u64 {
    (u128::from_be_bytes(Md5::digest(key).into()) >> 96) as u64
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let wide = chunk.iter().fold(0u32, |wide, byte| wide << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(wide >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}

/// Text as bytes; `None`: it is not base64.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes();
    let (mut bytes, mut wide, mut bits) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for digit in digits {
        let digit = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        wide = wide << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((wide >> bits) as u8);
        }
    }
    text.len().is_multiple_of(4).then_some(bytes)
}
