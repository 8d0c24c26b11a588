//! What every sink must do that commits with checkpoints: whatever happens to the process, exactly the rows of published
//! checkpoints become visible.

use crate::sink_suite::batch;
use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, Result};

/// What happens to a job.
#[derive(Debug, Clone)]
pub enum Act {
    /// So many rows are written.
    Write(usize),
    /// What is buffered is written.
    Flush,
    /// A checkpoint, with so many rows between preparing it and committing it.
    Checkpoint(usize, Fate),
    /// The job stops and is started again.
    Stop,
    /// The process dies.
    Crash,
    /// The process stands still; another takes over, and then it goes on for a while.
    Freeze,
}

/// How far a checkpoint gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// To the end.
    Committed,
    /// The process dies before its manifest is published.
    Prepared,
    /// The process dies when its manifest is published.
    Published,
    /// The process stands still when its manifest is published, and commits while another has taken over.
    CommittedTwice,
}

/// Any course of events.
pub fn acts() -> impl Strategy<Value = Vec<Act>> {
    let fate = prop::sample::select(vec![Fate::Committed, Fate::Prepared, Fate::Published, Fate::CommittedTwice]);
    let act = prop_oneof![
        4 => (1..40usize).prop_map(Act::Write),
        1 => Just(Act::Flush),
        3 => (0..4usize, fate).prop_map(|(rows, fate)| Act::Checkpoint(rows, fate)),
        1 => Just(Act::Stop),
        1 => Just(Act::Crash),
        1 => Just(Act::Freeze),
    ];
    prop::collection::vec(act, 1..16)
}

/// How an opened sink is told where to go on.
pub fn opening(run: u64, prepared: &Value) -> Opening {
    let ledger = Arc::new(StepLedger::new("out"));
    Opening { job: "taxi".to_owned(), commits: true, run, prepared: prepared.clone(), ..Opening::new(ledger) }
}

/// A job with one sink, as the engine drives it.
struct Job<'a> {
    make: &'a dyn Fn() -> Box<dyn Sink>,
    writer: Box<dyn SinkWriter>,
    run: u64,
    /// What the manifest in force holds.
    published: Value,
    /// The rows that it contains.
    committed: Vec<String>,
    /// The rows since.
    written: Vec<String>,
    rows: usize,
}

/// Lets all this happen to a job, which ends then. `visible` reads everything that a user can see.
pub async fn survives(make: &dyn Fn() -> Box<dyn Sink>, visible: &dyn Fn() -> Vec<String>, acts: &[Act]) {
    let writer = make().open(opening(1, &Value::Null)).await.expect("the sink opens");
    let (committed, written) = (Vec::new(), Vec::new());
    let mut job = Job { make, writer, run: 1, published: Value::Null, committed, written, rows: 0 };
    for act in acts {
        job.act(act).await;
        let visible = sorted(visible());
        let known = sorted(job.committed.clone());
        let stray = visible.iter().find(|row| known.binary_search(row).is_err());
        assert_eq!(stray, None, "after {act:?} a row can be seen that no manifest has");
        assert!(visible.windows(2).all(|pair| pair[0] != pair[1]), "after {act:?} a row can be seen twice");
    }
    // What a frozen process wrote to the end is cleaned up by the next.
    job.restart().await;
    job.write(3).await;
    job.checkpoint(Cut::End, 0, Fate::Committed).await;
    job.writer.close().await.expect("the end");
    assert_eq!(sorted(visible()), sorted(job.committed));
}

impl Job<'_> {
    async fn act(&mut self, act: &Act) {
        match act {
            Act::Write(rows) => self.write(*rows).await,
            Act::Flush => self.writer.flush().await.expect("a flush"),
            Act::Checkpoint(rows, fate) => self.checkpoint(Cut::Running, *rows, *fate).await,
            Act::Stop => {
                self.checkpoint(Cut::Stop, 0, Fate::Committed).await;
                self.writer.close().await.expect("a stop");
                self.restart().await;
            }
            Act::Crash => self.restart().await,
            Act::Freeze => {
                let mut frozen = self.replace().await;
                let rows: Vec<_> = (0..50).map(|n| format!("{{\"stray\":{n}}}")).collect();
                // Whether it notices that it is over is its own business; what it writes must not count.
                let _ = frozen.write(batch(&rows)).await;
                let _ = frozen.flush().await;
            }
        }
    }

    async fn write(&mut self, count: usize) {
        let rows: Vec<_> = (self.rows..self.rows + count).map(|n| format!("{{\"n\":{n}}}")).collect();
        self.rows += count;
        self.writer.write(batch(&rows)).await.expect("a write");
        self.written.extend(rows);
    }

    async fn checkpoint(&mut self, cut: Cut, rows_between: usize, fate: Fate) {
        let prepared = self.writer.prepare(cut).await.expect("a checkpoint is prepared");
        // As it comes back from a manifest.
        let prepared = serde_json::from_str(&prepared.to_string()).expect("JSON");
        if fate == Fate::Prepared {
            return self.restart().await;
        }
        self.published = prepared;
        self.committed.append(&mut self.written);
        if rows_between > 0 {
            self.write(rows_between).await;
            self.writer.flush().await.expect("a flush");
        }
        match fate {
            Fate::Committed => self.writer.commit().await.expect("a commit"),
            Fate::CommittedTwice => self.replace().await.commit().await.expect("a second commit"),
            Fate::Prepared | Fate::Published => self.restart().await,
        }
    }

    /// The process is gone, and with it the rows that no manifest has; another one goes on.
    async fn restart(&mut self) {
        self.writer = Box::new(Gone);
        drop(self.replace().await);
    }

    /// Another process goes on while the old one still stands there.
    async fn replace(&mut self) -> Box<dyn SinkWriter> {
        self.run += 1;
        self.written.clear();
        let opened = (self.make)().open(opening(self.run, &self.published)).await;
        std::mem::replace(&mut self.writer, opened.expect("the sink opens again"))
    }
}

/// In place of the writer of a process that has died.
struct Gone;

#[async_trait::async_trait]
impl SinkWriter for Gone {
    async fn write(&mut self, _: Arc<Batch>) -> Result<()> {
        Err(Error::closed("it is gone"))
    }

    async fn flush(&mut self) -> Result<()> {
        Err(Error::closed("it is gone"))
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_unstable();
    rows
}
