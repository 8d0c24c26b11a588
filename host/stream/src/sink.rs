//! What a sink must do: take batches, write them, and say when they are safe. Implemented in `connect`; `engine` drives
//! one writer per sink on the I/O runtime, fed by all workers through a bounded channel.

use crate::ledger::StepLedger;
use crate::{Batch, Guarantee, Result};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a sink is told when it is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its counters.
    pub ledger: Arc<StepLedger>,
    /// The name of the job. Together with the sink's own name it marks what was written and not committed.
    pub job: String,
    /// Whether rows count only once a checkpoint commits them: [`SinkWriter::prepare`] and [`SinkWriter::commit`] will be
    /// called, and nothing may become visible before. Otherwise rows become visible as soon as they are safe.
    pub commits: bool,
    /// The number of this run of the job: greater than that of every run before.
    pub run: u64,
    /// What [`SinkWriter::prepare`] returned for the checkpoint from which the job goes on; null if there is none. It may
    /// have been committed or not. The sink commits it while it is opened, and undoes whatever was written after it and
    /// not committed.
    pub prepared: Value,
    /// Whether it has been committed for certain. Then what became visible belongs to its readers: the sink must not miss what
    /// they have taken away.
    pub committed: bool,
    /// What has to be taken back before anything else: the job has gone back to the checkpoint with `prepared`.
    pub withdrawal: Option<Withdrawal>,
    /// Where the sink writes down how to take back what it is about to write, if it has to. `None` in a job without
    /// checkpoints.
    pub undo: Option<Arc<dyn Undo>>,
    /// What it does while its other side takes nothing. Anything but waiting only if it [gives up](Sink::gives_up) rows.
    pub on_outage: OnOutage,
}

/// Rows that came after the checkpoint to which a job has gone back. After a crash they may be taken back a second time.
#[derive(Debug, Clone, Default)]
pub struct Withdrawal {
    /// What [`SinkWriter::prepare`] has returned since, the oldest first. Any of it may have been committed.
    pub prepared: Vec<Value>,
    /// What the sink has kept in its [`Undo`] since, the oldest first, for [`Undo::read`].
    pub entries: Vec<String>,
}

/// Notes of a sink about what it is going to change, for one whose rows are visible before a checkpoint commits them.
#[async_trait]
pub trait Undo: Debug + Send + Sync {
    /// Whether what is written now may have to be taken back.
    fn is_wanted(&self) -> bool;

    /// Keeps an entry. When it returns, the entry survives a crash, and what it is about may be written.
    async fn keep(&self, entry: Bytes) -> Result<()>;

    /// An entry by its name.
    async fn read(&self, name: &str) -> Result<Bytes>;
}

/// What becomes of rows while the other side of a sink takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// They wait, and so do the sources that they come from.
    #[default]
    Wait,
    /// They become dead letters, until it takes some again.
    DeadLetter {
        /// How long they wait before that.
        after: Duration,
    },
}

impl Opening {
    /// Of a sink in a job without checkpoints.
    pub fn new(ledger: Arc<StepLedger>) -> Self {
        Self {
            ledger,
            job: String::new(),
            commits: false,
            run: 0,
            prepared: Value::Null,
            committed: false,
            withdrawal: None,
            undo: None,
            on_outage: OnOutage::Wait,
        }
    }
}

/// When a sink prepares a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Rows go on after it.
    Running,
    /// The job stops; another run may go on with it.
    Stop,
    /// There will never be another row.
    End,
}

/// A sink whose settings were checked. Nothing is opened yet.
#[async_trait]
pub trait Sink: Send {
    /// What the sink promises about a row that is delivered twice, printed at start.
    fn guarantee(&self) -> Guarantee;

    /// Whether it can take back rows that are visible already, in a job with checkpoints: see [`Opening::withdrawal`].
    fn withdraws(&self) -> bool {
        false
    }

    /// Whether it can do without rows that its other side does not take: see [`OnOutage::DeadLetter`].
    fn gives_up(&self) -> bool {
        false
    }

    /// The file or folder of this machine that it writes, if it writes any.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Whether all that a row has can be read again from what it writes, whatever that is. Dead letters are for no other sink.
    fn keeps_rows(&self) -> bool {
        true
    }

    /// Opens it: creates the folder, the index, the connection. An error ends the job before it has read anything.
    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>>;
}

/// An open sink. It counts every row of `write` in its ledger exactly once, as `emitted` (then also `written`) when it is
/// safe, or through [`StepLedger::reject`] when the other side refused it for good.
#[async_trait]
pub trait SinkWriter: Send {
    /// Takes a batch. May buffer; writes on its own when its buffer is full. Retries what can be retried inside; an error
    /// ends the job. A correction of a result comes after what it corrects.
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()>;

    /// Writes everything that is buffered. Returns when it is safe. Called every [`SinkWriter::flush_interval`] while
    /// something is buffered.
    async fn flush(&mut self) -> Result<()>;

    /// A checkpoint contains every row that was written so far: makes them durable, and ready to be committed. What it
    /// returns goes into the manifest and comes back in [`Opening::prepared`] after a crash; it also replaces what was
    /// returned before. A sink that writes at once, and can write again without harm, only has to flush. After the commit of
    /// the last checkpoint it is called once more, to say what the next run needs besides rows that are visible by now.
    async fn prepare(&mut self, cut: Cut) -> Result<Value> {
        let _ = cut;
        self.flush().await?;
        Ok(Value::Null)
    }

    /// Whether another checkpoint would make something visible even if no row comes until then: what is complete after a time.
    /// Asked after [`SinkWriter::prepare`]. A job to which nothing comes makes no other checkpoints.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// The manifest with what `prepare` returned last is published: makes it visible. Rows may have been written since then;
    /// the next `prepare` comes only after this. Never called with `prepare` having failed.
    async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    /// Gives up resources. Called once, at the end of the job. In a job without checkpoints it flushes and makes everything
    /// visible; otherwise what was not committed must stay invisible.
    async fn close(&mut self) -> Result<()> {
        self.flush().await
    }

    /// How long a row may wait in the buffer.
    fn flush_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
