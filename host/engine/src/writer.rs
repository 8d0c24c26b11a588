//! Drives one sink on the I/O runtime: takes batches from all workers, flushes in time, closes at the end.

use crate::discards::wall_clock;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, sleep_until};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::SinkWriter;
use wasmill_stream::{Batch, Error, Result};

/// How many batches may wait for a sink, of all workers together. Batches are as large as the chunks that sources read.
pub const QUEUE: usize = 8;

/// Where the dead letters of a sink go.
pub struct Refusals {
    /// The counters of the sink, which keep its dead letters.
    pub from: Arc<StepLedger>,
    /// The counters of the sink of the dead letters, and the way to its writer. None if there is none.
    pub to: Option<(Arc<StepLedger>, Sender<Arc<Batch>>)>,
}

impl Refusals {
    /// Hands on what was refused. Waits while the sink of the dead letters has no room.
    async fn hand_on(&self) -> Result<()> {
        let Some((ledger, sender)) = &self.to else { return Ok(()) };
        for batch in self.from.take_refusals(wall_clock()) {
            StepLedger::add(&ledger.read, batch.len());
            StepLedger::add(&ledger.bytes, batch.values.total_bytes());
            let gone = |_| Error::closed("the sink of the dead letters has ended");
            sender.send(Arc::new(batch)).await.map_err(gone)?;
        }
        Ok(())
    }
}

/// Writes until all workers have let go of their senders.
pub async fn drive(
    mut writer: Box<dyn SinkWriter>,
    mut batches: Receiver<Arc<Batch>>,
    refusals: Refusals,
) -> Result<()> {
    let interval = writer.flush_interval();
    let mut flush_at: Option<Instant> = None;
    loop {
        // Far away when nothing is buffered: the branch is then disabled.
        let deadline = flush_at.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            () = sleep_until(deadline), if flush_at.is_some() => {
                writer.flush().await?;
                refusals.hand_on().await?;
                flush_at = None;
            }
            batch = batches.recv() => match batch {
                Some(batch) => {
                    writer.write(batch).await?;
                    refusals.hand_on().await?;
                    flush_at.get_or_insert_with(|| Instant::now() + interval);
                }
                None => {
                    writer.close().await?;
                    return refusals.hand_on().await;
                }
            }
        }
    }
}
