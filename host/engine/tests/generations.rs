//! Splits that go on after others, as children of a shard do: none begins before the ends of those are settled.

use crate::parts::*;
use crate::vault::{Memory, checkpoints, start};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{Checkpoints, Journal, NodeKind, Port};
use wasmill_stream::source::{Intake, Source};
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Binary, Positions, Result, SplitId};

/// How many splits follow one after the other, and the rows of each.
const GENERATIONS: i64 = 5;
const ROWS: i64 = 300;

/// A split per generation. Each begins when the end of the one before is settled, on another worker than that.
#[derive(Default)]
struct Generations {
    /// Where a manifest must hold an end that is settled, if the job keeps checkpoints.
    store: Option<Arc<Memory>>,
}

#[async_trait]
impl Source for Generations {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let split = |generation: i64| SplitId::new("list", generation);
        let mut senders = intake.open(vec![split(0)]).await?;
        for generation in 0..GENERATIONS {
            let sender = senders.remove(0);
            let lines: Binary = (0..ROWS).map(|row| format!("{} a", generation * ROWS + row)).collect();
            sender.rows(lines, Positions::Consecutive { first: 0 }).await?;
            senders = intake.open_more(vec![split(generation + 1)]).await?;
            sender.done().await?;
            let watermark = intake.settled(&split(generation)).await?;
            assert_eq!(watermark, Some(generation * ROWS + ROWS - 1 - 60_000), "of generation {generation}");
            if let Some(store) = &self.store {
                let newest = Journal::new(store.clone()).newest().await?.expect("one is published");
                assert!(newest.sources["list"].splits[split(generation).part()].done, "of generation {generation}");
            }
        }
        senders.remove(0).done().await
    }
}

fn job(source: Generations) -> (Job, Taken) {
    let mut job = Job::default();
    let (decoder, watermark) = (Some(Parse::new(Mood::Well) as _), WatermarkSpec::default());
    let kind = NodeKind::Source { source: Box::new(source), decoder, time: EventTime::Plugin, watermark };
    let source = job.node("list", &[], kind);
    let windows = WindowSpec::Tumbling { size: Period::from_millis(100), offset: Period::default() };
    let counts = job.count("count", source, windows);
    let taken = job.keep("out", &[(source, Port::Main)]);
    job.keep("counts", &[(counts, Port::Main)]);
    (job, taken)
}

fn assert_in_order(taken: &Taken) {
    let rows = taken.rows.lock().expect("not poisoned");
    let times = rows.iter().map(|row| row.split(' ').next().and_then(|time| time.parse().ok()).expect("a time"));
    assert_eq!(times.collect::<Vec<i64>>(), (0..GENERATIONS * ROWS).collect::<Vec<_>>());
}

/// Splits on workers that take turns, without checkpoints → their rows come to a sink in the order of the splits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_come_first() {
    for workers in [1, 2, 4] {
        let (job, taken) = job(Generations::default());
        assert_balance(&job.run(workers).await.expect("it ends"));
        assert_in_order(&taken);
    }
}

/// The same with checkpoints an hour apart → each end is in a published one before the next split begins, and nobody waits
/// for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_come_first() {
    let store = Arc::new(Memory::default());
    let (job, taken) = job(Generations { store: Some(store.clone()) });
    let hourly = Checkpoints { interval: Duration::from_secs(3600), ..checkpoints(&store) };
    let ledger = start(job, 2, hourly).await.expect("it starts").wait().await.expect("it ends");
    assert_balance(&ledger);
    assert_in_order(&taken);
}
