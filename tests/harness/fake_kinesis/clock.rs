//! The server's clock: that of this machine, and as far ahead of it or behind as a test says.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct Clock {
    /// How far it is ahead of this machine's, in milliseconds.
    pub ahead: i64,
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn now(self) -> i64 {
        let machine = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        machine.as_millis() as i64 + self.ahead
    }
}

/// A time as the JSON of the service has it.
pub fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
