//! The epoch that all sources of the process stamp their rows with. It closes after a time or after so many bytes,
//! whichever comes first, and never runs far ahead of what the sinks have taken: that is the job's back-pressure.

use crate::wake::Bell;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many epochs may be open or on their way at once.
pub const EPOCHS_AHEAD: u64 = 4;

/// No barrier so far.
const NONE: u64 = u64::MAX;

/// The process-wide epoch.
pub struct EpochClock {
    start: Instant,
    length: Duration,
    /// Bytes after which an epoch is full.
    size: u64,
    current: AtomicU64,
    /// The latest epoch that ends with a barrier.
    barrier: AtomicU64,
    /// Held while an epoch is closed or made a barrier: whoever sees that an epoch is closed knows whether it was one.
    turn: Mutex<()>,
    /// When the current epoch was opened, microseconds after `start`.
    opened: AtomicU64,
    bytes: AtomicU64,
    bells: Mutex<Vec<Arc<Bell>>>,
}

impl EpochClock {
    /// Epochs of at most this length, of which [`EPOCHS_AHEAD`] together hold at most `in_flight` bytes.
    pub fn new(length: Duration, in_flight: u64) -> Self {
        Self {
            start: Instant::now(),
            length,
            size: (in_flight / EPOCHS_AHEAD).max(1),
            current: AtomicU64::new(0),
            barrier: AtomicU64::new(NONE),
            turn: Mutex::new(()),
            opened: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bells: Mutex::new(Vec::new()),
        }
    }

    /// Adds a source operator that must follow when an epoch closes.
    pub fn follow(&self, bell: Arc<Bell>) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).push(bell);
    }

    /// The open epoch.
    pub fn current(&self) -> u64 {
        self.current.load(Acquire)
    }

    /// Makes the open epoch end with a barrier.
    pub fn request_barrier(&self) -> u64 {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.current();
        self.barrier.store(epoch, Release);
        epoch
    }

    /// Does something before the epoch after the open one can be opened; it is told which that is. Whoever sees that epoch
    /// sees what was done.
    pub fn before_next<T>(&self, act: impl FnOnce(u64) -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        act(self.current() + 1)
    }

    /// The latest epoch that ends with a barrier; it may still be open.
    pub fn barrier(&self) -> Option<u64> {
        Some(self.barrier.load(Acquire)).filter(|barrier| *barrier != NONE)
    }

    /// Counts bytes that entered the open epoch.
    pub fn count(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Whether the open epoch takes no more rows.
    pub fn is_full(&self) -> bool {
        self.bytes.load(Relaxed) >= self.size
    }

    /// How long the open epoch may still last.
    pub fn remaining(&self) -> Duration {
        let opened = Duration::from_micros(self.opened.load(Relaxed));
        self.length.saturating_sub(self.start.elapsed().saturating_sub(opened))
    }

    /// Closes `epoch` and opens the next, unless somebody else already has.
    pub fn close(&self, epoch: u64) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current() == epoch {
            self.current.store(epoch + 1, Release);
            self.bytes.store(0, Relaxed);
            self.opened.store(self.start.elapsed().as_micros() as u64, Relaxed);
            for bell in self.bells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                bell.ring();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two workers that close the same epoch advance it once, and a full epoch is empty again after that.
    #[test]
    fn an_epoch_closes_once() {
        let clock = EpochClock::new(Duration::from_secs(3600), 400);
        clock.count(99);
        assert!(!clock.is_full());
        clock.count(1);
        assert!(clock.is_full());
        clock.close(0);
        clock.close(0);
        assert_eq!(clock.current(), 1);
        assert!(!clock.is_full());
    }
}
