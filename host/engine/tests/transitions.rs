//! Versions that let the ones before close the windows that these have opened: who answers for which window, by brute force.

use crate::editions::{Counting, DISORDER, count, newer};
use crate::parts::*;
use crate::vault::{Memory, Vault, checkpoints};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use wasmill_engine::{Bounds, Candidacy, Graph, Journal, Mode, NodeKind, Options, Port, Running, Successor};
use wasmill_stream::Error;
use wasmill_stream::checkpoint::Manifest;
use wasmill_stream::plugin::Version;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

/// What the new version adds to its counts, so that they can be told from those of the old one.
const NEW: u64 = 1_000_000;
const STEPS: [&str; 3] = ["tumbling", "sliding", "sessions"];

/// The new version of a step. It cannot read states of the old one if `is_strange`.
fn successor(is_strange: bool) -> Counting {
    let mut new = count(2);
    new.edition.surplus = NEW;
    new.edition.failures.store(if is_strange { usize::MAX } else { 0 }, SeqCst);
    new
}

/// A job with windows of every kind whose source stands still in the middle, and what survives of it.
struct World {
    store: Arc<Memory>,
    vaults: BTreeMap<&'static str, Vault>,
    lists: Vec<Vec<Event>>,
}

impl World {
    fn new() -> Self {
        let rename = |(at, (time, key)): (usize, Event)| (time, format!("{key}-{}", at % 7));
        let list = |at| events(at, 1_200, DISORDER).into_iter().enumerate().map(rename).collect();
        let vaults = STEPS.into_iter().map(|step| (step, Vault::default())).collect();
        Self { lists: (0..3).map(list).collect(), vaults, store: Arc::default() }
    }

    /// The job, and what opens its second half. `then`: what its source does at the end.
    fn graph(&self, then: Then) -> (Graph, Gate) {
        let mut job = Job::default();
        let late_gate = Gate::shut();
        let pause = Duration::from_millis(1);
        let played = Lists { pause, late_gate: late_gate.clone(), then, ..Lists::new(self.lists.clone()) };
        let source = job.source(played, DISORDER, Mood::Well);
        let ms = Period::from_millis;
        let windows = [
            WindowSpec::Tumbling { size: ms(1_000), offset: ms(0) },
            WindowSpec::Sliding { size: ms(2_000), slide: ms(500), offset: ms(0) },
            WindowSpec::Session { gap: ms(150) },
        ];
        for (name, windows) in STEPS.into_iter().zip(windows) {
            let allowed_lateness = Period::default();
            let kind = NodeKind::Aggregate { plugin: Arc::new(count(1)), windows, allowed_lateness };
            let step = job.node(name, &[(source, Port::Main)], kind);
            job.lock_up(&format!("{name}_out"), step, &self.vaults[name]);
        }
        (job.graph(), late_gate)
    }

    async fn start(&self, graph: Graph, workers: usize) -> Running {
        let options = Options { checkpoints: Some(checkpoints(&self.store)), ..options(workers) };
        wasmill_engine::start(graph, options).await.expect("it starts")
    }

    /// How many rows of each list come before the gate.
    fn half(&self) -> usize {
        let longest = self.lists[0].len();
        (0..longest).step_by(7).find(|sent| sent * 4 > longest * 3).expect("there is a gate")
    }

    /// The rows before the gate, or all.
    fn rows(&self, is_half: bool) -> impl Iterator<Item = &Event> {
        let count = if is_half { self.half() } else { usize::MAX };
        self.lists.iter().flat_map(move |list| list.iter().take(count))
    }

    /// How far event time comes with them.
    fn watermark(&self, is_half: bool) -> i64 {
        let count = if is_half { self.half() } else { usize::MAX };
        let latest = |list: &Vec<Event>| list.iter().take(count).map(|(time, _)| *time).max().expect("some rows");
        self.lists.iter().map(latest).min().expect("some lists") - DISORDER
    }

    /// Waits until all steps have seen the first half.
    async fn halfway(&self, running: &Running) {
        let half = self.rows(true).count() as u64;
        for step in STEPS {
            let ledger = running.ledger().step(step).expect("a step").clone();
            until("the first half", || (ledger.counts().read == half).then_some(())).await;
        }
    }

    /// All windows of a step by brute force: start, end, key, rows, and how many of them come before the gate.
    fn windows(&self, step: &str) -> Vec<Window> {
        let half = self.half();
        let place = |at: usize| self.lists.iter().filter_map(move |list| list.get(at).map(|row| (row, at < half)));
        let rows: Vec<(&Event, bool)> = (0..self.lists[0].len()).flat_map(place).collect();
        match step {
            "sessions" => sessions(rows),
            "tumbling" => slices(&rows, 1_000, 1_000),
            _ => slices(&rows, 2_000, 500),
        }
    }

    /// What a step has to say. `is_old`: whether the old version answers for a window.
    fn expected(&self, step: &str, until: i64, is_old: impl Fn(&Window) -> bool) -> Vec<String> {
        let windows = self.windows(step).into_iter().filter(|window| window.end <= until);
        let text = |window: Window| {
            let count = window.rows + if is_old(&window) { 0 } else { NEW };
            format!("{}: {} {count}", window.start, window.key)
        };
        let mut rows: Vec<String> = windows.map(text).collect();
        rows.sort();
        rows
    }

    async fn newest(&self) -> Manifest {
        Journal::new(self.store.clone()).newest().await.expect("it is whole").expect("there is one")
    }

    /// Waits until the newest manifest says this of all steps.
    async fn says(&self, of_step: impl Fn(&Manifest, &str) -> bool) {
        let watch = async {
            loop {
                let newest = self.newest().await;
                if STEPS.iter().all(|step| of_step(&newest, step)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), watch).await.expect("the manifest says so");
    }
}

struct Window {
    start: i64,
    end: i64,
    key: String,
    rows: u64,
    before: u64,
}

fn slices(rows: &[(&Event, bool)], size: i64, slide: i64) -> Vec<Window> {
    let mut windows: BTreeMap<(i64, &str), Window> = BTreeMap::new();
    for ((time, key), is_before) in rows {
        let last = time - time.rem_euclid(slide);
        for start in (0..size / slide).map(|back| last - back * slide) {
            let fresh = || Window { start, end: start + size, key: key.clone(), rows: 0, before: 0 };
            let window = windows.entry((start, key)).or_insert_with(fresh);
            window.rows += 1;
            window.before += u64::from(*is_before);
        }
    }
    windows.into_values().collect()
}

fn sessions(mut rows: Vec<(&Event, bool)>) -> Vec<Window> {
    rows.sort_by_key(|((time, key), _)| (key, *time));
    let chunks = rows.chunk_by(|(a, _), (b, _)| a.1 == b.1 && b.0 - a.0 <= 150);
    let window = |chunk: &[(&Event, bool)]| Window {
        start: chunk[0].0.0,
        end: chunk[chunk.len() - 1].0.0 + 150,
        key: chunk[0].0.1.clone(),
        rows: chunk.len() as u64,
        before: chunk.iter().filter(|(_, is_before)| *is_before).count() as u64,
    };
    chunks.map(window).collect()
}

async fn begin(running: &Running, step: &str, version: Counting) -> Arc<Candidacy> {
    let version = Version::Aggregate(Arc::new(version));
    let begun = running.swapper().try_out(step, version, Mode::Transition, Bounds::default()).await;
    begun.expect("it fits").0
}

/// A new version that cannot read any old state, in a transition → the old one answers for every window that has a row from
/// before, the new one for all others, each with all rows, whatever the number of workers; no other version comes in between.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_opened_a_window_closes_it() {
    for workers in [1, 3] {
        let world = World::new();
        let (graph, gate) = world.graph(Then::End);
        let running = world.start(graph, workers).await;
        world.halfway(&running).await;
        let swapper = running.swapper();
        let mut transitions = Vec::new();
        for step in STEPS {
            transitions.push(begin(&running, step, successor(true)).await);
            let error = swapper.swap(step, newer(step, 3)).await.expect_err("one after the other");
            assert!(error.report().contains("takes over window by window in step"), "{}", error.report());
            assert_eq!(swapper.running(step).await.expect("a step").plugin().state_version(), 2);
        }
        gate.set(true);
        for transition in &transitions {
            swapper.closed(transition).await;
        }
        assert_balance(&running.wait().await.expect("it ends"));
        for (step, transition) in STEPS.into_iter().zip(&transitions) {
            assert_eq!(transition.failure(), None, "{step}");
            let expected = world.expected(step, i64::MAX, |window| window.before > 0);
            assert_eq!(world.vaults[step].rows(), expected, "{step} on {workers} workers");
            let mixed = |window: &Window| window.before > 0 && window.before < window.rows;
            assert!(world.windows(step).iter().any(mixed), "{step}: windows have rows of both halves");
        }
    }
}

/// A new version that goes on with the old one's windows, because it takes over from all or because it is let in before the
/// old one has closed them → it answers for every window that has not fired before, with all rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_on_with_open_windows() {
    for is_promoted in [false, true] {
        let world = World::new();
        let (graph, gate) = world.graph(Then::End);
        let running = world.start(graph, 2).await;
        world.halfway(&running).await;
        for step in STEPS {
            if is_promoted {
                let transition = begin(&running, step, successor(false)).await;
                running.swapper().settle(&transition, true).await.expect("it can").expect("it was on trial");
            } else {
                let version = Version::Aggregate(Arc::new(successor(false)));
                running.swapper().swap(step, version).await.expect("it fits");
            }
        }
        gate.set(true);
        assert_balance(&running.wait().await.expect("it ends"));
        for step in STEPS {
            let fired = world.watermark(true);
            let expected = world.expected(step, i64::MAX, |window| window.end <= fired);
            assert_eq!(world.vaults[step].rows(), expected, "{step}, promoted: {is_promoted}");
        }
    }
}

/// A job that is killed in the middle of a transition → the manifest names both versions, the next run, with other workers,
/// goes on with both, and lets the old one go when it has closed its windows; who answers for which window does not change.
#[tokio::test(flavor = "multi_thread")]
async fn a_transition_survives_a_restart() {
    let world = World::new();
    let (graph, gate) = world.graph(Then::End);
    let running = world.start(graph, 2).await;
    world.halfway(&running).await;
    for step in STEPS {
        begin(&running, step, successor(true)).await;
    }
    let named = |manifest: &Manifest, step: &str| {
        let mark = manifest.plugins.get(step).expect("a step with a plugin");
        let successor = mark.successor.as_ref().map(|successor| successor.version.clone());
        (mark.version.clone(), successor, manifest.steps.get(step).is_some_and(|step| step.paired))
    };
    let under_way = ("1".to_owned(), Some("2".to_owned()), true);
    world.says(|newest, step| named(newest, step) == under_way).await;
    running.stopper().abort(Error::internal("a crash"));
    // Its source would wait there for ever.
    gate.set(true);
    running.wait().await.expect_err("it was killed");

    let (mut graph, gate) = world.graph(Then::Wait);
    let named_so = |step: &str| Successor {
        step: step.into(),
        version: Version::Aggregate(Arc::new(successor(true))),
        bounds: Bounds::default(),
    };
    graph.successors = STEPS.into_iter().map(named_so).collect();
    let running = world.start(graph, 3).await;
    gate.set(true);
    let swapper = running.swapper();
    for (step, transition) in swapper.trials().await {
        assert_eq!(transition.mode(), Mode::Transition, "{step}");
        swapper.closed(&transition).await;
        swapper.settle(&transition, true).await.expect("it can").expect("it was on trial");
        assert_eq!(transition.failure(), None, "{step}");
    }
    let alone = ("2".to_owned(), None, false);
    world.says(|newest, step| named(newest, step) == alone && newest.steps[step].state_version == 2).await;
    for step in STEPS {
        let expected = world.expected(step, world.watermark(false), |window| window.before > 0);
        until("all windows", || (world.vaults[step].rows().len() >= expected.len()).then_some(())).await;
        assert_eq!(world.vaults[step].rows(), expected, "{step}");
    }
    running.stopper().stop();
    running.wait().await.expect("it ends");
}

/// A new version that fails in the middle of a transition → the old one has seen everything: it answers for all windows that
/// are open, and goes on alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_in_a_transition() {
    let world = World::new();
    let (graph, gate) = world.graph(Then::End);
    let running = world.start(graph, 2).await;
    world.halfway(&running).await;
    let mut transitions = Vec::new();
    for step in STEPS {
        let new = successor(true);
        let traps = new.edition.traps.clone();
        transitions.push((begin(&running, step, new).await, traps));
    }
    gate.set(true);
    for (transition, traps) in &transitions {
        until("rows of the new version", || (transition.report().rows > 20).then_some(())).await;
        traps.store(usize::MAX, SeqCst);
        transition.failed().await;
        running.swapper().settle(transition, false).await.expect("it settles").expect("it was on trial");
    }
    assert_balance(&running.wait().await.expect("it ends"));
    assert!(world.newest().await.plugins.values().all(|mark| mark.successor.is_none()));
    for step in STEPS {
        let plain = |row: &String| {
            let (window, count) = row.rsplit_once(' ').expect("a count");
            format!("{window} {}", count.parse::<u64>().expect("a number") % NEW)
        };
        let mut counted: Vec<String> = world.vaults[step].rows().iter().map(plain).collect();
        counted.sort();
        assert_eq!(counted, world.expected(step, i64::MAX, |_| true), "{step}");
    }
}

/// A step without windows → a transition is refused with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn only_aggregations_have_windows() {
    let world = crate::editions::World::new(300);
    let (running, done) = world.start(1, 1).await;
    let swapper = running.swapper();
    let version = Version::Transform(Arc::new(crate::editions::tag(2)));
    for (step, version) in [("numbers", newer("numbers", 2)), ("list", version)] {
        let error = swapper.try_out(step, version, Mode::Transition, Bounds::default()).await;
        let error = error.err().unwrap_or_else(|| panic!("{step} has no windows"));
        assert!(error.report().contains("has no windows"), "{}", error.report());
    }
    done.set(true);
    running.wait().await.expect("it ends");
    world.check();
}
