//! The `kinesis` source over random trees of splits and merges, with crashes at random moments. The test plays an engine:
//! it takes what the source sends in any order that queues allow, and publishes a checkpoint between any two messages, from
//! which the source goes on after a crash.

use crate::fake_kinesis::{FakeKinesis, FakeShard, Fault, State, hash_key};
use crate::harness::{self, Listener};
use crate::kinesis::settings;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use wasmill_connect::pack::{Aggregate, UserRecord};
use wasmill_stream::SplitId;
use wasmill_stream::source::Resume;

/// Keys of records, and the highest hash but one.
const KEYS: u64 = 8;
const HASHES: u64 = 64;

/// Trees without `WASMILL_RESHARDS`.
const TREES: u64 = 40;

/// A stream to which things happen.
struct Stream {
    fake: FakeKinesis,
    random: StdRng,
    /// How many records each key has.
    keys: BTreeMap<u64, u32>,
}

impl Stream {
    async fn start(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let shards = random.random_range(1..=4u64);
        let share = HASHES / shards;
        let ids = ["root-0", "root-1", "root-2", "root-3"].into_iter().zip(0..shards);
        let fake = FakeKinesis::start(ids.map(|(id, at)| {
            let end = if at + 1 == shards { HASHES } else { (at + 1) * share };
            (id, FakeShard { hashes: at * share..end, ..FakeShard::default() })
        }));
        fake.state().page = random.random_range(1..6);
        fake.state().names_children = random.random();
        Self { fake, random, keys: BTreeMap::new() }
    }

    /// Something happens: most often records, now and then a split, a merge, or faults.
    fn happen(&mut self) {
        let Self { fake, random, keys } = self;
        let mut state = fake.state();
        match random.random_range(0..10) {
            0 => split(&mut state, random),
            1 => merge(&mut state, random),
            2 => {
                let all: Vec<_> = state.shards.keys().cloned().collect();
                let id = all[random.random_range(0..all.len())].clone();
                let faults = [Fault::Throttled, Fault::Expired, Fault::Empty, Fault::Cut, Fault::HungUp];
                let fault = faults[random.random_range(0..faults.len())];
                state.faults.entry(id).or_default().push_back(Some(fault));
            }
            _ => {
                let mut records = Vec::new();
                for _ in 0..random.random_range(1..6) {
                    let key = random.random_range(0..KEYS);
                    let number = keys.entry(key).or_default();
                    records.push((key * HASHES / KEYS, format!("{key} {number}")));
                    *number += 1;
                }
                if random.random() {
                    put_together(&mut state, records);
                } else {
                    records.into_iter().for_each(|(hash, data)| state.put(hash, data));
                }
            }
        }
    }

    /// Shards that a checkpoint calls done are dropped by the stream some day.
    fn forget(&mut self, checkpoint: &Resume) {
        let mut state = self.fake.state();
        for (id, _) in checkpoint.splits.iter().filter(|(_, mark)| mark.done) {
            if self.random.random_bool(0.2) {
                state.shards.remove(id);
            }
        }
    }

    fn records(&self) -> usize {
        self.keys.values().map(|count| *count as usize).sum()
    }
}

/// Puts records as a producer does that packs them and knows the shards only from before: it sends those again that came
/// to the wrong one.
fn put_together(state: &mut State, records: Vec<(u64, String)>) {
    let Some(&(first, _)) = records.first() else { return };
    let here = state.neighbours(first);
    let packed = (0..).zip(&records).map(|(at, (_, data))| UserRecord {
        partition_key: 0,
        hash_key: Some(at),
        data: data.clone().into(),
    });
    let hash_keys = records.iter().map(|(hash, _)| hash_key(*hash).to_string()).collect();
    let aggregate = Aggregate { partition_keys: vec!["k".to_owned()], hash_keys, records: packed.collect() };
    state.put(first, aggregate.pack());
    records.into_iter().filter(|(hash, _)| !here.contains(hash)).for_each(|(hash, data)| state.put(hash, data));
}

fn split(state: &mut State, random: &mut StdRng) {
    let mut open = state.open();
    open.retain(|id| state.shards[id].hashes.end - state.shards[id].hashes.start > 1);
    if !open.is_empty() {
        state.split(&open[random.random_range(0..open.len())]);
    }
}

fn merge(state: &mut State, random: &mut StdRng) {
    let open = state.open();
    if open.len() > 1 {
        let at = random.random_range(1..open.len());
        state.merge(&open[at - 1], &open[at]);
    }
}

/// A run of the source from a start to a crash.
struct Run {
    listener: Listener,
    /// A checkpoint that is made and not published, and how many records it is behind.
    made: Option<(Resume, usize)>,
    /// The last one that was published.
    published: Option<Resume>,
    /// How many records of this run are before it.
    committed: usize,
}

impl Run {
    fn begin(stream: &mut Stream, published: Option<Resume>) -> Self {
        // Few rows at a time, so that checkpoints are made inside of what was packed.
        let few = format!("max_records = {}", stream.random.random_range(1..4));
        let source = harness::source("kinesis", &settings(&stream.fake.url, &few)).expect("good settings");
        let workers = stream.random.random_range(1..5);
        let listener = Listener::with_checkpoints(source, workers, 16 << 20, published.clone());
        Self { listener, made: None, published, committed: 0 }
    }

    /// Goes on with a checkpoint, or begins one.
    fn check(&mut self, stream: &mut Stream) {
        let Self { listener, made, published, committed } = self;
        let Some((mut checkpoint, records)) = made.take() else {
            *made = Some((listener.checkpoint(), listener.records.len()));
            return;
        };
        listener.publish(&checkpoint);
        // The note may be younger than the marks.
        if stream.random.random() {
            checkpoint.note = listener.checkpoint().note;
        }
        // Once the source has opened its splits, its note says which ended in earlier runs: an engine may drop their marks.
        if stream.random.random() && !listener.splits.is_empty() {
            let opened: BTreeSet<_> = listener.splits.keys().map(SplitId::part).collect();
            checkpoint.splits.retain(|id, mark| !mark.done || opened.contains(id.as_str()));
        }
        (*published, *committed) = (Some(checkpoint), records);
    }

    /// Hears one message, of any worker, or goes on with a checkpoint. The source may get ahead before: workers that are quick
    /// would find a queue empty whenever something is sent to another, and never hear things in another order than they
    /// were sent.
    async fn hear(&mut self, stream: &mut Stream) {
        if stream.random.random_bool(0.3) {
            for _ in 0..stream.random.random_range(0..200) {
                tokio::task::yield_now().await;
            }
        }
        let awaited = self.listener.awaited();
        let next = async {
            tokio::select! {
                heard = self.listener.try_hear_next(stream.random.random_range(0..4)) => Some(heard),
                () = awaited => None,
            }
        };
        let heard = tokio::time::timeout(harness::PATIENCE, next).await.expect("something happens in time");
        if heard == Some(false) {
            panic!("the source has ended: {:?}", self.listener.finish().await);
        }
        if heard.is_none() || stream.random.random_bool(0.05) {
            self.check(stream);
        }
        self.assert_parents_are_done(stream);
    }

    /// What was heard of a shard implies that a published checkpoint holds the ends of all its parents.
    fn assert_parents_are_done(&self, stream: &Stream) {
        let state = stream.fake.state();
        let known = self.published.clone().unwrap_or_default();
        for (id, heard) in &self.listener.splits {
            let parents = state.shards.get(id.part()).map(|shard| shard.parents.as_slice()).unwrap_or_default();
            for parent in parents.iter().filter(|_| !heard.records.is_empty()) {
                let done = known.splits.get(parent).is_some_and(|mark| mark.done);
                let finished = known.note["finished"].as_array().is_some_and(|all| all.iter().any(|id| id == parent));
                // A finished parent that the stream has dropped may be forgotten.
                assert!(
                    done || finished || !state.shards.contains_key(parent),
                    "{id} is read, and no checkpoint says that its parent {parent} is done"
                );
            }
        }
    }

    /// Whether all shards have said that there is nothing more, each again since it was asked `before`.
    fn is_silent(&self, before: &BTreeMap<SplitId, usize>) -> bool {
        let mut splits = self.listener.splits.iter();
        splits.all(|(id, split)| split.done || split.caught_up > before.get(id).copied().unwrap_or_default())
    }
}

/// One tree: crashes and restarts, then an undisturbed run to the end.
async fn grow(seed: u64) {
    let mut stream = Stream::start(seed).await;
    let mut committed = Vec::new();
    let mut checkpoint = None;
    for _ in 0..stream.random.random_range(0..30) {
        stream.happen();
    }
    for _ in 0..stream.random.random_range(0..6) {
        let mut run = Run::begin(&mut stream, checkpoint.clone());
        for _ in 0..stream.random.random_range(0..80) {
            if stream.random.random_bool(0.2) {
                stream.happen();
            }
            run.hear(&mut stream).await;
        }
        // What comes between the checkpoint and the crash is lost.
        committed.extend(run.listener.records.drain(..run.committed));
        checkpoint = run.published.take();
        run.listener.kill();
        stream.forget(&checkpoint.clone().unwrap_or_default());
    }
    let mut run = Run::begin(&mut stream, checkpoint);
    while committed.len() + run.listener.records.len() < stream.records() {
        run.hear(&mut stream).await;
    }
    // And nothing comes twice.
    let before = run.listener.splits.iter().map(|(id, split)| (id.clone(), split.caught_up)).collect();
    while !run.is_silent(&before) {
        run.hear(&mut stream).await;
    }
    committed.append(&mut run.listener.records);
    run.listener.kill();
    let mut next = BTreeMap::<u64, u32>::new();
    for record in &committed {
        let (key, number) = record.split_once(' ').expect("key and number");
        let next = next.entry(key.parse().expect("a key")).or_default();
        assert_eq!(number.parse(), Ok(*next), "of key {key}");
        *next += 1;
    }
    assert_eq!(next, stream.keys);
}

/// Splits and merges at random, before, between and while a source reads that crashes at random → every key's records come
/// once and in order.
#[tokio::test]
async fn random_trees() {
    let trees = std::env::var("WASMILL_RESHARDS").ok().map_or(TREES, |trees| trees.parse().expect("a number of trees"));
    for seed in 0..trees {
        println!("seed {seed}");
        grow(seed).await;
    }
}
