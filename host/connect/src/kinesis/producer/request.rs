//! A request: parcels of records within the limits of PutRecords.

use super::lanes::{Lane, Outgoing};
use super::target::{Entry, Fate, Target};
use crate::kinesis::pack::{Aggregate, UserRecord};
use std::collections::HashMap;
use std::sync::Arc;
use wasmill_stream::Result;

/// Most requests on their way.
pub const REQUESTS: f64 = 8.0;
/// Records of one request.
pub const RECORDS: usize = 500;
/// Bytes of one request, with the partition keys.
const BYTES: usize = 5 << 20;
/// The most that the numbers and lengths of a packed record take.
const PACKING: usize = 32;
/// What stands around the records of an aggregate: its magic and its digest.
const AROUND: usize = 20;
/// The digits of the longest hash key.
const HASH_DIGITS: usize = 39;

/// Records that are sent as one.
#[derive(Debug)]
pub struct Parcel {
    /// The lane that they came from.
    pub lane: Lane,
    /// The first hash of the shard whose budget they are taken from.
    pub shard: u128,
    /// The shard that they should come to.
    pub meant_for: String,
    /// The records.
    pub records: Vec<Outgoing>,
}

impl Parcel {
    /// Nothing of a lane.
    pub fn empty(lane: Lane) -> Self {
        Self { lane, shard: 0, meant_for: String::new(), records: Vec::new() }
    }

    /// The record of Kinesis: the only one as it is, several as an aggregate.
    fn entry(&self) -> Option<Entry> {
        let first = self.records.first()?;
        if let [only] = self.records.as_slice() {
            return Some(Entry { key: only.key.to_string(), hash: only.hash, data: only.data.to_vec() });
        }
        let data = aggregate(&self.records).pack();
        Some(Entry { key: first.key.to_string(), hash: Some(first.home()), data })
    }

    /// About how many bytes it is.
    fn size(&self) -> usize {
        match self.records.as_slice() {
            [only] => only.size(),
            several => {
                let key = several.first().map_or(0, |first| first.key.len());
                key + AROUND + several.iter().map(packed_size).sum::<usize>()
            }
        }
    }
}

/// How many bytes of an aggregate a record takes at most.
pub fn packed_size(record: &Outgoing) -> usize {
    record.size() + PACKING + record.hash.map_or(0, |_| HASH_DIGITS)
}

fn aggregate(records: &[Outgoing]) -> Aggregate {
    let (mut keys, mut hashes) = (Table::default(), Table::default());
    let records = records.iter().map(|record| UserRecord {
        partition_key: keys.index(&record.key),
        hash_key: record.hash.map(|hash| hashes.index(&hash.to_string())),
        data: record.data.to_vec(),
    });
    let records = records.collect();
    Aggregate { partition_keys: keys.texts, hash_keys: hashes.texts, records }
}

/// Different texts, each with its place.
#[derive(Default)]
struct Table {
    places: HashMap<String, u64>,
    texts: Vec<String>,
}

impl Table {
    fn index(&mut self, text: &str) -> u64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u64;
        self.places.insert(text.to_owned(), place);
        self.texts.push(text.to_owned());
        place
    }
}

/// Parcels that are sent together.
#[derive(Default)]
pub struct Request {
    parcels: Vec<Parcel>,
    bytes: usize,
    last_bytes: usize,
}

impl Request {
    /// Adds a parcel, or gives it back if there is no more room.
    pub fn add(&mut self, parcel: Parcel) -> std::result::Result<(), Parcel> {
        let bytes = parcel.size();
        if self.parcels.len() >= RECORDS || !self.parcels.is_empty() && self.bytes + bytes > BYTES {
            return Err(parcel);
        }
        (self.bytes, self.last_bytes) = (self.bytes + bytes, bytes);
        self.parcels.push(parcel);
        Ok(())
    }

    /// How many bytes the last parcel has.
    pub fn last_bytes(&self) -> usize {
        self.last_bytes
    }

    /// What is to be sent.
    pub fn into_parcels(self) -> Vec<Parcel> {
        self.parcels
    }
}

/// A request and what became of it.
pub struct Sent {
    /// What was sent.
    pub parcels: Vec<Parcel>,
    /// What became of each parcel.
    pub answer: Result<Vec<Fate>>,
}

/// Sends parcels. None of them is empty.
pub async fn send(target: Arc<Target>, parcels: Vec<Parcel>) -> Sent {
    let entries = parcels.iter().filter_map(Parcel::entry).collect();
    let answer = target.put(entries).await;
    Sent { parcels, answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinesis::aggregate::read;
    use bytes::Bytes;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        /// What is packed is read again, by the shards that its records belong to, and is no larger than was said.
        #[test]
        fn packed_and_read(
            given in proptest::collection::vec(("[a-zé]{1,9}", any::<Option<u128>>(), any::<Vec<u8>>()), 2..30),
            last in any::<u128>(),
        ) {
            let record = |(key, hash, data): (String, Option<u128>, Vec<u8>)| {
                Outgoing { key: key.into(), hash, data: Bytes::from(data), token: 0 }
            };
            let records: Vec<_> = given.into_iter().map(record).collect();
            let parcel = Parcel { records, ..Parcel::empty(Lane::Shard(0)) };
            let entry = parcel.entry().expect("it has records");
            prop_assert!(entry.data.len() <= parcel.size() + 20, "{} of {}", entry.data.len(), parcel.size());
            let aggregate = read(&entry.data, Some(&(0..=last))).expect("an aggregate");
            let found: Vec<_> =
                aggregate.records.iter().map(|one| &entry.data[one.start as usize..one.end as usize]).collect();
            let expected = parcel.records.iter().filter(|record| record.home() <= last);
            prop_assert_eq!(found, expected.map(|record| &record.data[..]).collect::<Vec<_>>());
        }
    }
}
