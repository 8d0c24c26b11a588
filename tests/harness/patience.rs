//! Waiting for a condition: as short as it goes, and with an end if it never comes.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far longer than anything takes on a busy machine: only what hangs takes longer.
const LIMIT: Duration = Duration::from_secs(600);
/// How often to look.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `look` finds something. `what` is said if it never does.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < LIMIT, "{what} did not come within {} s", LIMIT.as_secs());
        sleep(LOOK);
    }
}

/// Waits for as long as chance has it, or until `look` finds something.
pub fn for_a_while<T>(while_: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Instant::now();
    while since.elapsed() < while_ {
        if let Some(found) = look() {
            return Some(found);
        }
        sleep(LOOK.min(while_));
    }
    None
}
