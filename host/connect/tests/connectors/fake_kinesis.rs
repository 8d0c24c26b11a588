//! A stream of the fake Kinesis: shards that hold records and are split, merged and trimmed, iterators that may expire,
//! pages, and a script of faults that are met one per read. It knows the four calls that a polling reader makes, and is
//! stricter than AWS: it takes no number that it never gave, no time to come, and no iterator of an earlier stream.

use crate::http::{Reply, Request, Server};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// The stream's name.
pub const STREAM: &str = "trips";
/// Shards of one page of ListShards.
const SHARD_PAGE: usize = 2;
/// Real sequence numbers have 56 digits; these begin where those of the year 2020 did.
const FIRST_SEQUENCE: &str = "4960000000000000000000000000000000000000000000000";

/// What happens to a read instead of, or before, its answer.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The shard is read too often.
    Throttled,
    /// The server is broken.
    Broken,
    /// The iterator is too old.
    Expired,
    /// Nothing on this page, although there is more behind it.
    Empty,
    /// The answer breaks off in the middle.
    Cut,
    /// A proxy answers.
    Html,
    /// An answer without a body.
    NoBody,
    /// An object without anything in it.
    Braces,
    /// The connection closes without an answer.
    HungUp,
}

/// A shard.
#[derive(Debug, Default, Clone)]
pub struct FakeShard {
    /// Its parents.
    pub parents: Vec<String>,
    /// Whether it was split or merged.
    pub closed: bool,
    /// The data of its records, also of those that are not kept any more.
    pub records: Vec<Vec<u8>>,
    /// How many of the first records are not kept any more.
    pub trimmed: usize,
    /// The hashes of keys that belong to it, as the first 32 of 128 bits; empty: all.
    pub hashes: Range<u32>,
}

/// What a test does to the shards when an iterator expires.
type OnExpiry = Box<dyn FnMut(&mut BTreeMap<String, FakeShard>) + Send>;

/// What the server holds.
#[derive(Default)]
pub struct State {
    /// The shards by id.
    pub shards: BTreeMap<String, FakeShard>,
    /// What the next reads of every shard meet; without a fault, a page.
    pub faults: BTreeMap<String, VecDeque<Option<Fault>>>,
    /// Faults of every call before a shard is read.
    pub refusal: Option<(u16, &'static str)>,
    /// How many calls were refused by `refusal`.
    pub refused: usize,
    /// Runs when an iterator expires.
    pub on_expiry: Option<OnExpiry>,
    /// How many seconds ago all records arrived.
    pub age: f64,
    /// How many records a page holds at most.
    pub page: usize,
    /// Whether the last page of a closed shard names its children.
    pub names_children: bool,
    /// Whether a number that is not kept any more is refused. AWS goes on with the oldest record that is.
    pub refuses_trimmed: bool,
    /// How often the stream was created again.
    pub incarnation: u32,
    /// How many shards came of splits and merges.
    pub children: usize,
    /// How often the shards were listed.
    pub lists: usize,
}

/// A running fake.
pub struct FakeKinesis {
    /// Its server.
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeKinesis {
    /// Starts a server that holds `shards`.
    pub async fn start(shards: impl IntoIterator<Item = (&'static str, FakeShard)>) -> Self {
        let shards = shards.into_iter().map(|(id, shard)| (id.to_owned(), shard)).collect();
        let state = Arc::new(Mutex::new(State { shards, page: 1_000, names_children: true, ..State::default() }));
        let held = state.clone();
        let server = Server::start(move |request| held.lock().expect("no test panics in here").answer(&request)).await;
        Self { server, state }
    }

    /// What it holds.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }
}

/// The sequence number of a record.
pub fn sequence(number: usize) -> String {
    format!("{FIRST_SEQUENCE}{number:07}")
}

/// The ARN of the stream.
pub fn arn() -> String {
    format!("arn:aws:kinesis:eu-west-1:000000000000:stream/{STREAM}")
}

/// How long the stream keeps records, in hours.
pub const RETENTION_HOURS: i64 = 24;

impl State {
    /// Puts a record into the open shard of a hash.
    pub fn put(&mut self, hash: u32, data: impl Into<Vec<u8>>) {
        let mut open = self.shards.values_mut().filter(|shard| !shard.closed && shard.hashes.contains(&hash));
        open.next().expect("every hash has a shard").records.push(data.into());
    }

    /// The hashes of the open shard to which this one belongs.
    pub fn neighbours(&self, hash: u32) -> Range<u32> {
        let mut open = self.shards.values().filter(|shard| !shard.closed && shard.hashes.contains(&hash));
        open.next().expect("every hash has a shard").hashes.clone()
    }

    /// Shards that can be written to.
    pub fn open(&self) -> Vec<String> {
        self.shards.iter().filter(|(_, shard)| !shard.closed).map(|(id, _)| id.clone()).collect()
    }

    /// Splits a shard in the middle.
    pub fn split(&mut self, id: &str) {
        let hashes = self.close(id);
        let middle = hashes.start.midpoint(hashes.end);
        self.child(&[id], hashes.start..middle);
        self.child(&[id], middle..hashes.end);
    }

    /// Merges two neighbours, the lower first.
    pub fn merge(&mut self, lower: &str, upper: &str) {
        let (low, high) = (self.close(lower), self.close(upper));
        assert_eq!(low.end, high.start, "only neighbours can be merged");
        // Which of the two is called the adjacent parent is the service's business.
        self.child(&[upper, lower], low.start..high.end);
    }

    /// Deletes the stream and creates one of the same name with these shards.
    pub fn create_again(&mut self, shards: impl IntoIterator<Item = (&'static str, FakeShard)>) {
        self.shards = shards.into_iter().map(|(id, shard)| (id.to_owned(), shard)).collect();
        self.incarnation += 1;
    }

    fn close(&mut self, id: &str) -> Range<u32> {
        let shard = self.shards.get_mut(id).expect("a shard");
        assert!(!std::mem::replace(&mut shard.closed, true), "{id} is closed already");
        shard.hashes.clone()
    }

    fn child(&mut self, parents: &[&str], hashes: Range<u32>) {
        let parents = parents.iter().map(|id| (*id).to_owned()).collect();
        let child = FakeShard { parents, hashes, ..FakeShard::default() };
        self.shards.insert(format!("shardId-{:012}", self.children), child);
        self.children += 1;
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Some((status, code)) = self.refusal {
            self.refused += 1;
            return error(status, code);
        }
        if let Some(name) = body["StreamName"].as_str().filter(|name| *name != STREAM) {
            return Reply::Full(400, failure("ResourceNotFoundException", &format!("Stream {name} not found.")));
        }
        match request.header("x-amz-target").rsplit('.').next() {
            Some("DescribeStreamSummary") => self.describe(),
            Some("ListShards") => self.list(&body),
            Some("GetShardIterator") => self.iterator(&body),
            Some("GetRecords") => self.records(&body),
            _ => error(400, "UnknownOperationException"),
        }
    }

    fn describe(&self) -> Reply {
        let summary = json!({"StreamName": STREAM, "StreamARN": arn(), "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": RETENTION_HOURS, "EnhancedMonitoring": [], "OpenShardCount": self.open().len(),
            "StreamCreationTimestamp": 1_700_000_000.25 + f64::from(self.incarnation)});
        Reply::Full(200, json!({"StreamDescriptionSummary": summary}).to_string())
    }

    /// Pages of shards, the youngest first: the order of a list is nobody's promise.
    fn list(&mut self, body: &Value) -> Reply {
        let from = body["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
        self.lists += usize::from(from == 0);
        let page = self.shards.iter().rev().skip(from).take(SHARD_PAGE).map(|(id, shard)| {
            let mut range = json!({"StartingSequenceNumber": sequence(0)});
            if shard.closed {
                range["EndingSequenceNumber"] = sequence(shard.records.len()).into();
            }
            let mut listed = json!({"ShardId": id, "SequenceNumberRange": range, "HashKeyRange": key_range(shard)});
            for (key, parent) in ["ParentShardId", "AdjacentParentShardId"].into_iter().zip(&shard.parents) {
                listed[key] = parent.clone().into();
            }
            listed
        });
        let mut answer = json!({"Shards": page.collect::<Vec<_>>()});
        if from + SHARD_PAGE < self.shards.len() {
            answer["NextToken"] = (from + SHARD_PAGE).to_string().into();
        }
        Reply::Full(200, answer.to_string())
    }

    fn iterator(&self, body: &Value) -> Reply {
        let id = body["ShardId"].as_str().unwrap_or_default();
        let Some(shard) = self.shards.get(id) else { return error(400, "ResourceNotFoundException") };
        let given = body["StartingSequenceNumber"].as_str();
        let numbered = || (0..shard.records.len()).find(|number| Some(sequence(*number).as_str()) == given);
        let now = now();
        let next = match body["ShardIteratorType"].as_str() {
            Some("TRIM_HORIZON") => Some(0),
            // All records that a test adds later are newer than any time that a reader can name.
            Some("AT_TIMESTAMP") if body["Timestamp"].as_f64().is_some_and(|time| time <= now) => {
                Some(shard.records.iter().take_while(|record| !record.starts_with(b"new ")).count())
            }
            Some("AT_SEQUENCE_NUMBER") => numbered().filter(|number| !self.refuses_trimmed || *number >= shard.trimmed),
            _ => None,
        };
        let Some(next) = next else { return error(400, "InvalidArgumentException") };
        Reply::Full(200, json!({"ShardIterator": self.name_iterator(id, next.max(shard.trimmed))}).to_string())
    }

    fn name_iterator(&self, id: &str, next: usize) -> String {
        format!("{}@{id}@{next}", self.incarnation)
    }

    fn records(&mut self, body: &Value) -> Reply {
        let iterator = body["ShardIterator"].as_str().unwrap_or_default();
        let parts: Vec<_> = iterator.split('@').collect();
        let [incarnation, id, from] = parts[..] else { return error(400, "InvalidArgumentException") };
        if incarnation != self.incarnation.to_string() {
            return error(400, "InvalidArgumentException");
        }
        if !self.shards.contains_key(id) {
            return error(400, "ResourceNotFoundException");
        }
        let fault = self.faults.get_mut(id).and_then(VecDeque::pop_front).flatten();
        let limit = body["Limit"].as_u64().unwrap_or(10_000) as usize;
        let page = self.page(id, from.parse().unwrap_or(0), limit);
        match fault {
            None => Reply::Full(200, page),
            Some(Fault::Throttled) => error(400, "ProvisionedThroughputExceededException"),
            Some(Fault::Broken) => error(500, "InternalFailure"),
            Some(Fault::Expired) => {
                if let Some(mut act) = self.on_expiry.take() {
                    act(&mut self.shards);
                }
                error(400, "ExpiredIteratorException")
            }
            Some(Fault::Empty) => Reply::Full(
                200,
                json!({"Records": [], "NextShardIterator": iterator, "MillisBehindLatest": 1_000}).to_string(),
            ),
            Some(Fault::Cut) => {
                let keep = page.len() / 2;
                Reply::Cut(200, page, keep)
            }
            Some(Fault::Html) => Reply::Full(200, "<html>under construction</html>".to_owned()),
            Some(Fault::NoBody) => Reply::Full(200, String::new()),
            Some(Fault::Braces) => Reply::Full(200, "{}".to_owned()),
            Some(Fault::HungUp) => Reply::HangUp,
        }
    }

    fn page(&self, id: &str, from: usize, limit: usize) -> String {
        let arrived = now() - self.age;
        let Some(shard) = self.shards.get(id) else { return String::new() };
        let from = from.max(shard.trimmed);
        let to = shard.records.len().min(from + limit.min(self.page));
        let records = (from..to).map(|number| {
            json!({"SequenceNumber": sequence(number), "PartitionKey": "k", "Data": base64(&shard.records[number]),
                "ApproximateArrivalTimestamp": arrived})
        });
        let mut answer = json!({"Records": records.collect::<Vec<_>>(),
            "MillisBehindLatest": if to < shard.records.len() { 1_000 } else { 0 }});
        if !shard.closed || to < shard.records.len() {
            answer["NextShardIterator"] = self.name_iterator(id, to).into();
        } else if self.names_children {
            let children = self.shards.iter().filter(|(_, child)| child.parents.iter().any(|parent| parent == id));
            let children = children.map(
                |(id, child)| json!({"ShardId": id, "ParentShards": child.parents, "HashKeyRange": key_range(child)}),
            );
            answer["ChildShards"] = children.collect::<Vec<_>>().into();
        }
        answer.to_string()
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// The hash keys of a shard, the last included.
fn key_range(shard: &FakeShard) -> Value {
    let Range { start, end } = shard.hashes;
    let last = if start == end { u128::MAX } else { hash_key(end) - 1 };
    json!({"StartingHashKey": hash_key(start).to_string(), "EndingHashKey": last.to_string()})
}

/// The first hash key that has these 32 bits.
pub fn hash_key(hash: u32) -> u128 {
    u128::from(hash) << 96
}

fn error(status: u16, code: &str) -> Reply {
    Reply::Full(status, failure(code, "scripted"))
}

fn failure(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message}).to_string()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let wide = chunk.iter().fold(0u32, |wide, byte| wide << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(wide >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}
