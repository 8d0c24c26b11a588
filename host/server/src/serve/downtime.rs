//! For how long a job was to run and did not.

use super::status::State;
use std::time::Duration;
use tokio::time::Instant;

/// The downtime of one job.
#[derive(Debug, Default)]
pub struct Downtime {
    before: Duration,
    /// It is down since then.
    since: Option<Instant>,
}

impl Downtime {
    /// The job is down, if it was not before.
    pub fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The job does something else. One that is paused or has finished is not meant to run; one that stops still does.
    pub fn enter(&mut self, state: State, now: Instant) {
        match state {
            State::Starting | State::Restarting | State::Failed => self.begin(now),
            State::Running | State::Stopping | State::Paused | State::Finished => {
                self.before = self.at(now);
                self.since = None;
            }
        }
    }

    /// All of it up to now.
    pub fn at(&self, now: Instant) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that starts, fails, waits and runs → down until it runs; paused → not down; a hand-over from run to run → down in
    /// between.
    #[test]
    fn only_what_was_meant_to_run_is_down() {
        let (mut downtime, start) = (Downtime::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        downtime.enter(State::Starting, at(0));
        downtime.enter(State::Restarting, at(3));
        downtime.enter(State::Starting, at(5));
        assert_eq!(downtime.at(at(6)).as_secs(), 6);
        downtime.enter(State::Running, at(7));
        assert_eq!(downtime.at(at(100)).as_secs(), 7);
        downtime.begin(at(100));
        downtime.enter(State::Running, at(102));
        downtime.enter(State::Stopping, at(103));
        downtime.begin(at(104));
        downtime.enter(State::Paused, at(104));
        assert_eq!(downtime.at(at(200)).as_secs(), 9);
    }
}
