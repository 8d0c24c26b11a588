//! The pauses of a step whose plugin fails: its operator does nothing until they are over.

use crate::isolate::Guard;
use crate::verdict::Verdict;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::scheduling::Activator;
use wasmill_stream::Error;

/// How often a step that pauses looks whether the job is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Knows until when one step pauses.
pub struct Pauses {
    activator: Activator,
    verdict: Arc<Verdict>,
    step: Arc<str>,
    until: Option<Instant>,
    /// Why, for the case that the job is stopped meanwhile.
    reason: String,
}

impl Pauses {
    /// No pause yet.
    pub fn new(activator: Activator, verdict: Arc<Verdict>, step: Arc<str>) -> Self {
        Self { activator, verdict, step, until: None, reason: String::new() }
    }

    /// Whether the step pauses. Asked at every activation; makes sure that there is another one.
    pub fn under_way(&mut self) -> bool {
        let Some(until) = self.until else { return false };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.until = None;
            return false;
        }
        if self.verdict.is_stopping() {
            // What waits here will not get through, and whoever stops the job shall know it.
            let error = format!("step {}: stopped while it was paused: {}", self.step, self.reason);
            self.verdict.fail(Error::invalid(error));
        } else {
            self.activator.activate_after(left.min(LOOK));
        }
        true
    }

    /// Ends a pause before its time.
    pub fn end(&mut self) {
        self.until = None;
    }

    /// Begins the pause that the guard wants after a failed call. `false`: it wants none, the error is the job's.
    pub fn begin(&mut self, guard: &mut Guard, error: &Error) -> bool {
        let Some(pause) = guard.take_pause() else { return false };
        self.until = Some(Instant::now() + pause);
        self.reason = error.report();
        self.activator.activate_after(pause.min(LOOK));
        true
    }
}
