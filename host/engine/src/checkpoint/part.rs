//! What operators hand over at a barrier.

use crate::epoch::EpochClock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use wasmill_stream::checkpoint::{Changes, SinkMark, SplitMark};

/// The barrier behind the last epoch: the operator has ended.
pub const FINAL: u64 = u64::MAX;

/// Who hands over a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The node.
    pub node: usize,
    /// The worker; 0 for sinks, which have one writer.
    pub worker: usize,
}

/// One part of a checkpoint.
pub struct Part {
    /// Who hands it over.
    pub from: Origin,
    /// The epoch behind which the barrier stands.
    pub barrier: u64,
    /// What it is.
    pub content: Content,
}

/// What a part says.
pub enum Content {
    /// Where the splits of a source are.
    Splits(BTreeMap<String, SplitMark>),
    /// The state of a step.
    State(State),
    /// What a sink has prepared, and whether it wants another checkpoint although no row comes.
    Prepared(SinkMark, bool),
}

/// What a step says of its state.
pub struct State {
    /// What has changed in it since the part before.
    pub changes: Changes,
    /// How far event time has come for it.
    pub watermark: i64,
    /// Its version.
    pub version: u32,
    /// How often it was rewritten in this run. If that is more often than before, everything has changed.
    pub rewrites: u64,
    /// How long it took to write this down: so long the step stood still.
    pub pause: Duration,
}

/// The operators' side of checkpoints.
#[derive(Clone)]
pub struct Reporter {
    clock: Arc<EpochClock>,
    parts: UnboundedSender<Part>,
    unfinished: Arc<AtomicBool>,
}

impl Reporter {
    /// Reports to whoever receives `parts`.
    pub fn new(clock: Arc<EpochClock>, parts: UnboundedSender<Part>, unfinished: Arc<AtomicBool>) -> Self {
        Self { clock, parts, unfinished }
    }

    /// The barrier that an operator has yet to pass: the latest one, unless it was its `last`.
    pub fn barrier(&self, last: Option<u64>) -> Option<u64> {
        self.clock.barrier().filter(|barrier| last.is_none_or(|last| last < *barrier))
    }

    /// Hands a part over. Nobody listens any more only when the job has failed.
    pub fn report(&self, from: Origin, barrier: u64, content: Content) {
        let _ = self.parts.send(Part { from, barrier, content });
    }

    /// A source has ended with a split that has not: another run may read on.
    pub fn leave_unfinished(&self) {
        self.unfinished.store(true, Relaxed);
    }

    /// Whether another run may read on. Known for good once all sources have ended.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished.load(Relaxed)
    }
}
