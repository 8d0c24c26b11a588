//! Plugins in several editions, whose states tell the version that made them, and a job with every kind of state.

use crate::parts::*;
use crate::vault::{Memory, Vault};
use crate::world::{numbered, session_counts, sliding_counts};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;
use wasmill_engine::{Checkpoints, Graph, Journal, NodeKind, Options, Port, Running, SinkTerms};
use wasmill_stream::guest_ledger::Took;
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Binary, Error, GuestFault, Result};

/// What the editions have in common.
#[derive(Clone, Default)]
pub struct Edition {
    pub number: u32,
    /// How many more calls fail: of a transform with rows, or on states that it is to rewrite. Instances count together.
    pub failures: Arc<AtomicUsize>,
    /// How many more calls with rows fail.
    pub traps: Arc<AtomicUsize>,
    /// What it adds to what it counts.
    pub surplus: u64,
    /// Whether it refuses all rows.
    pub refuses: bool,
    /// Whether it fails in calls without rows.
    pub is_hollow: bool,
    /// Who has made calls without rows, each time, and who has made the others.
    pub probes: Arc<Mutex<Vec<ThreadId>>>,
    pub workers: Arc<Mutex<HashSet<ThreadId>>>,
    /// How many states each call had to rewrite.
    pub rewritten: Arc<Mutex<Vec<usize>>>,
    /// After so many states it fails to rewrite any; 0: never.
    pub brittle: usize,
}

impl Edition {
    pub fn fails(&self) -> bool {
        self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    /// A call with so many rows.
    pub fn called(&self, rows: usize) -> Result<()> {
        let thread = std::thread::current().id();
        if rows > 0 {
            self.workers.lock().expect("not poisoned").insert(thread);
            return Ok(());
        }
        self.probes.lock().expect("not poisoned").push(thread);
        match self.is_hollow {
            true => Err(Error::guest(GuestFault::Trap, "it fails without rows")),
            false => Ok(()),
        }
    }

    /// The rows that it refuses of so many.
    pub fn refusals(&self, rows: usize) -> Vec<Reject> {
        let rows = if self.refuses { rows as u32 } else { 0 };
        (0..rows).map(|row| Reject::new(row, "it refuses everything")).collect()
    }

    pub fn trapped(&self) -> Result<()> {
        match self.traps.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Error::guest(GuestFault::Trap, "it fails on these rows")),
            Err(_) => Ok(()),
        }
    }
}

/// What is known of edition `number`, which is also the version of its state.
pub fn known(number: u32, needs: Needs) -> Native {
    let identity = Identity { name: "test".into(), version: number.to_string(), digest: format!("{number:064}") };
    Native { identity, needs, state_version: number, ..Native::default() }
}

/// A plugin in several editions.
macro_rules! edition {
    ($name:ident, $plugin:ident, $logic:ident) => {
        #[derive(Clone)]
        pub struct $name {
            pub native: Native,
            pub edition: Edition,
        }

        native!($name);

        impl $name {
            pub fn new(number: u32, needs: Needs) -> Self {
                Self { native: known(number, needs), edition: Edition { number, ..Edition::default() } }
            }
        }

        impl $plugin for $name {
            fn instantiate(&self) -> Result<Box<dyn $logic>> {
                Ok(Box::new(self.clone()))
            }
        }
    };
}

pub(crate) use edition;

edition!(Tag, TransformPlugin, Transform);
edition!(Counting, AggregatePlugin, Aggregate);
edition!(Numbering, ProcessPlugin, Process);

/// Writes `KEY TIME VERSION`. Odd versions do not look at values, even ones do.
pub fn tag(number: u32) -> Tag {
    Tag::new(number, Needs { reads_values: number.is_multiple_of(2), writes_values: true, ..Needs::default() })
}

impl Transform for Tag {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        if !batch.times.is_empty() && self.edition.fails() {
            return Err(Error::guest(GuestFault::Trap, "it fails on every row"));
        }
        self.edition.called(batch.times.len())?;
        let took = Duration::from_nanos(10 * batch.times.len() as u64);
        self.native.ledger.call(batch.times.len(), Took { cpu: took, wall: took }, false);
        if self.edition.refuses {
            let rejects = self.edition.refusals(batch.times.len());
            let main = Rows { origins: Some(Vec::new()), values: Some(Binary::default()), ..Rows::default() };
            return Ok(Transformed { main, rejects, ..Transformed::default() });
        }
        let keys = batch.keys.expect("rows have keys");
        if let Some(values) = batch.values {
            for ((line, key), time) in values.iter().zip(keys.iter()).zip(batch.times) {
                assert_eq!(line, format!("{time} {}", String::from_utf8_lossy(key)).as_bytes(), "values of these rows");
            }
        }
        let text =
            |(key, time): (&[u8], &i64)| format!("{} {time} {}", String::from_utf8_lossy(key), self.edition.number);
        let values: Binary = keys.iter().zip(batch.times).map(text).collect();
        Ok(Transformed { main: Rows { values: Some(values), ..Rows::default() }, ..Transformed::default() })
    }
}

/// A number as a version stores it: `VERSION/NUMBER`.
pub fn stored(version: u32, number: u64) -> String {
    format!("{version}/{number}")
}

/// Reads what its own version has stored. Any other is an error of the host.
pub fn number_of(version: u32, state: &[u8]) -> u64 {
    if state.is_empty() {
        return 0;
    }
    let text = std::str::from_utf8(state).expect("text");
    let (of, number) = text.split_once('/').expect("two numbers");
    assert_eq!(of, version.to_string(), "a state of this version");
    number.parse().expect("a number")
}

/// Rewrites states of an older version, unless it fails.
pub fn migrate(version: &Edition, from: u32, states: &Binary) -> Result<Binary> {
    assert!(from < version.number && !states.iter().any(<[u8]>::is_empty), "states of an older version");
    let mut rewritten = version.rewritten.lock().expect("not poisoned");
    rewritten.push(states.len());
    let breaks = version.brittle > 0 && rewritten.iter().sum::<usize>() >= version.brittle;
    if !states.is_empty() && (breaks || version.fails()) {
        return Err(Error::guest(GuestFault::Fatal, "it does not know this state"));
    }
    Ok(states.iter().map(|state| stored(version.number, number_of(from, state))).collect())
}

/// Counts rows of a window.
pub fn count(number: u32) -> Counting {
    Counting::new(number, Needs { reads_values: number.is_multiple_of(2), ..Needs::default() })
}

impl Aggregate for Counting {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        assert_eq!(batch.values.is_some(), self.native.needs.reads_values);
        self.edition.called(groups.len())?;
        if groups.is_empty() || self.edition.refuses {
            let rejects = self.edition.refusals(groups.len());
            return Ok(Accumulated { accumulators: accumulators.clone(), rejects });
        }
        self.edition.trapped()?;
        let mut counts: Vec<u64> = accumulators.iter().map(|one| number_of(self.edition.number, one)).collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        let accumulators = counts.iter().map(|&count| stored(self.edition.number, count)).collect();
        Ok(Accumulated { accumulators, rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let mut sums = vec![0; count as usize];
        let all = accumulators.iter().zip(groups);
        all.for_each(|(one, &group)| sums[group as usize] += number_of(self.edition.number, one));
        Ok(sums.iter().map(|&sum| stored(self.edition.number, sum)).collect::<Binary>().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let result = |(key, count): (&[u8], &[u8])| {
            let count = number_of(self.edition.number, count) + self.edition.surplus;
            format!("{} {count}", String::from_utf8_lossy(key))
        };
        let values = fired.keys.iter().zip(fired.accumulators.iter()).map(result).collect();
        Ok(Finished { values, ..Finished::default() })
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        migrate(&self.edition, from, accumulators)
    }
}

/// Numbers the rows of a key: `KEY NUMBER TIME`.
pub fn numbering(number: u32) -> Numbering {
    Numbering::new(number, Needs { writes_values: true, ..Needs::default() })
}

impl Process for Numbering {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        self.edition.called(turn.groups.len())?;
        if turn.groups.is_empty() || self.edition.refuses {
            let rejects = self.edition.refusals(turn.groups.len());
            let main = Rows { origins: Some(Vec::new()), values: Some(Binary::default()), ..Rows::default() };
            return Ok(Processed { states: turn.states.clone(), main, rejects, ..Processed::default() });
        }
        self.edition.trapped()?;
        let mut numbers: Vec<u64> = turn.states.iter().map(|state| number_of(self.edition.number, state)).collect();
        let mut values = Vec::new();
        for (&time, &group) in turn.batch.times.iter().zip(turn.groups) {
            numbers[group as usize] += 1;
            let key = String::from_utf8_lossy(turn.keys.get(group as usize)).into_owned();
            values.push(format!("{key} {} {time}", numbers[group as usize] + self.edition.surplus));
        }
        let main = Rows { values: Some(values.iter().collect()), ..Rows::default() };
        let states = numbers.iter().map(|&count| stored(self.edition.number, count)).collect();
        Ok(Processed { states, main, ..Processed::default() })
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        migrate(&self.edition, from, states)
    }
}

pub const DISORDER: i64 = 300;

/// One list per split, slow enough for some swaps.
pub fn lists(count: usize) -> Vec<Vec<Event>> {
    (0..3).map(|at| events(at, count, DISORDER)).collect()
}

/// A source that plays them slowly and keeps some for the time when all swaps are done: then its gate is opened.
pub fn slowly(lists: Vec<Vec<Event>>) -> (Lists, Gate) {
    let late_gate = Gate::shut();
    let lists = Lists { pause: Duration::from_millis(1), late_gate: late_gate.clone(), ..Lists::new(lists) };
    (lists, late_gate)
}

/// A job with every kind of state, and what survives of it.
#[derive(Default)]
pub struct World {
    pub store: Arc<Memory>,
    pub vaults: BTreeMap<&'static str, Vault>,
    pub lists: Vec<Vec<Event>>,
}

pub const STEPS: [&str; 4] = ["tumbling", "sliding", "sessions", "numbers"];

impl World {
    pub fn new(count: usize) -> Self {
        let vaults = STEPS.into_iter().map(|step| (step, Vault::default())).collect();
        Self { lists: lists(count), vaults, ..Self::default() }
    }

    /// The job, and the one to tell when all swaps are done.
    pub fn graph(&self, version: u32) -> (Graph, Gate) {
        let mut job = Job::default();
        let (played, done) = slowly(self.lists.clone());
        let source = job.source(played, DISORDER, Mood::Well);
        let ms = Period::from_millis;
        let windows = [
            WindowSpec::Tumbling { size: ms(1_000), offset: ms(0) },
            WindowSpec::Sliding { size: ms(2_000), slide: ms(500), offset: ms(0) },
            WindowSpec::Session { gap: ms(150) },
        ];
        let aggregate = |windows| NodeKind::Aggregate {
            plugin: Arc::new(count(version)),
            windows,
            allowed_lateness: Period::default(),
        };
        let process = NodeKind::Process { plugin: Arc::new(numbering(version)), order: Order::EventTime };
        let kinds = windows.into_iter().map(aggregate).chain([process]);
        for (name, kind) in STEPS.into_iter().zip(kinds) {
            let step = job.node(name, &[(source, Port::Main)], kind);
            let sink = Box::new(self.vaults[name].clone());
            job.node(
                &format!("{name}_out"),
                &[(step, Port::Main)],
                NodeKind::Sink { sink, terms: SinkTerms::default() },
            );
        }
        (job.graph(), done)
    }

    pub async fn start(&self, version: u32, workers: usize) -> (Running, Gate) {
        let (graph, done) = self.graph(version);
        (wasmill_engine::start(graph, self.options(workers)).await.expect("it starts"), done)
    }

    pub fn options(&self, workers: usize) -> Options {
        let checkpoints = Checkpoints {
            store: self.store.clone(),
            interval: Duration::from_millis(10),
            retain: 3,
            rewind: Duration::from_secs(600),
            job: "test".into(),
            definition: "the job".into(),
            fresh: false,
            declared: Default::default(),
        };
        Options { checkpoints: Some(checkpoints), ..options(workers) }
    }

    pub fn check(&self) {
        let all: Vec<Event> = self.lists.iter().flatten().cloned().collect();
        assert_eq!(self.vaults["tumbling"].rows(), counts(all.clone(), 1_000));
        assert_eq!(self.vaults["sliding"].rows(), sliding_counts(&all, 2_000, 500));
        assert_eq!(self.vaults["sessions"].rows(), session_counts(all.clone(), 150));
        assert_eq!(self.vaults["numbers"].rows(), numbered(all));
    }
}

/// The versions of the states in the newest checkpoint.
pub async fn versions_in(store: &Arc<Memory>) -> Vec<u32> {
    let manifest = Journal::new(store.clone()).newest().await.expect("whole").expect("one");
    STEPS.iter().filter_map(|step| manifest.steps.get(*step)).map(|mark| mark.state_version).collect()
}

pub fn newer(step: &str, number: u32) -> Version {
    match step {
        "numbers" => Version::Process(Arc::new(numbering(number))),
        _ => Version::Aggregate(Arc::new(count(number))),
    }
}
