//! The epoch that all sources of the process stamp their rows with. It closes a time after something has come to it or after so
//! many bytes, whichever comes first, and never runs far ahead of what the sinks have taken: that is the job's back-pressure.
//! While nothing comes it stays open: a job that idles costs a look a second, and a thousand of them fit into a process.

use crate::wake::Bell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many epochs may be open or on their way at once.
pub const EPOCHS_AHEAD: u64 = 4;

/// No barrier so far.
const NONE: u64 = u64::MAX;
/// Nothing has come to the open epoch.
const AT_REST: u64 = u64::MAX;
/// How often sources look whether time alone has changed something, while nothing comes.
const LOOK: Duration = Duration::from_secs(1);

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
    /// When the open epoch closes, microseconds after `start`, or [`AT_REST`].
    due: AtomicU64,
    /// Whether something has come since the last barrier was asked for.
    has_news: AtomicBool,
    bytes: AtomicU64,
    bells: Mutex<Vec<Arc<Bell>>>,
}

impl std::fmt::Debug for EpochClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpochClock").field("current", &self.current()).finish_non_exhaustive()
    }
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
            due: AtomicU64::new(AT_REST),
            has_news: AtomicBool::new(true),
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
        // Whatever is told later belongs to this barrier or to another one.
        self.has_news.store(false, Release);
        let epoch = self.current();
        self.barrier.store(epoch, Release);
        self.hurry();
        epoch
    }

    /// Whether a barrier now would stand behind anything that the last one does not.
    pub fn has_news(&self) -> bool {
        self.has_news.load(Acquire)
    }

    /// Something has come to the open epoch: it closes in time. Whoever says so comes back then.
    pub fn begin(&self) {
        if !self.has_news.load(Relaxed) {
            self.has_news.store(true, Release);
        }
        if self.is_at_rest() {
            self.close_after(self.length);
        }
    }

    /// Lets the open epoch close at once if nothing has come to it. Somebody waits for its end.
    pub fn hurry(&self) {
        if self.is_at_rest() {
            self.close_after(Duration::ZERO);
            self.ring();
        }
    }

    /// Whether nothing has come to the open epoch.
    pub fn is_at_rest(&self) -> bool {
        self.due.load(Relaxed) == AT_REST
    }

    fn close_after(&self, time: Duration) {
        let due = (self.start.elapsed() + time).as_micros() as u64;
        // Another one may have been faster.
        let _ = self.due.compare_exchange(AT_REST, due, Relaxed, Relaxed);
    }

    /// Does something before the epoch after the open one can be opened; it is told which that is. Whoever sees that epoch
    /// sees what was done.
    pub fn before_next<T>(&self, act: impl FnOnce(u64) -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(self.current() + 1);
        self.has_news.store(true, Release);
        self.hurry();
        done
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

    /// Whether the open epoch is to close: it is full, or its time has come.
    pub fn is_over(&self) -> bool {
        self.is_full() || self.remaining().is_zero()
    }

    /// How long the open epoch may still last; while nothing comes to it, how long until somebody should look whether time alone
    /// has changed something.
    pub fn remaining(&self) -> Duration {
        match self.due.load(Relaxed) {
            AT_REST => LOOK,
            due => Duration::from_micros(due).saturating_sub(self.start.elapsed()),
        }
    }

    /// How long an epoch lasts once something has come to it.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Closes `epoch` and opens the next, unless somebody else already has.
    pub fn close(&self, epoch: u64) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.current() == epoch {
            // Before anybody sees the next one and says that something has come to it.
            self.due.store(AT_REST, Relaxed);
            self.bytes.store(0, Relaxed);
            self.current.store(epoch + 1, Release);
            self.ring();
        }
    }

    fn ring(&self) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|bell| bell.ring());
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

    /// An epoch to which nothing has come never ends by itself; its time counts from the first that comes, and whoever waits for
    /// its end does not wait for that time.
    #[test]
    fn an_epoch_rests() {
        let clock = EpochClock::new(Duration::from_millis(20), 400);
        assert!(!clock.is_over() && clock.remaining() == LOOK);
        std::thread::sleep(Duration::from_millis(30));
        assert!(!clock.is_over(), "nothing has come");
        clock.begin();
        assert!(!clock.is_over() && clock.remaining() <= Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(30));
        assert!(clock.is_over());
        clock.close(0);
        assert!(!clock.is_over());
        clock.hurry();
        assert!(clock.is_over());
    }

    /// What came before a barrier was asked for is no news any more; a revision is.
    #[test]
    fn barriers_bring_no_news() {
        let clock = EpochClock::new(Duration::from_secs(3600), 400);
        assert!(clock.has_news(), "a job that begins");
        assert_eq!(clock.request_barrier(), 0);
        assert!(clock.is_over() && !clock.has_news());
        clock.close(0);
        clock.hurry();
        assert!(!clock.has_news(), "a look");
        clock.begin();
        assert!(clock.has_news());
        assert_eq!(clock.request_barrier(), 1);
        assert_eq!(clock.before_next(|next| next), 2);
        assert!(clock.has_news());
    }
}
