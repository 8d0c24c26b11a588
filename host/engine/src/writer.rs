//! Drives one sink on the I/O runtime: takes batches from all workers, flushes in time, prepares at barriers, commits when it
//! is told, closes at the end.

mod calls;
mod refusals;
mod room;

pub use refusals::{DeadLetterBox, Refusals};
pub use room::{Place, Room};

use crate::checkpoint::{Commit, Content, FINAL, Origin, Reporter, UndoLog};
use calls::Calls;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::time::{Instant, sleep_until};
use wasmill_stream::checkpoint::SinkMark;
use wasmill_stream::sink::{Cut, SinkWriter};
use wasmill_stream::{Batch, Result};

/// How many messages may wait for a sink, of all workers together. What counts is their bytes, see [`Room`].
pub const QUEUE: usize = 64;

/// A message to a writer.
pub struct Message {
    /// Who sends: a worker by its number, or, to the sink of the dead letters, behind those the other sinks.
    pub from: usize,
    /// What.
    pub what: What,
}

/// What a writer is told.
pub enum What {
    /// Rows to write, and the room that they take until they are written.
    Rows(Arc<Batch>, Option<Place>),
    /// The sender has passed a barrier: all its rows before this message belong before it, all behind it after it.
    Barrier(u64),
}

/// What a writer needs for checkpoints.
pub struct Checkpointing {
    /// Where its parts go.
    pub reporter: Reporter,
    /// Who it is.
    pub origin: Origin,
    /// How many there are who send to it.
    pub senders: usize,
    /// Asks it to commit.
    pub commits: UnboundedReceiver<Commit>,
    /// Where the sink writes down how to take back what it writes.
    pub undo: Arc<UndoLog>,
}

/// Drives one sink.
pub struct Driver {
    writer: Box<dyn SinkWriter>,
    calls: Calls,
    refusals: Refusals,
    checkpointing: Option<Checkpointing>,
    alignment: Alignment,
    /// The barrier at which something was prepared that was not committed yet.
    prepared: Option<u64>,
    /// When to flush; `None` if nothing is buffered.
    flush_at: Option<Instant>,
}

/// Brings the barrier of all senders together: who has passed it has to wait for the others. Who has ended stands behind
/// every barrier.
#[derive(Default)]
struct Alignment {
    /// Senders, and the barrier behind which each stands.
    passed: BTreeMap<usize, u64>,
    /// What those have sent since.
    held: VecDeque<Message>,
}

impl Driver {
    /// Of an open sink.
    pub fn new(writer: Box<dyn SinkWriter>, refusals: Refusals, checkpointing: Option<Checkpointing>) -> Self {
        let (alignment, calls) = (Alignment::default(), Calls::new(refusals.from.clone()));
        Self { writer, calls, refusals, checkpointing, alignment, prepared: None, flush_at: None }
    }

    /// Writes until all senders have let go, or until the last checkpoint is committed.
    pub async fn drive(mut self, mut messages: Receiver<Message>) -> Result<()> {
        loop {
            // Far away when nothing is buffered: the branch is then disabled.
            let deadline = self.flush_at.unwrap_or_else(Instant::now);
            let is_due = self.flush_at.is_some();
            tokio::select! {
                biased;
                commit = next_commit(&mut self.checkpointing), if self.prepared.is_some() => match commit {
                    Some(commit) => self.commit(commit).await?,
                    // Nobody coordinates any more: the job has failed.
                    None => return self.close().await,
                },
                () = sleep_until(deadline), if is_due => {
                    self.calls.write(self.writer.flush()).await?;
                    self.refusals.hand_on(&self.calls).await?;
                    self.flush_at = None;
                }
                message = messages.recv() => match message {
                    Some(message) => {
                        if self.take(message).await? {
                            self.finish().await?;
                            return self.close().await;
                        }
                    }
                    None => return self.close().await,
                }
            }
        }
    }

    /// Takes a message and what waited for it. Tells whether it completed the last barrier.
    async fn take(&mut self, message: Message) -> Result<bool> {
        let mut messages = VecDeque::from([message]);
        while let Some(Message { from, what }) = messages.pop_front() {
            if self.alignment.passed.contains_key(&from) {
                self.alignment.held.push_back(Message { from, what });
                continue;
            }
            match what {
                What::Rows(batch, place) => {
                    self.calls.write(self.writer.write(batch)).await?;
                    drop(place);
                    self.refusals.hand_on(&self.calls).await?;
                    let interval = self.writer.flush_interval();
                    self.flush_at.get_or_insert_with(|| Instant::now() + interval);
                }
                What::Barrier(barrier) => {
                    self.alignment.passed.insert(from, barrier);
                    let senders = self.checkpointing.as_ref().map_or(0, |checkpointing| checkpointing.senders);
                    if self.alignment.passed.len() >= senders {
                        // One that had ended when the barrier was put up has passed only its own end.
                        let barrier = self.alignment.passed.values().copied().min().unwrap_or(barrier);
                        self.prepare(barrier).await?;
                        if barrier == FINAL {
                            return Ok(true);
                        }
                        self.alignment.passed.retain(|_, passed| *passed == FINAL);
                        // In their order, before whatever comes next.
                        let held = std::mem::take(&mut self.alignment.held);
                        held.into_iter().rev().for_each(|message| messages.push_front(message));
                    }
                }
            }
        }
        Ok(false)
    }

    /// Why a barrier cuts the stream there.
    fn cut(&self, barrier: u64) -> Cut {
        match &self.checkpointing {
            Some(checkpointing) if barrier == FINAL && checkpointing.reporter.is_unfinished() => Cut::Stop,
            Some(_) if barrier == FINAL => Cut::End,
            _ => Cut::Running,
        }
    }

    async fn prepare(&mut self, barrier: u64) -> Result<()> {
        // The last barrier may come close behind another.
        while self.prepared.is_some()
            && let Some(commit) = next_commit(&mut self.checkpointing).await
        {
            self.commit(commit).await?;
        }
        let cut = self.cut(barrier);
        let Some(checkpointing) = &self.checkpointing else { return Ok(()) };
        let prepared = self.calls.commit(self.writer.prepare(cut)).await?;
        self.flush_at = None;
        self.refusals.hand_on(&self.calls).await?;
        if let Some(to) = &self.refusals.to {
            to.send(What::Barrier(barrier)).await?;
        }
        let mark = SinkMark { prepared, committed: false, undo: checkpointing.undo.mark() };
        let content = Content::Prepared(mark, self.writer.wants_checkpoint());
        checkpointing.reporter.report(checkpointing.origin, barrier, content);
        self.prepared = Some(barrier);
        Ok(())
    }

    async fn commit(&mut self, Commit(done): Commit) -> Result<()> {
        self.calls.commit(self.writer.commit()).await?;
        let settled = match self.prepared.take() {
            Some(FINAL) => Some(self.writer.prepare(self.cut(FINAL)).await?),
            _ => None,
        };
        // Whoever asked may be gone by now.
        let _ = done.send(settled);
        Ok(())
    }

    /// Waits until the last checkpoint is published, and commits it.
    async fn finish(&mut self) -> Result<()> {
        while self.prepared.is_some()
            && let Some(commit) = next_commit(&mut self.checkpointing).await
        {
            self.commit(commit).await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.calls.commit(self.writer.close()).await?;
        self.refusals.hand_on(&self.calls).await
    }
}

/// The next wish for a commit; `None` if there will be none.
async fn next_commit(checkpointing: &mut Option<Checkpointing>) -> Option<Commit> {
    checkpointing.as_mut()?.commits.recv().await
}
