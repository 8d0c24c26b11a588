//! The wall clock of a replay: when it is some event time.

use std::time::Duration;
use tokio::time::Instant;

/// How long the records that are played together take: finer steps cost more than they show.
const STEP: Duration = Duration::from_millis(10);

/// Maps event times to instants, from the first event time asked for.
#[derive(Debug)]
pub struct Pace {
    speedup: f64,
    start: Option<(i64, Instant)>,
}

impl Pace {
    /// So many times faster than event time.
    pub fn new(speedup: f64) -> Self {
        Self { speedup, start: None }
    }

    /// The same speed, from the next event time asked for.
    pub fn anew(self) -> Self {
        Self { start: None, ..self }
    }

    /// How many milliseconds of event time are played in one step.
    pub fn slice(speedup: f64) -> i64 {
        ((STEP.as_millis() as f64 * speedup) as i64).max(1)
    }

    /// How long after the first event time this one is due.
    fn after_start(&self, from: i64, time: i64) -> Duration {
        let millis = time.saturating_sub(from).max(0) as f64 / self.speedup;
        // A year is as good as never and does not overflow an instant.
        Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX).min(Duration::from_secs(31_536_000))
    }

    /// When it is `time`. The first time asked for is now.
    pub fn instant(&mut self, time: i64) -> Instant {
        let (from, start) = *self.start.get_or_insert_with(|| (time, Instant::now()));
        start + self.after_start(from, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 6,480 times faster plays a day in 13.3 seconds; times before the first one are due at once.
    #[test]
    fn event_time_passes_faster() {
        let pace = Pace::new(6480.0);
        assert_eq!(pace.after_start(0, 86_400_000), Duration::from_secs_f64(86_400.0 / 6480.0));
        assert_eq!(pace.after_start(5_000, 0), Duration::ZERO);
        assert!(pace.after_start(i64::MIN, i64::MAX) <= Duration::from_secs(31_536_000));
        assert_eq!((Pace::slice(1.0), Pace::slice(0.001), Pace::slice(6480.0)), (10, 1, 64_800));
    }
}
