//! Barriers that come at an awkward moment: before a source has begun, or when a sink has no room for them.

use crate::parts::*;
use crate::shelf::Shelf;
use crate::vault::{checkpoints, start};
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{Port, Running};

/// A barrier before a source has said which splits it has → no checkpoint without them, and when the source has said it, the
/// job goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_barrier_waits_for_the_splits() {
    for workers in [1, 2] {
        let list = events(1, 500, 0);
        let gate = Gate::shut();
        let mut job = Job::default();
        let source = job.source(Lists { gate: gate.clone(), ..Lists::new(vec![list.clone()]) }, 0, Mood::Well);
        let taken = job.keep("out", &[(source, Port::Main)]);
        let running = start(job, workers, checkpoints(&Arc::default())).await.expect("it starts");
        let status = running.checkpoints().expect("it keeps some").clone();
        let seen = until("what became of the barrier", || {
            let known = status.look();
            assert_eq!(known.published, 0, "without the source");
            known.stalled.filter(|reason| reason.contains("waiting for list"))
        });
        seen.await;
        gate.set(true);
        assert_balance(&ended(running).await);
        assert_eq!(taken.sorted().len(), list.len());
    }
}

/// A sink whose writer has no room left when its input ends, whatever the last message is that finds none → the last barrier
/// still gets through, and the job ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_writer_gets_the_last_barrier() {
    for chunks in 5..=12 {
        let mut job = Job::default();
        let lists = Lists { chunk: 1, ..Lists::new(vec![events(1, chunks, 0)]) };
        let source = job.source(lists, 0, Mood::Well);
        let full = Shelf { writes: Gate::shut(), ..Shelf::default() };
        job.shelve(source, &full);
        let running = start(job, 1, checkpoints(&Arc::default())).await.expect("it starts");
        let status = running.checkpoints().expect("it keeps some").clone();
        let read = running.ledger().step("shelf").expect("in the ledger").clone();
        until("that all but the sink are done", || {
            let stalled = status.look().stalled.unwrap_or_default();
            (read.counts().read == chunks as u64 && stalled.ends_with("waiting for shelf")).then_some(())
        })
        .await;
        full.writes.set(true);
        assert_balance(&ended(running).await);
    }
}

/// Waits until a job has ended by itself; not for ever.
async fn ended(running: Running) -> wasmill_stream::ledger::Ledger {
    let ended = tokio::time::timeout(Duration::from_secs(60), running.wait()).await;
    ended.expect("the job stands still").expect("it ends")
}
