//! Packing user records into one record, in the format of the Kinesis Producer Library. Pure. `aggregate` reads it.

use md5::{Digest, Md5};

/// What a producer packs.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Partition keys.
    pub partition_keys: Vec<String>,
    /// Explicit hash keys, in decimal.
    pub hash_keys: Vec<String>,
    /// The user records.
    pub records: Vec<UserRecord>,
}

/// A user record.
#[derive(Debug, Clone)]
pub struct UserRecord {
    /// Its place in the table of partition keys.
    pub partition_key: u64,
    /// Its place in the table of explicit hash keys.
    pub hash_key: Option<u64>,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Aggregate {
    /// User records of one partition key, with an explicit hash key if there is one.
    pub fn of(key: &str, hash_key: Option<u128>, records: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let index = hash_key.map(|_| 0);
        let record = |data| UserRecord { partition_key: 0, hash_key: index, data };
        Self {
            partition_keys: vec![key.to_owned()],
            hash_keys: hash_key.iter().map(u128::to_string).collect(),
            records: records.into_iter().map(|data| record(data.into())).collect(),
        }
    }

    /// The record that carries it.
    pub fn pack(&self) -> Vec<u8> {
        seal(&self.message())
    }

    /// The protobuf message, as the document of the format has it.
    pub fn message(&self) -> Vec<u8> {
        let mut message = Vec::new();
        self.partition_keys.iter().for_each(|key| bytes(1, key.as_bytes(), &mut message));
        self.hash_keys.iter().for_each(|key| bytes(2, key.as_bytes(), &mut message));
        for record in &self.records {
            let mut inner = Vec::new();
            number(1, record.partition_key, &mut inner);
            record.hash_key.iter().for_each(|index| number(2, *index, &mut inner));
            bytes(3, &record.data, &mut inner);
            bytes(3, &inner, &mut message);
        }
        message
    }
}

/// A message between the magic bytes and its digest.
pub fn seal(message: &[u8]) -> Vec<u8> {
    [&[0xf3, 0x89, 0x9a, 0xc2], message, &Md5::digest(message)].concat()
}

fn number(field: u64, value: u64, message: &mut Vec<u8>) {
    varint(field << 3, message);
    varint(value, message);
}

fn bytes(field: u64, value: &[u8], message: &mut Vec<u8>) {
    varint(field << 3 | 2, message);
    varint(value.len() as u64, message);
    message.extend_from_slice(value);
}

fn varint(mut value: u64, message: &mut Vec<u8>) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
