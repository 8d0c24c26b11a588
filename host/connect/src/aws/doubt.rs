//! Refusals that say who the caller is: keys that nobody knows, a signature that is wrong. A server that took the same caller
//! before may take him again: keys are being exchanged, or a clock was put right. So the credentials are asked for anew, and the
//! refusal is waited for, but not for ever.

use super::CachedCredentials;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use wasmill_stream::ErrorKind;

/// How long a server may refuse a caller that it took before.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What one client has heard about its credentials.
#[derive(Debug)]
pub struct Doubt {
    credentials: CachedCredentials,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Whether the server has ever taken them.
    was_taken: bool,
    /// When it began to refuse them.
    refused_since: Option<Instant>,
}

impl Doubt {
    /// About credentials that nobody has judged yet.
    pub fn new(credentials: CachedCredentials) -> Self {
        Self { credentials, heard: Mutex::default() }
    }

    /// The server has taken them.
    pub fn taken(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Heard { was_taken: true, refused_since: None };
    }

    /// The server says that they have expired: the next request has fresh ones, if there are some.
    pub fn expired(&self) {
        self.credentials.renew();
    }

    /// The server has refused them: what that means.
    pub fn refused(&self) -> ErrorKind {
        self.credentials.renew();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).refused(Instant::now())
    }
}

impl Heard {
    fn refused(&mut self, now: Instant) -> ErrorKind {
        let is_passing = match (self.was_taken, self.refused_since) {
            (true, since) => since.is_none_or(|since| now.duration_since(since) < PATIENCE),
            // Keys that were mistyped are refused again. Yet the first answer may have set the clock right.
            (false, since) => since.is_none(),
        };
        self.refused_since.get_or_insert(now);
        if is_passing { ErrorKind::Unavailable } else { ErrorKind::Denied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{Denied, Unavailable};

    /// A caller that was never taken is refused twice; one that was taken, for a quarter of an hour, each time.
    #[test]
    fn refusals_are_waited_for() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut never = Heard::default();
        assert_eq!([never.refused(start), never.refused(start)], [Unavailable, Denied]);
        let taken = || Heard { was_taken: true, refused_since: None };
        let mut once = taken();
        let kinds = [0, 14, 15].map(|minutes| once.refused(start + minutes * minute));
        assert_eq!(kinds, [Unavailable, Unavailable, Denied]);
        let mut again = taken();
        assert_eq!(again.refused(start + 20 * minute), Unavailable);
    }
}
