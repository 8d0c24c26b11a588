//! A stream with everything that a stream can have: splits and merges, aggregates, bad records, rows that a plugin fails on; over
//! some hours.

use crate::harness::cells;
use crate::harness::chance::Chance;
use crate::harness::fake_kinesis::{FakeKinesis, Record, State, WHOLE, hash_key, sequence};
use crate::oracle::windows::Row;
use serde_json::{Value, json};
use std::ops::Range;
use wasmill_connect::pack::Aggregate;

/// Rows whose id is a multiple of this make a plugin fail.
pub const POISON: u64 = 397;
/// Keys of records; their hashes are spread evenly.
const KEYS: usize = 16;
const SHARDS: u64 = 3;
/// How often something happens to the stream, about every five minutes.
const HAPPENINGS: usize = 90;
const START: i64 = 1_356_998_400_000;
const DISORDER: usize = 30_000;

/// A record, or a user record of an aggregate.
pub struct Sent {
    pub id: u64,
    pub key: usize,
    pub shard: String,
    pub sequence: String,
    pub sub: Option<u32>,
    pub arrived: i64,
    pub bytes: Vec<u8>,
    /// `None`: it is no row.
    pub row: Option<Row>,
}

impl Sent {
    /// Whether it comes through.
    pub fn is_good(&self) -> bool {
        self.row.is_some() && !self.id.is_multiple_of(POISON)
    }

    /// Its shard and its position.
    pub fn place(&self) -> (String, String) {
        let sub = self.sub.map(|sub| format!(":{sub}")).unwrap_or_default();
        (self.shard.clone(), format!("{}{sub}", self.sequence))
    }

    /// When it arrived, as the folders of an archive have it.
    pub fn day_and_hour(&self) -> (String, i64) {
        let text = iso(self.arrived);
        (text[..10].to_owned(), text[11..13].parse().expect("an hour"))
    }
}

/// A time as a job file has it.
pub fn iso(millis: i64) -> String {
    wasmill_stream::time::iso8601(millis)
}

/// The stream, and what was put into it.
pub struct Input {
    pub fake: FakeKinesis,
    pub sent: Vec<Sent>,
    /// When it was created.
    begun: i64,
}

impl Input {
    /// Has everything happen.
    pub fn publish(chance: &mut Chance) -> Self {
        let fake = FakeKinesis::with_shards(SHARDS);
        let begun = {
            let mut state = fake.state();
            state.page = 25;
            state.clock.stop();
            state.clock.ahead = -(HAPPENINGS as i64) * 300_000;
            state.clock.now()
        };
        let mut input = Self { fake, sent: Vec::new(), begun };
        for _ in 0..HAPPENINGS {
            input.fake.state().pass(200_000 + chance.below(100_000) as i64);
            match chance.below(8) {
                0 => split(&mut input.fake.state(), chance),
                1 => merge(&mut input.fake.state(), chance),
                _ => (0..chance.below(80)).for_each(|_| input.put(chance)),
            }
        }
        input
    }

    fn put(&mut self, chance: &mut Chance) {
        self.fake.state().pass(chance.below(30) as i64);
        let key = chance.below(KEYS);
        let hash = key as u64 * WHOLE.end / KEYS as u64;
        let packed = if chance.below(6) == 0 { 1 + chance.below(5) } else { 0 };
        let first = self.sent.len() as u64 + 1;
        let records: Vec<_> = (0..packed.max(1) as u64).map(|nth| self.record(key, first + nth, chance)).collect();
        let bytes = |(_, bytes): &(Option<Row>, Vec<u8>)| bytes.clone();
        let data = match packed {
            0 => bytes(&records[0]),
            _ => Aggregate::of("k", Some(hash_key(hash)), records.iter().map(bytes)).pack(),
        };
        let mut state = self.fake.state();
        let shard = state.home(hash).expect("every hash has a shard");
        let number = state.push(&shard, Record::of(data));
        let arrived = state.clock.now();
        drop(state);
        for (nth, (row, bytes)) in (0..).zip(records) {
            let (shard, sequence) = (shard.clone(), sequence(number));
            let (id, sub) = (first + u64::from(nth), (packed > 0).then_some(nth));
            self.sent.push(Sent { id, key, shard, sequence, sub, arrived, bytes, row });
        }
    }

    /// The next record: most often a row.
    fn record(&self, key: usize, id: u64, chance: &mut Chance) -> (Option<Row>, Vec<u8>) {
        let time = START + (self.fake.state().clock.now() - self.begun) / 50;
        let row = Row {
            key: format!("{}|4075", key as i64 - 7400),
            time: time - chance.below(DISORDER) as i64,
            amount: chance.below(100) as i64,
        };
        if chance.below(200) == 0 {
            return (None, vec![0xff, 0x00, b'{', chance.below(256) as u8]);
        }
        let mut value: Value = serde_json::from_str(&cells::line(&row)).expect("JSON");
        (value["id"], value["key"]) = (json!(id), json!(key));
        (Some(row), value.to_string().into_bytes())
    }
}

fn split(state: &mut State, chance: &mut Chance) {
    let open = state.open();
    let id = &open[chance.below(open.len())];
    let Range { start, end } = state.shards[id].hashes;
    if end - start > WHOLE.end / KEYS as u64 {
        state.split(id);
    }
}

fn merge(state: &mut State, chance: &mut Chance) {
    let open = state.open();
    if open.len() > 1 {
        let at = 1 + chance.below(open.len() - 1);
        state.merge(&open[at - 1], &open[at]);
    }
}
