//! Back-pressure: a slow sink makes its source wait, and what is in flight stays within the budget.

use crate::parts::*;
use crate::shelf::Shelf;
use std::sync::atomic::Ordering::SeqCst;
use wasmill_engine::{NodeKind, Port, SinkTerms};
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::window::WindowSpec;

/// A sink much slower than its source → at no time is more than the budget of bytes on the way between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sink_holds_its_source() {
    for workers in [1, 2] {
        let mut lists = Lists::new(vec![events(1, 20_000, 0), events(2, 20_000, 0)]);
        lists.chunk = 50;
        let total: usize = lists.splits.iter().flatten().map(|(time, key)| format!("{time} {key}").len()).sum();
        let (sent, taken) = (lists.sent.clone(), Taken::default());
        let mut job = Job::default();
        let source = job.source(lists, 0, Mood::Well);
        let sink = Box::new(Keep { taken: taken.clone(), behind: Some(sent), ..Keep::default() });
        job.node("slow", &[(source, Port::Main)], NodeKind::Sink { sink, terms: SinkTerms::default() });
        let ledger = job.run(workers).await.expect("the job ends");
        assert_balance(&ledger);
        assert_eq!(taken.sorted().len(), 40_000);
        // The source counts a chunk before it waits for room, one per split.
        let (most, budget) = (taken.most_behind.load(SeqCst), options(1).in_flight.bytes() as usize);
        assert!(most <= budget + 2 * 50 * 12, "{most} of {total} bytes were in flight, the budget is {budget}");
        assert!(total > 5 * budget, "the test must be able to fail");
    }
}

/// Chunks as large as the whole budget, whose bytes cross an exchange because late rows are wanted → nothing keeps a share
/// of the budget for longer than its rows need it, and the job ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_of_one_chunk_is_enough() {
    let list = events(3, 40_000, 0);
    let mut lists = Lists::new(vec![list.clone()]);
    lists.chunk = 8_000;
    let mut job = Job::default();
    let source = job.source(lists, 0, Mood::Well);
    let size = WindowSpec::Tumbling { size: Period::from_millis(1_000), offset: Period::default() };
    let count = job.count("count", source, size);
    let taken = job.keep("out", &[(count, Port::Main)]);
    let late = job.keep("late", &[(count, Port::Late)]);
    let ledger = job.run(3).await.expect("the job ends");
    assert_balance(&ledger);
    assert_eq!(taken.sorted(), counts(list, 1_000));
    assert_eq!(late.sorted(), Vec::<String>::new());
}

/// The same where what waits for the sink are results, which no source has in its budget → the source stops a few epochs ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_wait_hold_their_source() {
    let (mut job, deaf) = (Job::default(), Shelf { writes: Gate::shut(), ..Shelf::default() });
    let lists = vec![events(1, 80_000, 0), events(2, 80_000, 0)];
    let total: usize = lists.iter().flatten().map(|(time, key)| format!("{time} {key}").len()).sum();
    let held = Lists { chunk: 50, ..Lists::new(lists) };
    let free = Lists { chunk: 50, ..Lists::new(vec![events(3, 80_000, 0), events(4, 80_000, 0)]) };
    let sent = held.sent.clone();
    let held = job.source_named("held", held, 0, Mood::Well);
    let free = job.source_named("free", free, 0, Mood::Well);
    let size = WindowSpec::Tumbling { size: Period::from_millis(1), offset: Period::default() };
    let count = job.count("count", held, size);
    let terms = SinkTerms { queue: ByteCount::new(1), ..SinkTerms::default() };
    job.node("shelf", &[(count, Port::Main)], NodeKind::Sink { sink: Box::new(deaf.clone()), terms });
    let taken = job.keep("out", &[(free, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(1)).await.expect("it starts");
    let rows = || taken.rows.lock().expect("not poisoned").len();
    until("the rows of the other branch", || (rows() == 160_000).then_some(())).await;
    let waiting = sent.load(SeqCst);
    assert!(waiting < total / 2, "{waiting} of {total} bytes were sent");
    deaf.writes.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
}

/// Two branches, each with a source and a sink of its own, one sink takes nothing → all rows of the other branch arrive, many
/// times what may be in flight, while no more than that waits in the first; and when that sink takes rows again, all of its own do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_waits_alone() {
    for workers in [1, 2] {
        let (mut job, deaf) = (Job::default(), Shelf { writes: Gate::shut(), ..Shelf::default() });
        let held = Lists { chunk: 50, ..Lists::new(vec![events(1, 20_000, 0), events(2, 20_000, 0)]) };
        let free = Lists { chunk: 50, ..Lists::new(vec![events(3, 20_000, 0), events(4, 20_000, 0)]) };
        let sent = held.sent.clone();
        let held = job.source_named("held", held, 0, Mood::Well);
        let free = job.source_named("free", free, 0, Mood::Well);
        job.shelve(held, &deaf);
        let taken = job.keep("out", &[(free, Port::Main)]);
        let running = wasmill_engine::start(job.graph(), options(workers)).await.expect("it starts");
        let rows = || taken.rows.lock().expect("not poisoned").len();
        until("the rows of the other branch", || (rows() == 40_000).then_some(())).await;
        let (budget, waiting) = (options(1).in_flight.bytes() as usize, sent.load(SeqCst));
        assert!(waiting <= budget + 2 * 50 * 12, "{waiting} bytes wait, the budget is {budget}");
        deaf.writes.set(true);
        let ledger = running.wait().await.expect("it ends");
        assert_balance(&ledger);
        assert_eq!(ledger.step("shelf").expect("in the ledger").counts().emitted, 40_000);
    }
}
