//! Jobs that get no further say so and name the node that holds them; jobs with nothing to do do not.

use crate::parts::*;
use crate::shelf::Shelf;
use crate::vault::{Memory, checkpoints, start};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{Checkpoints, NodeKind, Port, Running};
use wasmill_stream::Error;
use wasmill_stream::process::Order;

/// Waits until this is why there is no checkpoint. On a busy machine something else may hold it for a moment.
async fn no_checkpoint(running: &Running, is_it: impl Fn(&str) -> bool) {
    let status = running.checkpoints().expect("it keeps some");
    until("that reason for no checkpoint", || status.look().stalled.filter(|reason| is_it(reason))).await;
}

/// Waits until this is why the job gets no further.
async fn stalled(running: &Running, is_it: impl Fn(&str) -> bool) {
    until("that stall", || running.stall().look().filter(|reason| is_it(reason))).await;
}

/// A sink that takes nothing → the job is stalled and says that it is the sink, not those that wait for it; when it takes
/// rows again, the job goes on and all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_does_not_take() {
    for workers in [1, 2] {
        let lists = Lists { then: Then::Repeat, ..Lists::new(vec![events(1, 500, 0), events(2, 500, 0)]) };
        let mut job = Job::default();
        let source = job.source(lists, 0, Mood::Well);
        let deaf = Shelf { writes: Gate::shut(), ..Shelf::default() };
        job.shelve(source, &deaf);
        job.keep("other", &[(source, Port::Main)]);
        let running = start(job, workers, checkpoints(&Arc::default())).await.expect("it starts");
        let stall = running.stall().clone();
        stalled(&running, |reason| reason.contains(": waiting for shelf, which does not take its ")).await;
        no_checkpoint(&running, |reason| reason.contains("shelf")).await;
        deaf.writes.set(true);
        until("the end of the stall", || stall.look().is_none().then_some(())).await;
        running.stopper().stop();
        assert_balance(&running.wait().await.expect("a stop is a clean end"));
    }
}

/// A source that cannot read what there is → the job is stalled and says why the source cannot; when it can, all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_cannot_read() {
    let (mut job, late_gate) = (Job::default(), Gate::shut());
    let list = Lists { late_gate: late_gate.clone(), ..Lists::new(vec![events(1, 500, 0)]) };
    let source = job.source(list, 0, Mood::Well);
    job.keep("out", &[(source, Port::Main)]);
    let running = start(job, 1, checkpoints(&Arc::default())).await.expect("it starts");
    let stall = running.stall().clone();
    stalled(&running, |reason| reason.ends_with("which cannot read list/0: the gate is shut")).await;
    late_gate.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(stall.look(), None);
}

/// A step that pauses → the job is stalled and says that it is the step, and why it pauses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_pauses() {
    let mut list = events(1, 500, 0);
    list[200].1 = "poison".to_owned();
    let mut job = Job::default();
    let source = job.source(Lists { then: Then::Wait, ..Lists::new(vec![list]) }, 0, Mood::Well);
    let picky = NodeKind::Transform { plugin: Parse::new(Mood::Waits) };
    let picky = job.node("picky", &[(source, Port::Main)], picky);
    job.keep("out", &[(picky, Port::Main)]);
    let running = start(job, 1, checkpoints(&Arc::default())).await.expect("it starts");
    let paused = ": waiting for picky, which is paused: the plugin asks for patience";
    stalled(&running, |reason| reason.contains(paused)).await;
    running.stopper().abort(Error::internal("seen enough"));
    running.wait().await.expect_err("it was broken off");
}

/// A store that does not answer, then a sink that does not commit → each is named as what the checkpoint waits for, and
/// when both are well again there are checkpoints again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_held() {
    let mut job = Job::default();
    let lists = Lists { then: Then::Wait, ..Lists::new(vec![events(1, 500, 0)]) };
    let source = job.source(lists, 0, Mood::Well);
    let sink = Shelf::default();
    job.shelve(source, &sink);
    let store = Arc::new(Memory::default());
    let running = start(job, 1, checkpoints(&store)).await.expect("it starts");
    store.gate.set(false);
    let points = running.rewind_points().expect("it can be rewound");
    let wanted = tokio::spawn({
        let points = points.clone();
        async move { points.take().await }
    });
    no_checkpoint(&running, |reason| reason.ends_with("waiting for the store memory")).await;
    sink.commits.set(false);
    store.gate.set(true);
    no_checkpoint(&running, |reason| reason.ends_with("waiting for the commit of shelf")).await;
    assert!(!wanted.is_finished());
    sink.commits.set(true);
    let held = wanted.await.expect("no panic").expect("it is published");
    assert!(points.take().await.expect("another one") > held);
    running.stopper().stop();
    running.wait().await.expect("a stop is a clean end");
}

/// A source that has nothing to read, rows that wait for their time in a step, rows that a sink gathers → not stalled, for
/// longer than a stall needs to be noticed; and no checkpoint, as the last one holds everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_job_is_not_stalled() {
    let mut job = Job::default();
    let lists = Lists { then: Then::Wait, ..Lists::new(vec![events(1, 500, 300)]) };
    let source = job.source(lists, 300, Mood::Well);
    let number = NodeKind::Process { plugin: Arc::new(Number::default()), order: Order::EventTime };
    let number = job.node("number", &[(source, Port::Main)], number);
    job.keep("numbers", &[(number, Port::Main)]);
    job.shelve(source, &Shelf::default());
    // Long enough that a busy machine does not look like a stall.
    let interval = Duration::from_millis(200);
    let running = start(job, 1, Checkpoints { interval, ..checkpoints(&Arc::default()) }).await.expect("it starts");
    let ledger = running.ledger().clone();
    let in_flight = |step: &str| ledger.step(step).expect("in the ledger").counts().in_flight();
    until("that all was read", || (in_flight("shelf") == 500).then_some(())).await;
    let status = running.checkpoints().expect("it keeps some");
    let mut looks = BTreeSet::new();
    let (mut published, mut since) = (status.look().published, 0);
    until("five intervals without a checkpoint", || {
        assert_eq!(running.stall().look(), None);
        let known = status.look();
        if known.published > published {
            // The last rows were read after the one before.
            (published, since) = (known.published, since + 1);
            looks.clear();
        }
        looks.extend(known.at);
        (looks.len() > 5).then_some(())
    })
    .await;
    assert!(since <= 2, "{since} checkpoints without news");
    assert!(in_flight("number") > 0 && in_flight("shelf") == 500, "the test must be able to fail");
    running.stopper().stop();
    running.wait().await.expect("a stop is a clean end");
}
