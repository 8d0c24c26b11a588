//! Says what a worker does with its time in an operator: at work during an activation, between two of them idle or held back.
//! Two looks at the clock for each activation, which takes in whole batches.

use std::cell::Cell;
use std::time::Instant;
use wasmill_stream::ledger::{Activity, Meter, StepLedger};

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
        self.0.turn_to(Activity::Busy, Instant::now());
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
        self.meter.turn_to(self.then.get(), Instant::now());
    }
}
