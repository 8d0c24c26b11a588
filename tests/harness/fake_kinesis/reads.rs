//! What polling readers call: the description, lists of shards, iterators, pages.

use super::call::{Answer, Outcome, Refusal, invalid, not_found, throttled};
use super::clock::seconds;
use super::script::Fault;
use super::shard::{FakeShard, Record, sequence};
use super::state::State;
use super::{RETENTION_HOURS, STREAM, arn};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Shards of one page of ListShards.
const SHARD_PAGE: usize = 2;
/// How long an iterator lives, in milliseconds.
const ITERATOR_MILLIS: i64 = 300_000;
/// Bytes of one page.
const PAGE_BYTES: usize = 10 << 20;

impl State {
    pub fn describe(&self) -> Answer {
        let summary = json!({"StreamName": STREAM, "StreamARN": arn(), "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": RETENTION_HOURS, "EnhancedMonitoring": [], "OpenShardCount": self.open().len(),
            "StreamCreationTimestamp": seconds(self.created())});
        Ok(json!({"StreamDescriptionSummary": summary}))
    }

    /// Pages of shards, the youngest first: the order of a list is nobody's promise.
    pub fn list(&mut self, body: &Value) -> Answer {
        let now = self.clock.now();
        let from = body["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
        // Further pages belong to the same list.
        if from == 0 && self.limits.as_mut().is_some_and(|limits| !limits.list(now)) {
            return Err(Refusal::new("LimitExceededException", "Rate exceeded for ListShards"));
        }
        self.lists += usize::from(from == 0);
        let page = self.shards.iter().rev().skip(from).take(SHARD_PAGE).map(|(id, shard)| shard.listed(id));
        let mut answer = json!({"Shards": page.collect::<Vec<_>>()});
        if from + SHARD_PAGE < self.shards.len() {
            answer["NextToken"] = (from + SHARD_PAGE).to_string().into();
        }
        Ok(answer)
    }

    pub fn iterator(&self, body: &Value) -> Answer {
        let id = body["ShardId"].as_str().unwrap_or_default();
        let shard = self.shards.get(id).ok_or_else(|| not_found(format!("Shard {id} does not exist")))?;
        let number = body["StartingSequenceNumber"].as_str();
        let next = match body["ShardIteratorType"].as_str().unwrap_or_default() {
            kind @ ("TRIM_HORIZON" | "AT_TIMESTAMP" | "AT_SEQUENCE_NUMBER") => {
                self.start(shard, kind, number, body["Timestamp"].as_f64())?
            }
            // A reader that uses these loses what comes between two of them.
            other => return Err(invalid(format!("this server has no iterators of type {other}"))),
        };
        Ok(json!({"ShardIterator": self.name_iterator(id, next)}))
    }

    /// The first record to read from a place.
    pub fn start(
        &self,
        shard: &FakeShard,
        kind: &str,
        number: Option<&str>,
        time: Option<f64>,
    ) -> Result<usize, Refusal> {
        let at = |record: &Record| Some(sequence(record.number).as_str()) == number;
        let numbered = || {
            let found = shard.records.iter().position(at);
            let found = found.filter(|found| !self.refuses_trimmed || *found >= shard.trimmed);
            found.ok_or_else(|| invalid(format!("{number:?} did not come from this shard")))
        };
        let next = match kind {
            "TRIM_HORIZON" => 0,
            "AT_TIMESTAMP" => {
                let time = time.map(|seconds| (seconds * 1_000.0).round() as i64);
                let time = time.filter(|time| *time <= self.clock.now());
                let time = time.ok_or_else(|| invalid("a time that has not come yet"))?;
                shard.records.iter().take_while(|record| record.arrived < time).count()
            }
            "AT_SEQUENCE_NUMBER" => numbered()?,
            "AFTER_SEQUENCE_NUMBER" => numbered()? + 1,
            other => return Err(invalid(format!("{other} is no place"))),
        };
        Ok(next.max(shard.trimmed))
    }

    fn name_iterator(&self, id: &str, next: usize) -> String {
        format!("{}@{id}@{next}@{}", self.incarnation, self.clock.now())
    }

    pub fn records(&mut self, body: &Value) -> Outcome {
        let iterator = body["ShardIterator"].as_str().unwrap_or_default();
        let (id, from) = match self.read_iterator(iterator) {
            Ok(place) => place,
            Err(refusal) => return refusal.into(),
        };
        let fault = self.faults.get_mut(&id).and_then(VecDeque::pop_front).flatten();
        let now = self.clock.now();
        let allowed = self.limits.as_mut().is_none_or(|limits| limits.read(&id, now));
        match fault {
            _ if !allowed => return throttled(&id).into(),
            Some(Fault::Throttled) => return throttled(&id).into(),
            Some(Fault::Broken) => return Refusal::new("InternalFailure", "scripted").with_status(500).into(),
            Some(Fault::Expired) => {
                if let Some(act) = self.on_expiry.take() {
                    act(self);
                }
                return Refusal::new("ExpiredIteratorException", "scripted").into();
            }
            Some(Fault::Empty) => {
                let again = self.name_iterator(&id, from);
                let page = json!({"Records": [], "NextShardIterator": again, "MillisBehindLatest": 1_000});
                return Outcome::Body(200, page.to_string());
            }
            Some(Fault::Html) => return Outcome::Body(200, "<html>under construction</html>".to_owned()),
            Some(Fault::NoBody) => return Outcome::Body(200, String::new()),
            Some(Fault::Braces) => return Outcome::Body(200, "{}".to_owned()),
            Some(Fault::HungUp) => return Outcome::HangUp,
            None | Some(Fault::Cut | Fault::CutAt(_)) => {}
        }
        let limit = body["Limit"].as_u64().unwrap_or(10_000) as usize;
        let page = self.page(&id, from, limit).to_string();
        match fault {
            Some(Fault::CutAt(keep)) => Outcome::Cut(200, page, keep),
            Some(Fault::Cut) => {
                let keep = page.len() / 2;
                Outcome::Cut(200, page, keep)
            }
            _ => Outcome::Body(200, page),
        }
    }

    /// The shard and the place that an iterator stands for.
    fn read_iterator(&self, iterator: &str) -> Result<(String, usize), Refusal> {
        let parts: Vec<_> = iterator.split('@').collect();
        let [incarnation, id, from, made] = parts[..] else { return Err(invalid("this is no iterator")) };
        if incarnation != self.incarnation.to_string() {
            return Err(invalid("an iterator of another stream"));
        }
        if !self.shards.contains_key(id) {
            return Err(not_found(format!("Shard {id} does not exist")));
        }
        if made.parse().is_ok_and(|made: i64| self.clock.now() - made > ITERATOR_MILLIS) {
            return Err(Refusal::new("ExpiredIteratorException", "the iterator is older than five minutes"));
        }
        Ok((id.to_owned(), from.parse().map_err(|_| invalid("this is no iterator"))?))
    }

    fn page(&mut self, id: &str, from: usize, limit: usize) -> Value {
        let now = self.clock.now();
        let Some(shard) = self.shards.get(id) else { return Value::Null };
        let from = from.max(shard.trimmed);
        let (records, bytes) = shard.page(from, limit.min(self.page));
        let next = from + records.len();
        let records: Vec<_> = records.iter().map(Record::json).collect();
        let mut answer = json!({"Records": records, "MillisBehindLatest": shard.behind(next, now)});
        if !shard.closed || next < shard.records.len() {
            answer["NextShardIterator"] = self.name_iterator(id, next).into();
        } else if self.names_children {
            answer["ChildShards"] = self.children_of(id);
        }
        if let Some(limits) = &mut self.limits {
            limits.has_given(id, bytes, now);
        }
        answer
    }
}

impl FakeShard {
    /// Up to so many records from a place, and their bytes: no more than fit one page.
    pub fn page(&self, from: usize, limit: usize) -> (&[Record], usize) {
        let rest = self.records.get(from..).unwrap_or_default();
        let mut bytes = 0;
        let fits = |record: &&Record| {
            bytes += record.size();
            bytes <= PAGE_BYTES
        };
        let count = rest.iter().take(limit).take_while(fits).count();
        let records = &rest[..count];
        (records, records.iter().map(Record::size).sum())
    }
}
