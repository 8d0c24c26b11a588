//! Back-pressure: a slow sink makes its source wait, and what is in flight stays within the budget.

use crate::parts::*;
use std::sync::atomic::Ordering::SeqCst;
use wasmill_engine::{NodeKind, Port};

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
        let sink = Box::new(Keep { taken: taken.clone(), behind: Some(sent), fail: false });
        job.node("slow", &[(source, Port::Main)], NodeKind::Sink { sink });
        let ledger = job.run(workers).await.expect("the job ends");
        assert_balance(&ledger);
        assert_eq!(taken.sorted().len(), 40_000);
        // The source counts a chunk before it waits for room, one per split.
        let (most, budget) = (taken.most_behind.load(SeqCst), options(1).in_flight.bytes() as usize);
        assert!(most <= budget + 2 * 50 * 12, "{most} of {total} bytes were in flight, the budget is {budget}");
        assert!(total > 5 * budget, "the test must be able to fail");
    }
}
