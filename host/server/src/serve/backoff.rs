//! How long a job that has failed waits before it is started again.

use rand::RngExt;
use std::time::Duration;

/// The longest pause after the first failure. It doubles with each one after that.
const FIRST: Duration = Duration::from_secs(1);
/// The longest of all.
const LONGEST: Duration = Duration::from_secs(300);
/// A job that has run for so long was well: its next failure is a first one.
const HEALTHY: Duration = Duration::from_secs(600);

/// The failures of a job in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The job has failed after it has run for so long. Returns how long to wait: a random part of what it may be, so that jobs
    /// that failed together do not come back together.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.failures = 0;
        }
        let most = self.longest();
        self.failures = self.failures.saturating_add(1);
        most.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    fn longest(&self) -> Duration {
        FIRST.saturating_mul(2u32.saturating_pow(self.failures)).min(LONGEST)
    }

    /// Somebody has changed something: what comes is tried at once.
    pub fn forget(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Failures in a row → each waits about twice as long as the one before, never longer than five minutes; a job that was well
    /// for long begins anew.
    #[test]
    fn waits_longer_and_longer() {
        let mut backoff = Backoff::default();
        for most in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            let wait = backoff.after(Duration::ZERO);
            let most = Duration::from_secs(most);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
        assert!(backoff.after(HEALTHY) <= FIRST);
        for _ in 0..100 {
            backoff.after(Duration::ZERO);
        }
        backoff.forget();
        assert!(backoff.after(Duration::ZERO) <= FIRST);
    }
}
