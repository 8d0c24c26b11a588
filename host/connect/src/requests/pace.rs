//! A bound on how much goes out in a second. Who is too early waits; nothing is dropped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A bucket of permits that fills up again with time.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    burst: f64,
    /// Permits that are left, below zero if they are promised, and when they were counted.
    state: Mutex<(f64, Instant)>,
}

impl Pace {
    /// So many a second, and at most so many at once.
    pub fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst: f64::from(burst), state: Mutex::new((f64::from(burst), Instant::now())) }
    }

    /// Waits until so many may go.
    pub async fn take(&self, count: usize) {
        let wait = self.promise(count, Instant::now());
        tokio::time::sleep(wait).await;
    }

    /// Promises so many permits: after which time they may be used.
    fn promise(&self, count: usize, now: Instant) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *state;
        let filled = (left + now.duration_since(since).as_secs_f64() * self.per_second).min(self.burst);
        let left = filled - count as f64;
        *state = (left, now);
        Duration::try_from_secs_f64(-left.min(0.0) / self.per_second).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst goes at once, the rest as permits come back, in the order in which they were asked for; an idle time gives no more than
    /// a burst.
    #[test]
    fn a_burst_and_then_the_rate() {
        let (pace, start) = (Pace::new(10.0, 5), Instant::now());
        let waits: Vec<_> = [5, 1, 20].map(|count| pace.promise(count, start).as_millis()).into();
        assert_eq!(waits, [0, 100, 2_100]);
        let later = start + Duration::from_secs(60);
        assert_eq!([5, 1].map(|count| pace.promise(count, later).as_millis()), [0, 100]);
    }
}
