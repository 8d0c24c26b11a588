//! What is known of the checkpoints of a running job, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The checkpoints so far. Shared: clones show the same.
#[derive(Debug, Clone)]
pub struct Status {
    known: Arc<Mutex<Known>>,
    /// A checkpoint that takes longer is stalled.
    patience: Duration,
    failures: Arc<AtomicU64>,
}

/// The checkpoint that a job has gone on from.
#[derive(Debug, Clone)]
pub struct ResumedFrom {
    /// Its number.
    pub number: u64,
    /// When it was published, as RFC 3339.
    pub at: String,
    /// Plugins that have been replaced since, for people.
    pub changed: Vec<String>,
}

/// What a checkpoint cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// From its barrier until everything was committed.
    pub took: Duration,
    /// The longest that any step stood still for it, to write down what had changed.
    pub pause: Duration,
    /// Bytes of state written, compaction included.
    pub written: u64,
}

/// A look at a [`Status`].
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What the job has gone on from; `None` if it began anew.
    pub resumed: Option<ResumedFrom>,
    /// How often writing to the store or publishing has failed. What time may cure is tried again.
    pub failures: u64,
    /// How many were published by this run.
    pub published: u64,
    /// The number of the last one.
    pub last: Option<u64>,
    /// Until when it holds everything: when it was published, or when there was last found to be nothing new.
    pub at: Option<Instant>,
    /// What the last one cost.
    pub cost: Published,
    /// The longest that any step has stood still for one.
    pub longest_pause: Duration,
    /// Why the one under way takes more than three intervals: who holds it.
    pub stalled: Option<String>,
    /// Since when one is under way, and whom it waits for.
    waits: Option<(Instant, String)>,
}

impl Status {
    /// Nothing published yet. `failures`: where those of the store are counted.
    pub fn new(resumed: Option<ResumedFrom>, patience: Duration, failures: Arc<AtomicU64>) -> Self {
        Self { known: Arc::new(Mutex::new(Known { resumed, ..Known::default() })), patience, failures }
    }

    /// What is known now.
    pub fn look(&self) -> Known {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.failures = self.failures.load(Relaxed);
        known.stalled =
            known.waits.as_ref().filter(|(since, _)| since.elapsed() > self.patience).map(|(since, whom)| {
                let last = known.last.map_or("none yet".to_owned(), |last| format!("the last is number {last}"));
                format!("no checkpoint for {} s ({last}): waiting for {whom}", since.elapsed().as_secs())
            });
        known
    }

    /// Whom the checkpoint under way waits for.
    pub(super) fn waits_for(&self, waits: Option<(Instant, String)>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).waits = waits;
    }

    /// The checkpoint under way has come so far that it waits for somebody else.
    pub(super) fn waits_now_for(&self, whom: String) {
        if let Some((_, waits_for)) = &mut self.known.lock().unwrap_or_else(PoisonError::into_inner).waits {
            *waits_for = whom;
        }
    }

    /// There is nothing that the last one does not hold.
    pub(super) fn is_up_to_date(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).at = Some(Instant::now());
    }

    /// One was published and committed.
    pub(super) fn published(&self, published: Published) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.published += 1;
        (known.last, known.at, known.waits) = (Some(published.number), Some(Instant::now()), None);
        known.longest_pause = known.longest_pause.max(published.pause);
        known.cost = published;
    }
}
