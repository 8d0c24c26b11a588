//! What a source must do: announce its splits, then hand over chunks of records through a [`SplitSender`] that makes it
//! wait when the job is behind. Implemented in `connect`, driven by `engine`.

mod ends;
mod hold_ups;
mod intake;
mod note;
mod queue;
mod sender;

pub use ends::Ends;
pub use hold_ups::HoldUps;
pub use intake::Intake;
pub use note::SourceNote;
pub use queue::{Delivery, WorkerQueue, deliver};
pub use sender::SplitSender;

use crate::checkpoint::SplitMark;
use crate::{Binary, Positions, Result};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Records of one split, in order, as they were read.
#[derive(Debug)]
pub struct Chunk {
    /// The records. A chunk should hold some hundred kilobytes: small ones cost time per record, large ones memory.
    pub values: Binary,
    /// One position per record.
    pub positions: Positions,
    /// When each record arrived in the source, in milliseconds, if the source knows and [`Intake::wants_arrivals`].
    pub arrivals: Option<Vec<i64>>,
}

/// What a split has to say.
#[derive(Debug)]
pub enum SplitEvent {
    /// Records.
    Rows(Chunk),
    /// It goes on after other splits, whose ends are settled: nothing earlier than this watermark is expected of it either.
    /// Comes before its first records.
    Inherits(i64),
    /// There is nothing to read at the moment. Only a split that has caught up may be declared idle.
    CaughtUp(CaughtUp),
    /// The split has ended for good and holds no watermark any more.
    Done,
}

/// What a split that has caught up knows. Its next records end it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaughtUp {
    /// It would know of the next record: there is none until then.
    UntilNext,
    /// It has looked just now, and nobody knows of what has come since. If it cannot look again within this time, nobody
    /// knows whether it has caught up.
    Looked {
        /// The longest time to its next look.
        again_within: Duration,
    },
}

/// Where a source goes on: what a checkpoint knows of it.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// What it told [`Intake::note`] last.
    pub note: Value,
    /// Its splits.
    pub splits: BTreeMap<String, SplitMark>,
}

/// A source whose settings were checked. Nothing is opened yet.
#[async_trait]
pub trait Source: Send {
    /// Whether what was read can be read again.
    fn rereads(&self) -> bool {
        true
    }

    /// Reads until the source ends or [`Intake::stopped`]. Calls [`Intake::open`] exactly once and before anything else
    /// is sent: the job's watermark waits for it. An error ends the job.
    ///
    /// If there is an [`Intake::resume`], each split goes on behind its position there, and one that is done is opened no
    /// more. What cannot be read any more, or is not the same source any more, is an error that says so.
    async fn run(self: Box<Self>, intake: Intake) -> Result<()>;
}
