//! The server's clock: that of this machine, and as far ahead of it or behind as a test says; or one that stands still.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct Clock {
    /// How far it is ahead of this machine's, in milliseconds.
    pub ahead: i64,
    /// The machine's time at which it was stopped.
    stopped: Option<i64>,
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn now(self) -> i64 {
        self.stopped.unwrap_or_else(machine) + self.ahead
    }

    /// From now on time passes only when a test says so.
    pub fn stop(&mut self) {
        self.stopped = Some(machine());
    }
}

fn machine() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A time as the JSON of the service has it.
pub fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
