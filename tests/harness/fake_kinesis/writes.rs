//! What producers call: records, and streams, splits and merges of those who look after them.

use super::call::{Answer, Outcome, Refusal, invalid, not_found, throttled};
use super::script::PutFault;
use super::shard::{Record, from_base64, hash_of, sequence};
use super::state::State;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Records of one request.
const RECORDS: usize = 500;
/// Bytes of one request, with the partition keys.
const REQUEST_BYTES: usize = 5 << 20;
/// Bytes of one record, with its partition key.
const RECORD_BYTES: usize = 1 << 20;

/// A record that is to be put, and the first 32 bits of its hash.
struct Entry {
    record: Record,
    hash: u64,
}

impl State {
    pub fn create_stream(&mut self, body: &Value) -> Answer {
        if !self.is_deleted {
            return Err(Refusal::new("ResourceInUseException", "the stream is there already"));
        }
        let shards = body["ShardCount"].as_u64().filter(|shards| *shards > 0);
        self.create(Self::even(shards.ok_or_else(|| invalid("ShardCount must be 1 or more"))?));
        Ok(Value::Null)
    }

    pub fn delete_stream(&mut self) -> Answer {
        self.delete();
        Ok(Value::Null)
    }

    pub fn put_record(&mut self, body: &Value) -> Outcome {
        let put = |state: &mut Self| {
            let entry = entry(body)?;
            state.store(entry)
        };
        put(self).into()
    }

    pub fn put_records(&mut self, body: &Value) -> Outcome {
        let entries = match entries(body) {
            Ok(entries) => entries,
            Err(refusal) => return refusal.into(),
        };
        let fault = self.put_faults.pop_front().flatten();
        let broken = || Refusal::new("InternalFailure", "scripted").with_status(500);
        if fault == Some(PutFault::Broken) {
            return broken().into();
        }
        let results: Vec<Value> = entries
            .into_iter()
            .enumerate()
            .map(|(at, entry)| {
                let stored = match fault {
                    Some(PutFault::Every(nth)) if at % nth == nth - 1 => Err(throttled("that was written too fast")),
                    Some(PutFault::Some { percent, seed }) if mixed(seed ^ at as u64) % 100 < percent => {
                        Err(throttled("that was written too fast"))
                    }
                    Some(PutFault::Half) if at % 2 == 1 => Err(Refusal::new("InternalFailure", "scripted")),
                    _ => self.store(entry),
                };
                stored.unwrap_or_else(|refusal| refusal.item())
            })
            .collect();
        match fault {
            Some(PutFault::StoredButBroken) => broken().into(),
            Some(PutFault::StoredButHungUp) => Outcome::HangUp,
            _ => {
                let failed = results.iter().filter(|result| !result["ErrorCode"].is_null()).count();
                Ok(json!({"FailedRecordCount": failed, "Records": results, "EncryptionType": "NONE"})).into()
            }
        }
    }

    fn store(&mut self, entry: Entry) -> Answer {
        let id = self.home(entry.hash).ok_or_else(|| invalid("no shard has this hash"))?;
        let now = self.clock.now();
        if self.limits.as_mut().is_some_and(|limits| !limits.write(&id, entry.record.size(), now)) {
            return Err(throttled(&id));
        }
        let number = self.push(&id, entry.record);
        Ok(json!({"ShardId": id, "SequenceNumber": sequence(number)}))
    }

    pub fn split_shard(&mut self, body: &Value) -> Answer {
        let id = self.open_shard(&body["ShardToSplit"])?;
        let hashes = self.shards[&id].hashes.clone();
        let key = body["NewStartingHashKey"].as_str().and_then(|key| key.parse::<u128>().ok());
        let middle = key.map(|key| (key >> 96) as u64).filter(|middle| *middle > hashes.start && *middle < hashes.end);
        let middle = middle.ok_or_else(|| invalid("NewStartingHashKey is not within the shard"))?;
        self.split_at(&id, middle);
        Ok(Value::Null)
    }

    pub fn merge_shards(&mut self, body: &Value) -> Answer {
        let lower = self.open_shard(&body["ShardToMerge"])?;
        let upper = self.open_shard(&body["AdjacentShardToMerge"])?;
        let adjacent = |low: &str, high: &str| self.shards[low].hashes.end == self.shards[high].hashes.start;
        match (adjacent(&lower, &upper), adjacent(&upper, &lower)) {
            (true, _) => self.merge(&lower, &upper),
            (_, true) => self.merge(&upper, &lower),
            _ => return Err(invalid("the shards are not adjacent")),
        }
        Ok(Value::Null)
    }

    fn open_shard(&self, id: &Value) -> Result<String, Refusal> {
        let id = id.as_str().unwrap_or_default();
        match self.shards.get(id) {
            Some(shard) if !shard.closed => Ok(id.to_owned()),
            Some(_) => Err(invalid(format!("{id} is closed"))),
            None => Err(not_found(format!("Shard {id} does not exist"))),
        }
    }

    /// The next requests that put records meet these.
    pub fn puts_meet(&mut self, faults: impl IntoIterator<Item = Option<PutFault>>) {
        self.put_faults = faults.into_iter().collect::<VecDeque<_>>();
    }
}

fn entries(body: &Value) -> Result<Vec<Entry>, Refusal> {
    let given = body["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if given.is_empty() || given.len() > RECORDS {
        return Err(Refusal::new("ValidationException", format!("{} records, expected 1 to {RECORDS}", given.len())));
    }
    let entries: Vec<_> = given.iter().map(entry).collect::<Result<_, _>>()?;
    let bytes: usize = entries.iter().map(|entry| entry.record.size()).sum();
    if bytes > REQUEST_BYTES {
        return Err(invalid(format!("Records size exceeds 5 MB limit: {bytes}")));
    }
    Ok(entries)
}

fn entry(given: &Value) -> Result<Entry, Refusal> {
    let key = given["PartitionKey"].as_str().unwrap_or_default();
    if key.is_empty() || key.chars().count() > 256 {
        return Err(Refusal::new("ValidationException", "a partition key has 1 to 256 characters"));
    }
    let data = given["Data"].as_str().and_then(from_base64);
    let data = data.ok_or_else(|| Refusal::new("SerializationException", "Data is not base64"))?;
    let record = Record { key: key.to_owned(), data, ..Record::default() };
    if record.size() > RECORD_BYTES {
        return Err(invalid(format!("a record of {} bytes, expected at most 1 MiB", record.size())));
    }
    let hash = match given["ExplicitHashKey"].as_str() {
        Some(hash) => {
            let hash: u128 = hash.parse().map_err(|_| invalid("ExplicitHashKey is no number of 128 bits"))?;
            (hash >> 96) as u64
        }
        None => hash_of(key),
    };
    Ok(Entry { record, hash })
}

/// A number that looks random (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
