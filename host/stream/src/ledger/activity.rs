//! What the workers of a step do with their time: each of them is busy, idle or held back at any moment, and the sum of the
//! three is the time that it exists. Time is passed in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a worker does in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It has nothing to do there.
    Idle,
    /// It works: decodes, calls the plugin, sends, writes.
    Busy,
    /// It has something to do and must wait for those behind it.
    Backpressured,
}

/// How long workers were busy, idle and held back, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// At work.
    pub busy: Duration,
    /// With nothing to do.
    pub idle: Duration,
    /// Waiting for those behind the step.
    pub backpressured: Duration,
}

impl Times {
    fn add(&mut self, activity: Activity, time: Duration) {
        match activity {
            Activity::Idle => self.idle += time,
            Activity::Busy => self.busy += time,
            Activity::Backpressured => self.backpressured += time,
        }
    }
}

/// The time of all workers of one step.
#[derive(Debug, Default)]
pub struct Activities(Mutex<Vec<Arc<Mutex<Stretch>>>>);

/// What one worker does, since when, and what it did before.
#[derive(Debug)]
struct Stretch {
    activity: Activity,
    since: Instant,
    before: Times,
}

impl Stretch {
    /// With the time up to now.
    fn at(&self, now: Instant) -> Times {
        let mut times = self.before;
        times.add(self.activity, now.saturating_duration_since(self.since));
        times
    }
}

/// Where one worker says what it does. Ends what it did when it is dropped.
#[derive(Debug)]
pub struct Meter(Arc<Mutex<Stretch>>);

impl Activities {
    /// The meter of one more worker, which is idle.
    pub fn meter(&self, now: Instant) -> Meter {
        let stretch = Stretch { activity: Activity::Idle, since: now, before: Times::default() };
        let stretch = Arc::new(Mutex::new(stretch));
        lock(&self.0).push(stretch.clone());
        Meter(stretch)
    }

    /// The time of all workers up to now. None of the three ever shrinks.
    pub fn at(&self, now: Instant) -> Times {
        let mut all = Times::default();
        for stretch in lock(&self.0).iter() {
            // Whoever has ended counts no further.
            let times = if Arc::strong_count(stretch) > 1 { lock(stretch).at(now) } else { lock(stretch).before };
            all.busy += times.busy;
            all.idle += times.idle;
            all.backpressured += times.backpressured;
        }
        all
    }
}

impl Meter {
    /// From now on it does this. One uncontended lock, unless somebody looks at this very moment.
    pub fn turn_to(&self, activity: Activity, now: Instant) {
        let mut stretch = lock(&self.0);
        stretch.before = stretch.at(now);
        (stretch.activity, stretch.since) = (activity, now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Two workers, one of which is at work when somebody looks → its time so far counts, and the three add up to the time of
    /// both.
    #[test]
    fn what_is_under_way_counts() {
        let (activities, start) = (Activities::default(), Instant::now());
        let (first, second) = (activities.meter(start), activities.meter(start));
        first.turn_to(Activity::Busy, start + millis(10));
        second.turn_to(Activity::Backpressured, start + millis(20));
        second.turn_to(Activity::Idle, start + millis(50));
        let times = activities.at(start + millis(100));
        assert_eq!(times, Times { busy: millis(90), idle: millis(80), backpressured: millis(30) });
        assert_eq!(times.busy + times.idle + times.backpressured, millis(200));
        first.turn_to(Activity::Idle, start + millis(110));
        assert_eq!(activities.at(start + millis(110)).busy, millis(100));
    }

    /// A worker that has ended → what it did stays, and grows no more.
    #[test]
    fn whoever_has_ended_counts_no_further() {
        let (activities, start) = (Activities::default(), Instant::now());
        let meter = activities.meter(start);
        meter.turn_to(Activity::Busy, start);
        meter.turn_to(Activity::Idle, start + millis(5));
        drop(meter);
        assert_eq!(activities.at(start + millis(500)), Times { busy: millis(5), ..Times::default() });
    }
}
