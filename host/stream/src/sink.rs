//! What a sink must do: take batches, write them, and say when they are safe. Implemented in `connect`; `engine` drives
//! one writer per sink on the I/O runtime, fed by all workers through a bounded channel.

use crate::ledger::StepLedger;
use crate::{Batch, Guarantee, Result};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// A sink whose settings were checked. Nothing is opened yet.
#[async_trait]
pub trait Sink: Send {
    /// What the sink promises about a row that is delivered twice, printed at start.
    fn guarantee(&self) -> Guarantee;

    /// Opens it: creates the folder, the index, the connection. An error ends the job before it has read anything.
    async fn open(self: Box<Self>, ledger: Arc<StepLedger>) -> Result<Box<dyn SinkWriter>>;
}

/// An open sink. It counts every row of `write` in its ledger exactly once, as `emitted` (then also `written`) when it is
/// safe, or through [`StepLedger::reject`] when the other side refused it for good.
#[async_trait]
pub trait SinkWriter: Send {
    /// Takes a batch. May buffer; writes on its own when its buffer is full. Retries what can be retried inside; an error
    /// ends the job.
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()>;

    /// Writes everything that is buffered. Returns when it is safe. Called every [`SinkWriter::flush_interval`] while
    /// something is buffered.
    async fn flush(&mut self) -> Result<()>;

    /// Flushes and gives up resources. Called once, at the end of the job.
    async fn close(&mut self) -> Result<()> {
        self.flush().await
    }

    /// How long a row may wait in the buffer.
    fn flush_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
