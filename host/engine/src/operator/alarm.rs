//! When an operator wants to be woken although nothing comes to it.

use std::time::{Duration, Instant};
use timely::scheduling::Activator;

/// A timer of an operator. Timely keeps every activation that it is asked for, so at most one is asked for at a time.
pub struct Alarm {
    activator: Activator,
    due: Option<Instant>,
}

impl Alarm {
    /// None is asked for.
    pub fn new(activator: Activator) -> Self {
        Self { activator, due: None }
    }

    /// Wakes the operator after this time at the latest.
    pub fn set(&mut self, delay: Duration) {
        let now = Instant::now();
        let due = now + delay;
        let pending = self.due.is_some_and(|set| set > now && set <= due);
        if !pending {
            self.due = Some(due);
            self.activator.activate_after(delay);
        }
    }
}
