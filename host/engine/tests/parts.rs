//! Native parts for small jobs. Records are lines `TIME KEY`, for example `1500 a`.

use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use wasmill_engine::{Graph, Input, Node, NodeKind, Options, Port, Tolerance};
use wasmill_stream::ledger::{Ledger, StepLedger};
use wasmill_stream::plugin::*;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::source::{Intake, Source};
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::watermark::{EventTime, Strategy, WatermarkSpec};
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Batch, Binary, Error, Guarantee, GuestFault, GuestLedger, Position, Positions, Result, SplitId};

/// A record: event time and key.
pub type Event = (i64, String);

/// Plays lists of events, one list per split, in chunks of `chunk` records.
pub struct Lists {
    pub splits: Vec<Vec<Event>>,
    pub chunk: usize,
    /// Bytes that were handed over so far.
    pub sent: Arc<AtomicUsize>,
    /// What happens after the last record.
    pub then: Then,
    /// How long to wait between chunks.
    pub pause: Duration,
    /// Where it waits with three quarters sent.
    pub late_gate: Gate,
    /// Where it waits before it says which splits it has.
    pub gate: Gate,
}

/// Lets nobody pass while it is shut. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Gate {
    pub fn shut() -> Self {
        let gate = Self::default();
        gate.set(false);
        gate
    }

    pub fn set(&self, open: bool) {
        self.0.send_replace(open);
    }

    pub async fn pass(&self) {
        self.0.subscribe().wait_for(|open| *open).await.expect("whoever waits has a sender");
    }
}

/// What a source does at its end.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    End,
    Fail,
    /// Starts over until the job stops.
    Repeat,
    /// Waits until the job stops.
    Wait,
}

impl Lists {
    pub fn new(splits: Vec<Vec<Event>>) -> Self {
        let (gate, late_gate) = Default::default();
        Self { splits, chunk: 7, sent: Arc::default(), then: Then::End, pause: Duration::ZERO, gate, late_gate }
    }
}

#[async_trait]
impl Source for Lists {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        self.gate.pass().await;
        let ids = (0..self.splits.len()).map(|at| SplitId::new("list", at)).collect();
        let mut senders = intake.open(ids).await?;
        intake.note(self.splits.len().into());
        if intake.note_kept().await.is_err() {
            return Ok(());
        }
        let next = |at: usize| match intake.resume_split(&at.to_string()).and_then(|mark| mark.position) {
            Some(Position::Number(last)) => last as usize + 1,
            _ => 0,
        };
        let mut starts: Vec<usize> = (0..self.splits.len()).map(next).collect();
        loop {
            let longest = self.splits.iter().map(Vec::len).max().unwrap_or(0);
            for sent in (0..longest).step_by(self.chunk) {
                if sent * 4 > longest * 3 {
                    self.late_gate.pass().await;
                }
                for ((events, sender), from) in self.splits.iter().zip(&senders).zip(&mut starts) {
                    let part = &events[(*from).min(events.len())..(*from + self.chunk).min(events.len())];
                    let lines: Binary = part.iter().map(|(time, key)| format!("{time} {key}")).collect();
                    self.sent.fetch_add(lines.total_bytes(), SeqCst);
                    sender.rows(lines, Positions::Consecutive { first: *from as u64 }).await?;
                    *from += part.len();
                }
                if !self.pause.is_zero() {
                    tokio::time::sleep(self.pause).await;
                    if intake.is_stopped() {
                        return Ok(());
                    }
                }
            }
            starts.fill(0);
            match self.then {
                Then::End => break,
                Then::Fail => return Err(Error::unavailable("the list is torn")),
                Then::Repeat if intake.is_stopped() => return Ok(()),
                Then::Repeat => {}
                Then::Wait => {
                    intake.stopped().await;
                    return Ok(());
                }
            }
        }
        for sender in senders.drain(..) {
            sender.done().await?;
        }
        Ok(())
    }
}

/// What the native transform does besides reading time and key.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Well,
    /// Fails at the key `poison`.
    Fails,
    /// Panics at the key `poison`.
    Panics,
    /// Asks for patience at the key `poison`.
    Waits,
}

/// Reads time and key of a line. Drops the key `skip`, rejects the key `bad`.
pub struct Parse {
    mood: Mood,
    native: Native,
}

/// What every native plugin has.
#[derive(Default, Clone)]
pub struct Native {
    identity: Identity,
    needs: Needs,
    ledger: Arc<GuestLedger>,
}

/// Implements [`Plugin`] for plugins with a field `native`.
macro_rules! native {
    ($($plugin:ident),*) => {$(
        impl Plugin for $plugin {
            fn identity(&self) -> &Identity {
                &self.native.identity
            }

            fn needs(&self) -> &Needs {
                &self.native.needs
            }

            fn ledger(&self) -> &Arc<GuestLedger> {
                &self.native.ledger
            }
        }
    )*};
}

native!(Parse, Count, Number);

impl Parse {
    pub fn new(mood: Mood) -> Arc<Self> {
        let needs = Needs { reads_values: true, ..Needs::default() };
        Arc::new(Self { mood, native: Native { needs, ..Native::default() } })
    }
}

impl TransformPlugin for Parse {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Self { mood: self.mood, native: self.native.clone() }))
    }
}

impl Transform for Parse {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let (mut origins, mut times, mut keys, mut rejects) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, line) in batch.values.expect("reads values").iter().enumerate() {
            let line = std::str::from_utf8(line).expect("test lines are text");
            let (time, key) = line.split_once(' ').expect("test lines have two words");
            match (key, self.mood) {
                ("poison", Mood::Fails) => return Err(Error::guest(GuestFault::Trap, "plugin parse: trapped")),
                ("poison", Mood::Panics) => panic!("poison"),
                ("poison", Mood::Waits) => return Err(Error::guest(GuestFault::Retry, "plugin parse: not yet")),
                ("skip", _) => continue,
                ("bad", _) => rejects.push(Reject::new(row as u32, "bad key")),
                _ => {
                    origins.push(row as u32);
                    times.push(time.parse().expect("test times are numbers"));
                    keys.push(key);
                }
            }
        }
        let keys = Some(keys.iter().collect());
        let main = Rows { origins: Some(origins), times: Some(times), keys, values: None };
        Ok(Transformed { main, sides: Vec::new(), rejects })
    }
}

/// Counts rows. Accumulators are decimal text; the result is `KEY COUNT`.
#[derive(Default)]
pub struct Count {
    native: Native,
}

impl AggregatePlugin for Count {
    fn instantiate(&self) -> Result<Box<dyn Aggregate>> {
        Ok(Box::new(Count::default()))
    }
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).expect("text").parse().unwrap_or(0)
}

impl Aggregate for Count {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], _batch: &View<'_>) -> Result<Accumulated> {
        let mut counts: Vec<u64> = accumulators.iter().map(number).collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        let accumulators = counts.iter().map(u64::to_string).collect();
        Ok(Accumulated { accumulators, rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let mut sums = vec![0; count as usize];
        accumulators.iter().zip(groups).for_each(|(one, &group)| sums[group as usize] += number(one));
        Ok(sums.iter().map(u64::to_string).collect::<Binary>().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let result = |(key, count): (&[u8], &[u8])| [key, b" ", count].concat();
        let values = fired.keys.iter().zip(fired.accumulators.iter()).map(result).collect();
        Ok(Finished { values, ..Finished::default() })
    }
}

/// Numbers the rows of a key. The state is the number; a row becomes `KEY NUMBER TIME`.
pub struct Number {
    native: Native,
}

impl Default for Number {
    fn default() -> Self {
        let needs = Needs { writes_values: true, ..Needs::default() };
        Self { native: Native { needs, ..Native::default() } }
    }
}

impl ProcessPlugin for Number {
    fn instantiate(&self) -> Result<Box<dyn Process>> {
        Ok(Box::new(Number::default()))
    }
}

impl Process for Number {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let mut numbers: Vec<u64> = turn.states.iter().map(number).collect();
        let mut values = Vec::new();
        for (&time, &group) in turn.batch.times.iter().zip(turn.groups) {
            numbers[group as usize] += 1;
            let key = String::from_utf8_lossy(turn.keys.get(group as usize)).into_owned();
            values.push(format!("{key} {} {time}", numbers[group as usize]));
        }
        let main = Rows { values: Some(values.iter().collect()), ..Rows::default() };
        let states = numbers.iter().map(u64::to_string).collect();
        Ok(Processed { states, main, ..Processed::default() })
    }
}

/// Hands its rows on, and behind those of a call, for each key and time, a row of a timer.
#[derive(Default)]
pub struct Echo(Needs, Native);

impl Echo {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Needs { writes_values: true, ..Needs::default() }, Native::default()))
    }
}

impl Plugin for Echo {
    fn identity(&self) -> &Identity {
        &self.1.identity
    }

    fn needs(&self) -> &Needs {
        &self.0
    }

    fn ledger(&self) -> &Arc<GuestLedger> {
        &self.1.ledger
    }
}

impl ProcessPlugin for Echo {
    fn instantiate(&self) -> Result<Box<dyn Process>> {
        Ok(Box::new(Echo::default()))
    }
}

impl Process for Echo {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let count = turn.batch.times.len() as u32;
        let fired: BTreeSet<(u32, i64)> = turn.groups.iter().copied().zip(turn.batch.times.iter().copied()).collect();
        let main = Rows {
            origins: Some((0..count).chain(fired.iter().map(|(group, _)| count + group)).collect()),
            times: Some(turn.batch.times.iter().copied().chain(fired.iter().map(|(_, time)| *time)).collect()),
            keys: None,
            values: Some((0..count as usize + fired.len()).map(|_| "{}").collect()),
        };
        Ok(Processed { states: turn.keys.iter().map(|_| "").collect(), main, ..Processed::default() })
    }
}

/// What a sink has taken.
#[derive(Clone, Default)]
pub struct Taken {
    pub rows: Arc<Mutex<Vec<String>>>,
    /// Their ids.
    pub ids: Arc<Mutex<Vec<String>>>,
    /// The largest number of bytes that were sent but not yet taken.
    pub most_behind: Arc<AtomicUsize>,
}

/// Keeps the rows as text: the value, and for results the window's start.
#[derive(Default)]
pub struct Keep {
    pub taken: Taken,
    /// Compares with what the source has sent, and is slow.
    pub behind: Option<Arc<AtomicUsize>>,
    pub fail: bool,
}

struct Keeper {
    keep: Keep,
    ledger: Arc<StepLedger>,
    bytes: usize,
}

#[async_trait]
impl Sink for Keep {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Keeper { keep: *self, ledger: opening.ledger, bytes: 0 }))
    }
}

#[async_trait]
impl SinkWriter for Keeper {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        if self.keep.fail {
            return Err(Error::unavailable("the shelf is full"));
        }
        if let Some(sent) = &self.keep.behind {
            self.bytes += batch.values.total_bytes();
            self.keep.taken.most_behind.fetch_max(sent.load(SeqCst).saturating_sub(self.bytes), SeqCst);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        self.keep.taken.rows.lock().expect("not poisoned").extend(texts(&batch));
        self.keep.taken.ids.lock().expect("not poisoned").extend(batch.row_ids());
        StepLedger::add(&self.ledger.emitted, batch.len());
        StepLedger::add(&self.ledger.written, batch.len());
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The rows of a batch as text.
pub fn texts(batch: &Batch) -> impl Iterator<Item = String> {
    (0..batch.len()).map(|row| {
        let value = String::from_utf8_lossy(batch.values.get(row)).into_owned();
        batch.firings.as_ref().map_or(value.clone(), |all| format!("{}: {value}", all[row].start))
    })
}

/// Puts a graph together.
#[derive(Default)]
pub struct Job {
    nodes: Vec<Node>,
}

impl Job {
    pub fn node(&mut self, name: &str, inputs: &[(usize, Port)], kind: NodeKind) -> usize {
        let inputs = inputs.iter().map(|&(node, port)| Input { node, port }).collect();
        self.nodes.push(Node { name: name.into(), inputs, kind, tolerance: Tolerance::default() });
        self.nodes.len() - 1
    }

    pub fn source(&mut self, lists: Lists, disorder: i64, mood: Mood) -> usize {
        self.source_named("list", lists, disorder, mood)
    }

    pub fn source_named(&mut self, name: &str, lists: Lists, disorder: i64, mood: Mood) -> usize {
        let watermark = WatermarkSpec {
            strategy: Strategy::BoundedDisorder(Period::from_millis(disorder)),
            ..WatermarkSpec::default()
        };
        let decoder = Some(Parse::new(mood) as SharedTransform);
        self.node(name, &[], NodeKind::Source { source: Box::new(lists), decoder, time: EventTime::Plugin, watermark })
    }

    pub fn count(&mut self, name: &str, input: usize, windows: WindowSpec) -> usize {
        let plugin = Arc::new(Count::default());
        let allowed_lateness = Period::default();
        self.node(name, &[(input, Port::Main)], NodeKind::Aggregate { plugin, windows, allowed_lateness })
    }

    pub fn keep(&mut self, name: &str, inputs: &[(usize, Port)]) -> Taken {
        let taken = Taken::default();
        let sink = Box::new(Keep { taken: taken.clone(), ..Keep::default() });
        self.node(name, inputs, NodeKind::Sink { sink });
        taken
    }

    pub async fn run(self, workers: usize) -> Result<Ledger> {
        wasmill_engine::start(self.graph(), options(workers)).await?.wait().await
    }

    pub fn graph(self) -> Graph {
        Graph { nodes: self.nodes, dead_letters: None }
    }
}

pub fn options(workers: usize) -> Options {
    let (epoch, in_flight) = (Duration::from_millis(5), ByteCount::new(64 << 10));
    Options { workers, epoch, in_flight, ..Options::default() }
}

/// Nothing is in flight, and every row is accounted for.
pub fn assert_balance(ledger: &Ledger) {
    for step in &ledger.steps {
        assert_eq!(step.counts().in_flight(), 0, "{}: {}", step.name, step.counts());
    }
}

/// Events that are out of order by at most `disorder`, over a few keys.
pub fn events(seed: u64, count: usize, disorder: i64) -> Vec<Event> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..count as i64)
        .map(|i| (i * 10 + 100_000 - (next() as i64 % (disorder + 1)), format!("k{}", next() % 23)))
        .collect()
}

/// Counts per (window start, key), worked out row by row.
pub fn counts(events: impl IntoIterator<Item = Event>, size: i64) -> Vec<String> {
    let mut counts = BTreeMap::new();
    for (time, key) in events {
        *counts.entry((time - time.rem_euclid(size), key)).or_insert(0) += 1;
    }
    let mut rows: Vec<_> = counts.into_iter().map(|((start, key), count)| format!("{start}: {key} {count}")).collect();
    rows.sort();
    rows
}

/// Looks again and again until there is something to see.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = async {
        loop {
            match look() {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), watch).await.unwrap_or_else(|_| panic!("never seen: {what}"))
}

impl Taken {
    pub fn sorted(&self) -> Vec<String> {
        let mut rows = self.rows.lock().expect("not poisoned").clone();
        rows.sort();
        rows
    }
}
