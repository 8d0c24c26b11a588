//! Plugins that are replaced while the job runs: every row meets exactly one version, states go along, and what cannot take
//! over leaves everything as it was.

use crate::parts::*;
use crate::vault::{Memory, Vault};
use crate::world::{numbered, session_counts, sliding_counts};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use wasmill_engine::{Checkpoints, DeadLetters, Graph, Journal, NodeKind, Options, Port, Running, Swapper, Tolerance};
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Binary, Error, ErrorKind, GuestFault, Result};

/// What the plugins of this file have in common.
#[derive(Clone, Default)]
struct Edition {
    number: u32,
    /// How many more calls fail: on rows, or on states that it is to rewrite. Instances count together.
    failures: Arc<AtomicUsize>,
}

impl Edition {
    fn fails(&self) -> bool {
        self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

/// What is known of edition `number`, which is also the version of its state.
fn known(number: u32, needs: Needs) -> Native {
    let identity = Identity { name: "test".into(), version: number.to_string(), digest: format!("{number:064}") };
    Native { identity, needs, state_version: number, ..Native::default() }
}

/// A plugin of this file.
macro_rules! edition {
    ($name:ident, $plugin:ident, $logic:ident) => {
        #[derive(Clone)]
        struct $name {
            native: Native,
            edition: Edition,
        }

        native!($name);

        impl $name {
            fn new(number: u32, needs: Needs) -> Self {
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

edition!(Tag, TransformPlugin, Transform);
edition!(Counting, AggregatePlugin, Aggregate);
edition!(Numbering, ProcessPlugin, Process);

/// Writes `KEY TIME VERSION`. Odd versions do not look at values, even ones do.
fn tag(number: u32) -> Tag {
    Tag::new(number, Needs { reads_values: number.is_multiple_of(2), writes_values: true, ..Needs::default() })
}

impl Transform for Tag {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        if self.edition.fails() {
            return Err(Error::guest(GuestFault::Trap, "it fails on every row"));
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
fn stored(version: u32, number: u64) -> String {
    format!("{version}/{number}")
}

/// Reads what its own version has stored. Any other is an error of the host.
fn number_of(version: u32, state: &[u8]) -> u64 {
    if state.is_empty() {
        return 0;
    }
    let text = std::str::from_utf8(state).expect("text");
    let (of, number) = text.split_once('/').expect("two numbers");
    assert_eq!(of, version.to_string(), "a state of this version");
    number.parse().expect("a number")
}

/// Rewrites states of an older version, unless it fails.
fn migrate(version: &Edition, from: u32, states: &Binary) -> Result<Binary> {
    assert!(from < version.number && !states.iter().any(<[u8]>::is_empty), "states of an older version");
    if !states.is_empty() && version.fails() {
        return Err(Error::guest(GuestFault::Fatal, "it does not know this state"));
    }
    Ok(states.iter().map(|state| stored(version.number, number_of(from, state))).collect())
}

/// Counts rows of a window.
fn count(number: u32) -> Counting {
    Counting::new(number, Needs { reads_values: number.is_multiple_of(2), ..Needs::default() })
}

impl Aggregate for Counting {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        assert_eq!(batch.values.is_some(), self.native.needs.reads_values);
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
            format!("{} {}", String::from_utf8_lossy(key), number_of(self.edition.number, count))
        };
        let values = fired.keys.iter().zip(fired.accumulators.iter()).map(result).collect();
        Ok(Finished { values, ..Finished::default() })
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        migrate(&self.edition, from, accumulators)
    }
}

/// Numbers the rows of a key: `KEY NUMBER TIME`.
fn numbering(number: u32) -> Numbering {
    Numbering::new(number, Needs { writes_values: true, ..Needs::default() })
}

impl Process for Numbering {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let mut numbers: Vec<u64> = turn.states.iter().map(|state| number_of(self.edition.number, state)).collect();
        let mut values = Vec::new();
        for (&time, &group) in turn.batch.times.iter().zip(turn.groups) {
            numbers[group as usize] += 1;
            let key = String::from_utf8_lossy(turn.keys.get(group as usize)).into_owned();
            values.push(format!("{key} {} {time}", numbers[group as usize]));
        }
        let main = Rows { values: Some(values.iter().collect()), ..Rows::default() };
        let states = numbers.iter().map(|&count| stored(self.edition.number, count)).collect();
        Ok(Processed { states, main, ..Processed::default() })
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        migrate(&self.edition, from, states)
    }
}

const DISORDER: i64 = 300;

/// One list per split, slow enough for some swaps.
fn lists(count: usize) -> Vec<Vec<Event>> {
    (0..3).map(|at| events(at, count, DISORDER)).collect()
}

/// A source that plays them slowly and keeps some for the time when all swaps are done: then its gate is opened.
fn slowly(lists: Vec<Vec<Event>>) -> (Lists, Gate) {
    let late_gate = Gate::shut();
    let lists = Lists { pause: Duration::from_millis(1), late_gate: late_gate.clone(), ..Lists::new(lists) };
    (lists, late_gate)
}

/// Swaps one version after the other.
async fn swap(swapper: &Swapper, step: &str, versions: impl IntoIterator<Item = Version>) {
    for version in versions {
        swapper.swap(step, version).await.expect("it fits");
    }
}

/// A transform that is replaced again and again by one that wants other things → every row has met one version, each split's
/// rows in the order of the versions, on any number of workers.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_meets_one_version() {
    for workers in [1, 2, 4] {
        let lists = lists(2_000);
        let mut job = Job::default();
        let (played, done) = slowly(lists.clone());
        let source = job.source(played, DISORDER, Mood::Well);
        let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) });
        let taken = job.keep("out", &[(step, Port::Main)]);
        let running = wasmill_engine::start(job.graph(), options(workers)).await.expect("it starts");
        swap(&running.swapper(), "tag", (2..12).map(|number| Version::Transform(Arc::new(tag(number))))).await;
        done.set(true);
        let ledger = running.wait().await.expect("it ends");
        assert_balance(&ledger);
        let mut versions: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for row in taken.sorted() {
            let (event, version) = row.rsplit_once(' ').expect("a version");
            versions.entry(event.to_owned()).or_default().push(version.parse().expect("a number"));
        }
        let expected = lists.iter().flatten().count();
        assert_eq!(versions.values().map(Vec::len).sum::<usize>(), expected, "each row once");
        for list in &lists {
            // Events of other splits may be equal: any of their versions will do.
            let mut last = 0;
            for (time, key) in list {
                let of_event = &versions[&format!("{key} {time}")];
                last = *of_event.iter().filter(|version| **version >= last).min().expect("versions ascend");
            }
        }
        assert!(versions.values().flatten().any(|version| *version == 11), "the last one has worked");
    }
}

/// The decoder of a source is replaced → every record is decoded once.
#[tokio::test(flavor = "multi_thread")]
async fn decoders() {
    let lists = lists(2_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists.clone());
    let source = job.source(played, DISORDER, Mood::Well);
    let taken = job.keep("out", &[(source, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(2)).await.expect("it starts");
    swap(&running.swapper(), "list", (0..10).map(|_| Version::Transform(Parse::new(Mood::Well)))).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    let mut expected: Vec<String> = lists.iter().flatten().map(|(time, key)| format!("{time} {key}")).collect();
    expected.sort();
    assert_eq!(taken.sorted(), expected);
}

/// A job with every kind of state, and what survives of it.
#[derive(Default)]
struct World {
    store: Arc<Memory>,
    vaults: BTreeMap<&'static str, Vault>,
    lists: Vec<Vec<Event>>,
}

const STEPS: [&str; 4] = ["tumbling", "sliding", "sessions", "numbers"];

impl World {
    fn new(count: usize) -> Self {
        let vaults = STEPS.into_iter().map(|step| (step, Vault::default())).collect();
        Self { lists: lists(count), vaults, ..Self::default() }
    }

    /// The job, and the one to tell when all swaps are done.
    fn graph(&self, version: u32) -> (Graph, Gate) {
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
            job.node(&format!("{name}_out"), &[(step, Port::Main)], NodeKind::Sink { sink });
        }
        (job.graph(), done)
    }

    async fn start(&self, version: u32, workers: usize) -> (Running, Gate) {
        let (graph, done) = self.graph(version);
        (wasmill_engine::start(graph, self.options(workers)).await.expect("it starts"), done)
    }

    fn options(&self, workers: usize) -> Options {
        let checkpoints = Checkpoints {
            store: self.store.clone(),
            interval: Duration::from_millis(10),
            retain: 3,
            job: "test".into(),
            definition: "the job".into(),
            fresh: false,
        };
        Options { checkpoints: Some(checkpoints), ..options(workers) }
    }

    fn check(&self) {
        let all: Vec<Event> = self.lists.iter().flatten().cloned().collect();
        assert_eq!(self.vaults["tumbling"].rows(), counts(all.clone(), 1_000));
        assert_eq!(self.vaults["sliding"].rows(), sliding_counts(&all, 2_000, 500));
        assert_eq!(self.vaults["sessions"].rows(), session_counts(all.clone(), 150));
        assert_eq!(self.vaults["numbers"].rows(), numbered(all));
    }
}

/// The versions of the states in the newest checkpoint.
async fn versions_in(store: &Arc<Memory>) -> Vec<u32> {
    let manifest = Journal::new(store.clone()).newest().await.expect("whole").expect("one");
    STEPS.iter().filter_map(|step| manifest.steps.get(*step)).map(|mark| mark.state_version).collect()
}

fn newer(step: &str, number: u32) -> Version {
    match step {
        "numbers" => Version::Process(Arc::new(numbering(number))),
        _ => Version::Aggregate(Arc::new(count(number))),
    }
}

/// Steps of every kind go from one version of their state to the next while windows are open and rows wait, with checkpoints
/// all the time and a crash in between, which is gone on from with another number of workers → the answers are those of a
/// job that nobody touched, and the manifest says which version its states have.
#[tokio::test(flavor = "multi_thread")]
async fn states_go_along() {
    let world = World::new(3_000);
    let (running, _done) = world.start(1, 2).await;
    let swapper = running.swapper();
    for step in STEPS {
        swap(&swapper, step, [newer(step, 2), newer(step, 3)]).await;
    }
    while versions_in(&world.store).await != [3; 4] {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stopper().abort(Error::internal("a crash"));
    running.wait().await.expect_err("it was killed");
    let (running, done) = world.start(3, 3).await;
    let swapper = running.swapper();
    for step in STEPS {
        swap(&swapper, step, [newer(step, 4)]).await;
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(versions_in(&world.store).await, [4; 4]);
    world.check();
}

/// A version that cannot rewrite the states of one worker of four → it is refused with its reason, and all go on as before;
/// then comes one that can.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_take_over() {
    let world = World::new(3_000);
    let (running, done) = world.start(1, 4).await;
    let swapper = running.swapper();
    // A refusal needs a state.
    for step in STEPS {
        while running.ledger().step(step).expect("a step").counts().written < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for step in STEPS {
        // It wants other things than the version before, too: these must not stay away from that one.
        let is_process = step == "numbers";
        let needs = Needs { reads_values: !is_process, writes_values: is_process, ..Needs::default() };
        let (counting, numbering) = (Counting::new(2, needs.clone()), Numbering::new(2, needs));
        counting.edition.failures.store(1, SeqCst);
        numbering.edition.failures.store(1, SeqCst);
        let bad = match is_process {
            true => Version::Process(Arc::new(numbering)),
            false => Version::Aggregate(Arc::new(counting)),
        };
        let error = swapper.swap(step, bad).await.expect_err("it does not know the state");
        assert!(error.report().contains("does not know this state"), "{}", error.report());
        assert_eq!(swapper.running(step).expect("a step").plugin().identity().version, "1");
    }
    swap(&swapper, "tumbling", [newer("tumbling", 3)]).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(versions_in(&world.store).await, [3, 1, 1, 1]);
    world.check();
}

/// Versions of another kind, of an older state, or without an output that is read → refused, with the way to do it.
#[tokio::test(flavor = "multi_thread")]
async fn misfits() {
    let world = World::new(500);
    let (running, done) = world.start(2, 1).await;
    let swapper = running.swapper();
    let refused = [
        ("tumbling", newer("numbers", 2), "runs plugins of world `aggregator`, and this is one of world `process`"),
        ("tumbling", newer("tumbling", 1), "has version 2, and this plugin knows only up to 1"),
        ("tumbling_out", newer("tumbling", 2), "has no plugin"),
        ("nothing", newer("tumbling", 2), "steps with a plugin: list, tumbling, sliding, sessions, numbers"),
    ];
    for (step, version, reason) in refused {
        let error = swapper.swap(step, version).await.expect_err(reason);
        assert!(error.kind() == ErrorKind::Invalid && error.report().contains(reason), "{}", error.report());
    }
    done.set(true);
    running.wait().await.expect("it ends");
    world.check();
}

/// A step that pauses because its plugin fails on every row → another version takes over within the pause, and every row
/// comes through.
#[tokio::test(flavor = "multi_thread")]
async fn a_cure() {
    let lists = lists(300);
    let mut job = Job::default();
    let source = job.source(Lists::new(lists.clone()), DISORDER, Mood::Well);
    let bad = tag(1);
    bad.edition.failures.store(usize::MAX, SeqCst);
    let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(bad) });
    let taken = job.keep("out", &[(step, Port::Main)]);
    let dead = Taken::default();
    let mut graph = job.graph();
    graph.nodes[step].tolerance = Tolerance { share: 0.0, give_up: Duration::from_secs(60) };
    graph.dead_letters =
        Some(DeadLetters { sink: Box::new(Keep { taken: dead.clone(), behind: None, fail: false }), late: false });
    let running = wasmill_engine::start(graph, options(2)).await.expect("it starts");
    let paused = running.ledger().step("tag").expect("the step").clone();
    while paused.paused().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.swapper().swap("tag", Version::Transform(Arc::new(tag(3)))).await.expect("it fits");
    let ledger = running.wait().await.expect("it ends");
    assert_balance(&ledger);
    // Of each worker the first ten are tolerated.
    let (taken, dead) = (taken.sorted(), dead.sorted().len());
    assert!(taken.iter().all(|row| row.ends_with(" 3")) && dead <= 20, "{dead} dead letters");
    assert_eq!(taken.len() + dead, lists.iter().flatten().count());
}
