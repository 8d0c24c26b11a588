//! Says what a worker does with its time in an operator: at work during an activation, between two of them idle or held back.
//! One look at the clock for each activation, at its end, which is the beginning of the next one; and one more whenever the worker
//! may have rested in between.

use std::cell::Cell;
use std::time::Instant;
use wasmill_stream::ledger::{Activity, Meter, StepLedger};

thread_local! {
    /// When the last activation of this worker has ended; `None`: it may have rested since.
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// This worker may rest now.
pub fn rest() {
    LAST.set(None);
}

/// The time of one worker in one operator.
pub struct Shift(Meter);

/// An activation, which lasts until this is dropped.
pub struct AtWork<'s> {
    meter: &'s Meter,
    /// What comes after it.
    then: Cell<Activity>,
}

impl Shift {
    /// Of a worker that has just come to the step with these counters.
    pub fn new(ledger: &StepLedger) -> Self {
        Self(ledger.activities.meter(Instant::now()))
    }

    /// The worker is at work.
    pub fn begin(&self) -> AtWork<'_> {
        self.0.turn_to(Activity::Busy, LAST.get().unwrap_or_else(Instant::now));
        AtWork { meter: &self.0, then: Cell::new(Activity::Idle) }
    }
}

impl AtWork<'_> {
    /// After this the worker has something to do there, and must wait for those behind it.
    pub fn is_held_back(&self) {
        self.then.set(Activity::Backpressured);
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        LAST.set(Some(now));
        self.meter.turn_to(self.then.get(), now);
    }
}
