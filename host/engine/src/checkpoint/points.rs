//! The checkpoints to which a job can be rewound. Whoever wants to have one asks for it before something changes that may have
//! to be undone. Manifests and undo logs that came after it are kept until it is too old.

use crate::discards::wall_clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use wasmill_stream::checkpoint::RewindPoint;
use wasmill_stream::{Error, Result};

/// How many there are at a time; the oldest goes when there are more.
const MOST: usize = 8;

/// Who waits for a checkpoint, and is told its number.
type Waiting = oneshot::Sender<u64>;

/// Asks a running job for checkpoints to which it can be rewound.
#[derive(Debug, Clone)]
pub struct RewindPoints {
    requests: UnboundedSender<Waiting>,
}

impl RewindPoints {
    /// With what receives the requests.
    pub(crate) fn new() -> (Self, UnboundedReceiver<Waiting>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        (Self { requests }, receiver)
    }

    /// Resolves with the number of a checkpoint of everything so far, when it is published and committed.
    pub async fn take(&self) -> Result<u64> {
        let ended = || Error::closed("the job has ended");
        let (waiting, number) = oneshot::channel();
        self.requests.send(waiting).map_err(|_| ended())?;
        number.await.map_err(|_| ended())
    }
}

/// The points of a job, as its coordinator keeps them.
pub(super) struct Points {
    /// How long they are kept.
    keep: Duration,
    points: Vec<RewindPoint>,
    /// Who waits for one whose barrier is not put up yet.
    waiting: Vec<Waiting>,
    /// Whether sinks keep undo logs.
    undo_is_wanted: Arc<AtomicBool>,
    /// Whether some of them have become too old since [`Points::have_gone`] was asked, or before the run.
    have_gone: bool,
}

impl Points {
    /// Continues those of the manifest from which the job goes on.
    pub(super) fn new(keep: Duration, points: Vec<RewindPoint>) -> Self {
        let undo_is_wanted = Arc::new(AtomicBool::new(!points.is_empty()));
        Self { keep, points, waiting: Vec::new(), undo_is_wanted, have_gone: true }
    }

    /// Whether sinks keep undo logs. Shared with them.
    pub(super) fn undo_is_wanted(&self) -> &Arc<AtomicBool> {
        &self.undo_is_wanted
    }

    /// Somebody waits for one. From now on sinks keep undo logs: the next barrier comes after that.
    pub(super) fn ask(&mut self, waiting: Waiting) {
        self.undo_is_wanted.store(true, Relaxed);
        self.waiting.push(waiting);
    }

    /// Whether somebody waits for the next barrier.
    pub(super) fn are_asked_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those who get what they wait for with the barrier that is put up now.
    pub(super) fn served(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// The points that a manifest names. `is_point`: it is one itself.
    pub(super) fn of_manifest(&mut self, number: u64, is_point: bool) -> Vec<RewindPoint> {
        let now = wall_clock();
        let before = self.points.len();
        let oldest = now - i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        self.points.retain(|point| point.at > oldest);
        if is_point {
            self.points.push(RewindPoint { number, at: now });
        }
        self.points.drain(..self.points.len().saturating_sub(MOST));
        self.have_gone |= self.points.len() < before + usize::from(is_point);
        if self.points.is_empty() && self.waiting.is_empty() {
            self.undo_is_wanted.store(false, Relaxed);
        }
        self.points.clone()
    }

    /// Whether some have gone, so that what was kept for them can go as well. Says so once.
    pub(super) fn have_gone(&mut self) -> bool {
        std::mem::take(&mut self.have_gone)
    }

    /// The oldest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.points.first().map(|point| point.number)
    }
}
