//! How trials begin and end when something comes between: a step that stands still, a failure at the last moment, a
//! checkpoint that takes long.

use crate::editions::*;
use crate::parts::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use wasmill_engine::{Bounds, DeadLetters, Graph, Mode, NodeKind, Port, SinkTerms, Tolerance};
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::{Error, GuestFault, Result};

const NO_BOUNDS: Bounds = Bounds { rejects: None, cpu: None, latency: None, output: None };

/// A job whose one step gets events, with a sink for its dead letters.
fn job(lists: Lists, kind: NodeKind, tolerance: Tolerance) -> (Graph, Taken, Taken) {
    let mut job = Job::default();
    let source = job.source(lists, DISORDER, Mood::Well);
    let step = job.node("step", &[(source, Port::Main)], kind);
    let (taken, dead) = (job.keep("out", &[(step, Port::Main)]), Taken::default());
    let mut graph = job.graph();
    graph.nodes[step].tolerance = tolerance;
    let sink = Box::new(Keep { taken: dead.clone(), ..Keep::default() });
    graph.dead_letters = Some(DeadLetters { sink, terms: SinkTerms::default(), late: false });
    (graph, taken, dead)
}

/// A trial with a state of its own that begins and ends between two checkpoints, while rows wait that the first of them
/// holds; then a crash → each of these rows is there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_between_two_checkpoints() {
    let world = World::new(300);
    let (running, gate) = world.start(1, 2).await;
    let status = running.checkpoints().expect("it keeps some").clone();
    let points = running.rewind_points().expect("it can be rewound");
    // The last quarter comes later, so the rows before it wait.
    let read = || running.ledger().step("list").expect("the source").counts().read;
    let all_but_late = world.lists.iter().map(|list| list.len() * 3 / 4).sum::<usize>() as u64;
    until("rows that wait", || (read() >= all_but_late).then_some(())).await;
    points.take().await.expect("a checkpoint");
    world.store.held.store(true, SeqCst);
    let held = tokio::spawn({
        let points = points.clone();
        async move { points.take().await }
    });
    until("a checkpoint that takes long", || status.look().stalled).await;
    let swapper = running.swapper();
    let (candidacy, _) =
        swapper.try_out("numbers", newer("numbers", 2), Mode::Probation, NO_BOUNDS).await.expect("it fits");
    swapper.settle(&candidacy, false).await.expect("it settles").expect("it was on trial");
    world.store.held.store(false, SeqCst);
    held.await.expect("no panic").expect("it is published");
    points.take().await.expect("another checkpoint");
    running.stopper().abort(Error::internal("a crash"));
    gate.set(true);
    running.wait().await.expect_err("it was killed");
    let (running, done) = world.start(1, 3).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    world.check();
}

/// Somebody promotes a candidate that has failed → it is refused with the failure, and the incumbent can be put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_has_failed_is_not_promoted() {
    let (lists, done) = slowly(lists(1_000));
    let (graph, taken, _) = job(lists, NodeKind::Transform { plugin: Arc::new(tag(1)) }, Tolerance::default());
    let running = wasmill_engine::start(graph, options(2)).await.expect("it starts");
    let bad = tag(3);
    bad.edition.failures.store(usize::MAX, SeqCst);
    let swapper = running.swapper();
    let bad = Version::Transform(Arc::new(bad));
    let (candidacy, _) = swapper.try_out("step", bad, Mode::Probation, NO_BOUNDS).await.expect("it fits");
    candidacy.failed().await;
    let error = swapper.settle(&candidacy, true).await.expect_err("it has failed").report();
    assert!(error.contains("has failed") && error.contains("fails where the version before does not"), "{error}");
    swapper.settle(&candidacy, false).await.expect("it settles").expect("it still was on trial");
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert!(taken.sorted().iter().all(|row| row.ends_with(" 1")), "the incumbent has written all rows");
}

edition!(Halting, TransformPlugin, Transform);

/// Whether plugins of [`Halting`] stand still when they get rows.
static HALT: AtomicBool = AtomicBool::new(false);

impl Transform for Halting {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        while HALT.load(SeqCst) && !batch.times.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let values = batch.times.iter().map(|_| self.edition.number.to_string()).collect();
        Ok(Transformed { main: Rows { values: Some(values), ..Rows::default() }, ..Transformed::default() })
    }
}

/// Has them stand still until it is dropped.
struct Halt;

impl Halt {
    fn begin() -> Self {
        HALT.store(true, SeqCst);
        Self
    }
}

impl Drop for Halt {
    fn drop(&mut self) {
        HALT.store(false, SeqCst);
    }
}

fn halting(number: u32) -> Arc<Halting> {
    Arc::new(Halting::new(number, Needs { writes_values: true, ..Needs::default() }))
}

/// A version is tried in a step that stands still for longer than anybody waits → it is on trial, which is said and can be
/// ended, and answers as soon as the step gets on.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_in_a_step_that_stands_still() {
    let (lists, done) = slowly(lists(1_000));
    let (graph, taken, _) = job(lists, NodeKind::Transform { plugin: halting(1) }, Tolerance::default());
    let running = wasmill_engine::start(graph, options(1)).await.expect("it starts");
    let ledger = running.ledger().step("step").expect("the step").clone();
    until("rows", || (ledger.counts().written > 0).then_some(())).await;
    let halt = Halt::begin();
    let swapper = running.swapper().with_patience(Duration::from_millis(50));
    let version = Version::Transform(halting(2));
    let (candidacy, swapped) =
        swapper.try_out("step", version, Mode::Probation, NO_BOUNDS).await.expect("it is on its way");
    assert!(swapped.is_pending, "the step stands still");
    let trial = swapper.trial("step").await.expect("a step").expect("a trial");
    assert!(Arc::ptr_eq(&trial, &candidacy));
    drop(halt);
    until("its answers", || (candidacy.report().rows > 0).then_some(())).await;
    let swapped = running.swapper().settle(&candidacy, true).await.expect("it settles").expect("it was on trial");
    assert!(!swapped.is_pending, "it runs");
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert!(taken.sorted().iter().any(|row| row == "2"));
}

edition!(Hesitant, TransformPlugin, Transform);

impl Transform for Hesitant {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        if self.edition.number > 1 {
            return Err(Error::guest(GuestFault::Retry, "not yet"));
        }
        let values = batch.times.iter().map(|_| "1").collect();
        Ok(Transformed { main: Rows { values: Some(values), ..Rows::default() }, ..Transformed::default() })
    }
}

/// A candidate on probation that asks for patience for ever → it has failed, and its incumbent answers for every row.
#[tokio::test(flavor = "multi_thread")]
async fn patience_with_a_candidate_ends() {
    let hesitant = |number| Arc::new(Hesitant::new(number, Needs { writes_values: true, ..Needs::default() }));
    let lists = lists(300);
    let count = lists.iter().map(Vec::len).sum::<usize>();
    let (lists, done) = slowly(lists);
    let (graph, taken, dead) = job(lists, NodeKind::Transform { plugin: hesitant(1) }, Tolerance::default());
    let running = wasmill_engine::start(graph, options(1)).await.expect("it starts");
    let version = Version::Transform(hesitant(2));
    let (candidacy, _) = running.swapper().try_out("step", version, Mode::Probation, NO_BOUNDS).await.expect("it fits");
    done.set(true);
    let failure = until("a failure, or dead letters", || {
        candidacy.failure().or_else(|| (!dead.sorted().is_empty()).then(|| "dead letters".to_owned()))
    });
    let failure = failure.await;
    assert!(failure.contains("not yet"), "{failure}");
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!((taken.sorted().len(), dead.sorted()), (count, Vec::new()));
}

edition!(Bells, ProcessPlugin, Process);

/// The key whose timers make every version of [`Bells`] fail.
const POISON: &[u8] = b"k7";

impl Process for Bells {
    /// Each row sets a timer 100 ms later. The state is kept only so that there is one.
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let mut pending: Vec<BTreeSet<i64>> = vec![BTreeSet::new(); turn.keys.len()];
        turn.timers.iter().for_each(|(key, time)| pending[key as usize].extend([time]));
        for (&time, &key) in turn.batch.times.iter().zip(turn.groups) {
            pending[key as usize].insert(time + 100);
        }
        let (count, mut timers) = (turn.batch.times.len(), Timers::default());
        let (mut origins, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (key, pending) in pending.iter().enumerate() {
            let name = turn.keys.get(key);
            let (due, later): (Vec<i64>, Vec<i64>) = pending.iter().partition(|time| **time <= turn.watermark);
            if name == POISON && !due.is_empty() {
                return Err(Error::guest(GuestFault::Trap, "it fails on this timer"));
            }
            for due in due {
                origins.push((count + key) as u32);
                times.push(due);
                values.push(format!("{} {due}", String::from_utf8_lossy(name)));
            }
            later.into_iter().for_each(|time| timers.push(key as u32, time));
        }
        let values = Some(values.iter().collect());
        let main = Rows { origins: Some(origins), times: Some(times), values, keys: None };
        let states = turn.keys.iter().map(|_| stored(self.edition.number, 1)).collect();
        Ok(Processed { states, timers, main, ..Processed::default() })
    }

    fn migrate(&mut self, from: u32, states: &wasmill_stream::Binary) -> Result<wasmill_stream::Binary> {
        migrate(&self.edition, from, states)
    }
}

/// Timers that make both versions of a trial with states of their own fail, before, while and after it is on → each is
/// dropped once and for all.
#[tokio::test(flavor = "multi_thread")]
async fn timers_that_were_dropped_do_not_come_again() {
    let bells = |number| Arc::new(Bells::new(number, Needs { writes_values: true, ..Needs::default() }));
    for promote in [false, true] {
        let lists = lists(1_000);
        let (played, done) = slowly(lists.clone());
        let kind = NodeKind::Process { plugin: bells(1), order: Order::EventTime };
        let tolerance = Tolerance { share: 1.0, give_up: Duration::from_secs(60) };
        let (graph, taken, dead) = job(played, kind, tolerance);
        let running = wasmill_engine::start(graph, options(2)).await.expect("it starts");
        let swapper = running.swapper();
        let version = Version::Process(bells(2));
        let (candidacy, _) = swapper.try_out("step", version, Mode::Probation, NO_BOUNDS).await.expect("it fits");
        let before = dead.sorted().len();
        until("dropped timers", || (dead.sorted().len() > before + 20).then_some(())).await;
        assert_eq!(candidacy.failure(), None, "the incumbent fails there, too");
        swapper.settle(&candidacy, promote).await.expect("it settles").expect("it was on trial");
        done.set(true);
        let ledger = running.wait().await.expect("it ends");
        assert_balance(&ledger);
        assert_eq!(ledger.step("step").expect("the step").counts().rejected, 0, "no row is at fault");
        let due = |(time, key): Event| (key.into_bytes(), time + 100);
        let (poison, rest): (BTreeSet<_>, BTreeSet<_>) =
            lists.into_iter().flatten().map(due).partition(|(key, _)| key == POISON);
        let mut expected: Vec<String> =
            rest.iter().map(|(key, due)| format!("{} {due}", String::from_utf8_lossy(key))).collect();
        expected.sort();
        assert_eq!(taken.sorted(), expected);
        assert_eq!(dead.sorted().len(), poison.len(), "promote: {promote}");
    }
}
