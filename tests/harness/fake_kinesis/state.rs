//! What the server holds, and what tests do to it.

use super::call::Call;
use super::clock::Clock;
use super::fan_out::Consumer;
use super::limits::Limits;
use super::script::{Fault, PushFault, PutFault};
use super::shard::{FakeShard, Record, WHOLE};
use super::sign::Keys;
use super::{RETENTION_HOURS, arn};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// What a test does when an iterator expires.
pub type OnExpiry = Box<dyn FnOnce(&mut State) + Send>;

/// Records of one page, if a test does not say otherwise.
const PAGE: usize = 1_000;

/// The server's memory, and its script.
pub struct State {
    /// The shards by id.
    pub shards: BTreeMap<String, FakeShard>,
    /// What the next reads of every shard meet; without a fault, a page.
    pub faults: BTreeMap<String, VecDeque<Option<Fault>>>,
    /// What the next writes meet.
    pub put_faults: VecDeque<Option<PutFault>>,
    /// What the next subscriptions to every shard meet.
    pub push_faults: BTreeMap<String, VecDeque<Option<PushFault>>>,
    /// An answer to every call, before a shard is looked at.
    pub refusal: Option<(u16, &'static str)>,
    /// How many calls were refused by `refusal`.
    pub refused: usize,
    /// Runs when an iterator expires.
    pub on_expiry: Option<OnExpiry>,
    /// How many records a page holds at most.
    pub page: usize,
    /// Whether the last page of a closed shard names its children.
    pub names_children: bool,
    /// Whether a number that is not kept any more is refused. AWS goes on with the oldest record that is.
    pub refuses_trimmed: bool,
    /// Whether a subscription begins with an empty frame, as those of AWS do and those of kinesis-mock do not.
    pub greets: bool,
    /// Whether a subscription ends at the end of a closed shard, as those of AWS do and those of kinesis-mock do not.
    pub ends_subscriptions: bool,
    /// Whether there is no stream, or not any more.
    pub is_deleted: bool,
    /// How often the stream was created again.
    pub incarnation: u32,
    /// The number of the next shard that comes of a split or a merge.
    pub children: usize,
    /// How often the shards were listed.
    pub lists: usize,
    /// Every call, oldest first.
    pub calls: Vec<Call>,
    /// The limits of AWS, if they hold.
    pub limits: Option<Limits>,
    /// Who may call; `None`: anybody, and nothing is signed.
    pub keys: Option<Keys>,
    /// What time it is.
    pub clock: Clock,
    /// Consumers by name.
    pub consumers: BTreeMap<String, Consumer>,
    /// The number of the next record.
    next: u64,
}

impl State {
    /// Shards with records that have been there for an hour.
    pub fn new(shards: impl IntoIterator<Item = (String, FakeShard)>) -> Self {
        let mut state = Self {
            shards: BTreeMap::new(),
            faults: BTreeMap::new(),
            put_faults: VecDeque::new(),
            push_faults: BTreeMap::new(),
            refusal: None,
            refused: 0,
            on_expiry: None,
            page: PAGE,
            names_children: true,
            refuses_trimmed: false,
            greets: true,
            ends_subscriptions: true,
            is_deleted: false,
            incarnation: 0,
            children: 0,
            lists: 0,
            calls: Vec::new(),
            limits: None,
            keys: None,
            clock: Clock::default(),
            consumers: BTreeMap::new(),
            next: 0,
        };
        state.replace(shards);
        state
    }

    fn replace(&mut self, shards: impl IntoIterator<Item = (String, FakeShard)>) {
        let arrived = self.clock.now() - 3_600_000;
        self.shards.clear();
        for (id, mut shard) in shards {
            shard.born = self.next;
            for record in &mut shard.records {
                (record.number, record.arrived) = (self.next, arrived);
                self.next += 1;
            }
            self.shards.insert(id, shard);
        }
        // Ids are not given twice.
        self.children = self.shards.keys().filter(|id| id.starts_with("shardId-")).count();
    }

    /// So many shards, with equal shares of all hashes.
    pub fn even(shards: u64) -> impl Iterator<Item = (String, FakeShard)> {
        let start = move |at: u64| at * WHOLE.end / shards;
        (0..shards).map(move |at| {
            (format!("shardId-{at:012}"), FakeShard { hashes: start(at)..start(at + 1), ..FakeShard::default() })
        })
    }

    /// Puts a record into the open shard of a hash.
    pub fn put(&mut self, hash: u64, data: impl Into<Vec<u8>>) {
        let id = self.home(hash).expect("every hash has a shard");
        self.push(&id, Record::of(data));
    }

    /// Puts a record into this shard, and returns its number.
    pub fn push(&mut self, id: &str, record: Record) -> u64 {
        let (number, arrived) = (self.next, self.clock.now());
        self.next += 1;
        let shard = self.shards.get_mut(id).expect("a shard");
        shard.records.push(Record { number, arrived, ..record });
        number
    }

    /// The open shard of a hash.
    pub fn home(&self, hash: u64) -> Option<String> {
        let mut open = self.shards.iter().filter(|(_, shard)| !shard.closed && shard.hashes.contains(&hash));
        open.next().map(|(id, _)| id.clone())
    }

    /// The hashes of the open shard to which this one belongs.
    pub fn neighbours(&self, hash: u64) -> Range<u64> {
        let id = self.home(hash).expect("every hash has a shard");
        self.shards[&id].hashes.clone()
    }

    /// Shards that can be written to, in the order of their hashes.
    pub fn open(&self) -> Vec<String> {
        let mut open: Vec<_> = self.shards.iter().filter(|(_, shard)| !shard.closed).collect();
        open.sort_by_key(|(_, shard)| shard.hashes.start);
        open.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// Splits a shard in the middle.
    pub fn split(&mut self, id: &str) {
        let hashes = self.shards[id].hashes.clone();
        self.split_at(id, hashes.start.midpoint(hashes.end));
    }

    /// Splits a shard before this hash.
    pub fn split_at(&mut self, id: &str, middle: u64) {
        let hashes = self.close(id);
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
        self.delete();
        self.create(shards.into_iter().map(|(id, shard)| (id.to_owned(), shard)));
    }

    /// Deletes the stream.
    pub fn delete(&mut self) {
        (self.is_deleted, self.incarnation) = (true, self.incarnation + 1);
        self.consumers.clear();
    }

    /// Creates a stream with these shards.
    pub fn create(&mut self, shards: impl IntoIterator<Item = (String, FakeShard)>) {
        self.is_deleted = false;
        self.replace(shards);
    }

    /// Makes all records so much older, and keeps them although the stream should not.
    pub fn age(&mut self, hours: i64) {
        for record in self.shards.values_mut().flat_map(|shard| &mut shard.records) {
            record.arrived -= hours * 3_600_000;
        }
    }

    /// Lets time pass: iterators become old, and records are dropped that the stream has kept for long enough.
    pub fn pass(&mut self, millis: i64) {
        self.clock.ahead += millis;
        let kept_since = self.clock.now() - RETENTION_HOURS * 3_600_000;
        for shard in self.shards.values_mut() {
            let old = shard.records.iter().take_while(|record| record.arrived < kept_since).count();
            shard.trimmed = shard.trimmed.max(old);
        }
    }

    /// When the stream was created, in milliseconds.
    pub fn created(&self) -> i64 {
        1_700_000_000_250 + i64::from(self.incarnation) * 1_000
    }

    /// Whether a name or an ARN is that of the stream.
    pub fn is_called(&self, name: Option<&str>, given: Option<&str>) -> bool {
        name.is_none_or(|name| name == super::STREAM) && given.is_none_or(|given| given == arn())
    }

    fn close(&mut self, id: &str) -> Range<u64> {
        let shard = self.shards.get_mut(id).expect("a shard");
        assert!(!std::mem::replace(&mut shard.closed, true), "{id} is closed already");
        shard.hashes.clone()
    }

    fn child(&mut self, parents: &[&str], hashes: Range<u64>) {
        let parents = parents.iter().map(|id| (*id).to_owned()).collect();
        let child = FakeShard { parents, hashes, born: self.next, ..FakeShard::default() };
        self.shards.insert(format!("shardId-{:012}", self.children), child);
        self.children += 1;
    }
}
