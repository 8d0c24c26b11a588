//! What all instances of a plugin in one step share: whom messages are about, the counters, the budget of the log, and
//! when the last warning about a slow call was. A fresh instance after a trap starts with none of it anew.

use crate::limits::Limits;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmill_stream::GuestLedger;
use wasmill_stream::quota::Quota;

/// How often a step may be warned about.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// Whom messages and log lines are about.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The step of the job; none while a component is being loaded.
    pub(crate) step: Option<Arc<str>>,
    /// Name and version of the plugin; its path until it has told them.
    pub(crate) plugin: Arc<str>,
    /// The digest of the component; none while it is being loaded.
    pub(crate) sha256: Option<Arc<str>>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(f, "step `{step}`: ")?;
        }
        write!(f, "plugin {}", self.plugin)
    }
}

/// See the file's head.
pub(crate) struct Account {
    pub(crate) subject: Subject,
    pub(crate) ledger: Arc<GuestLedger>,
    pub(crate) log: Bucket,
    pub(crate) slow: Pause,
    /// What the plugin takes its share of.
    pub(crate) quota: Option<Arc<Quota>>,
    /// How many metrics it keeps, of those of the quota.
    metrics: AtomicU64,
}

impl Account {
    pub(crate) fn new(subject: Subject, limits: &Limits, quota: Option<Arc<Quota>>) -> Self {
        let (log, slow) = (Bucket::new(limits.log.bytes()), Pause::default());
        Self { subject, ledger: Arc::default(), log, slow, quota, metrics: AtomicU64::new(0) }
    }

    /// Whether the quota leaves room for one more metric, which is taken.
    pub(crate) fn take_metric(&self) -> bool {
        let Some(quota) = &self.quota else { return true };
        let is_taken = quota.metrics.take(1);
        self.metrics.fetch_add(u64::from(is_taken), Relaxed);
        is_taken
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(quota) = &self.quota {
            quota.metrics.give_back(*self.metrics.get_mut());
        }
    }
}

/// A budget of bytes that fills again within a second.
pub(crate) struct Bucket {
    per_second: u64,
    level: Mutex<Level>,
}

struct Level {
    left: u64,
    at: Instant,
    dropped: u64,
}

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self { per_second, level: Mutex::new(Level { left: per_second, at: Instant::now(), dropped: 0 }) }
    }

    /// Takes `size` bytes at `now`, or counts a dropped line. A line that passes is told how many were dropped before it.
    pub(crate) fn take(&self, size: u64, now: Instant) -> Option<u64> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = u64::try_from(now.saturating_duration_since(level.at).as_millis()).unwrap_or(u64::MAX);
        let filled = self.per_second.saturating_mul(millis.min(1_000)) / 1_000;
        if filled > 0 {
            level.left = level.left.saturating_add(filled).min(self.per_second);
            level.at = now;
        }
        if size > level.left {
            // Also later lines that would fit: a log with holes misleads.
            level.left = 0;
            level.dropped += 1;
            return None;
        }
        level.left -= size;
        Some(std::mem::take(&mut level.dropped))
    }
}

/// Lets something happen at most once in ten seconds.
#[derive(Default)]
pub(crate) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    /// Whether it may happen now.
    pub(crate) fn passes(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = last.is_none_or(|last| now.saturating_duration_since(last) >= WARNING_PAUSE);
        if passes {
            *last = Some(now);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flood is cut at the budget, also lines that would fit; the next line that passes says how many were dropped.
    #[test]
    fn a_bucket_fills_within_a_second() {
        let start = Instant::now();
        let bucket = Bucket::new(1_000);
        let take = |size, millis| bucket.take(size, start + Duration::from_millis(millis));
        assert_eq!(take(900, 0), Some(0));
        assert_eq!((take(200, 0), take(1, 0)), (None, None));
        assert_eq!(take(600, 500), None);
        assert_eq!(take(600, 1_200), Some(3));
        assert_eq!((take(1_001, 9_000), take(1_000, 99_000)), (None, Some(1)));
    }

    /// The first warning passes at once, the next one ten seconds later.
    #[test]
    fn warnings_pause() {
        let start = Instant::now();
        let pause = Pause::default();
        let passes = [0, 1, 9_999, 10_000, 19_999].map(|millis| pause.passes(start + Duration::from_millis(millis)));
        assert_eq!(passes, [true, false, false, true, false]);
    }
}
