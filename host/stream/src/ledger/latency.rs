//! How long something took, as a histogram that any thread can add to.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets, in milliseconds; there is one more above the last. Few: each is a series per sink.
pub const BOUNDS: [u64; 7] = [5, 25, 100, 500, 2_500, 10_000, 60_000];

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// A copy of a [`Latency`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// How many were no longer than each of [`BOUNDS`] and longer than the one before; the last: longer than all.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Latency {
    /// Adds one.
    pub fn add(&self, took: Duration) {
        let bucket = BOUNDS.partition_point(|bound| Duration::from_millis(*bound) < took);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    /// A copy.
    pub fn look(&self) -> Latencies {
        let buckets = std::array::from_fn(|at| self.buckets[at].load(Relaxed));
        Latencies { buckets, sum: Duration::from_nanos(self.nanos.load(Relaxed)) }
    }
}

impl Latencies {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A duration at a bound is in its bucket, one above the last bound in the last.
    #[test]
    fn buckets() {
        let latency = Latency::default();
        [0, 5_000, 5_001, 60_000_000, 60_000_001].iter().for_each(|micros| latency.add(Duration::from_micros(*micros)));
        let seen = latency.look();
        assert_eq!((seen.buckets[0], seen.buckets[1], seen.buckets[6], seen.buckets[7]), (2, 1, 1, 1));
        assert_eq!((seen.count(), seen.sum), (5, Duration::from_micros(120_010_002)));
    }
}
