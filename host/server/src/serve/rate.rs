//! How often somebody may do something: buckets of permits that fill up again with time, one for each of those who ask.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many buckets are kept. Those that are full say nothing, and are forgotten first.
const KEPT: usize = 10_000;

/// Buckets by whose they are.
pub struct Rate<K> {
    /// So many permits are in a full bucket.
    burst: f64,
    /// So many come back in a second.
    per_second: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    permits: f64,
    at: Instant,
}

impl<K: Eq + Hash> Rate<K> {
    /// Full buckets.
    pub fn new(burst: u32, per_second: f64) -> Self {
        Self { burst: f64::from(burst), per_second, buckets: Mutex::default() }
    }

    /// Takes a permit of somebody's. If there is none, says when there will be.
    pub fn take(&self, whose: K, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEPT && !buckets.contains_key(&whose) {
            buckets.retain(|_, bucket| self.filled(bucket, now) < self.burst);
            if buckets.len() >= KEPT {
                // So many at a time are no accident: whoever is new waits.
                return Err(Duration::from_secs(1));
            }
        }
        let bucket = buckets.entry(whose).or_insert(Bucket { permits: self.burst, at: now });
        *bucket = Bucket { permits: self.filled(bucket, now), at: now };
        if bucket.permits < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.permits) / self.per_second));
        }
        bucket.permits -= 1.0;
        Ok(())
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.permits + since * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who asks too often → waits until a permit is back; others do not notice.
    #[test]
    fn buckets_fill_up() {
        let (rate, start) = (Rate::new(3, 2.0), Instant::now());
        for _ in 0..3 {
            assert_eq!(rate.take("a", start), Ok(()));
        }
        assert_eq!(rate.take("a", start), Err(Duration::from_millis(500)));
        assert_eq!(rate.take("b", start), Ok(()));
        assert_eq!(rate.take("a", start + Duration::from_millis(500)), Ok(()));
        let later = start + Duration::from_secs(3_600);
        let taken = (0..10).filter(|_| rate.take("a", later).is_ok()).count();
        assert_eq!(taken, 3, "a bucket holds no more than that");
    }

    /// More of them than are kept, all at once → the last ones wait, and do not when the others' buckets are full again.
    #[test]
    fn many_at_once() {
        let (rate, start) = (Rate::new(1, 1.0), Instant::now());
        let heard = (0..KEPT + 5).filter(|number| rate.take(*number, start).is_ok()).count();
        assert_eq!(heard, KEPT);
        assert_eq!(rate.take(usize::MAX, start + Duration::from_secs(2)), Ok(()));
    }
}
