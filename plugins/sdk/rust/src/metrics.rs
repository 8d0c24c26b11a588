//! Numbers about the plugin's work, for the host's metrics. It adds job, step and plugin. Names are letters, digits and `_`.
//!
//! ```
//! wasmill::metrics::count("trips", 1);
//! wasmill::metrics::observe("distance_km", 3.5);
//! assert_eq!(wasmill::metrics::counted("trips"), 1);
//! ```

use std::cell::RefCell;

thread_local! {
    /// Counts of the call that runs, in the order of their first use: a plugin has few.
    static COUNTS: RefCell<Vec<(&'static str, u64)>> = const { RefCell::new(Vec::new()) };
}

/// Adds to a counter. Counts are summed up and sent at the end of the call, so that counting each row costs little, and that
/// a call which fails and is repeated counts once.
pub fn count(name: &'static str, by: u64) {
    COUNTS.with_borrow_mut(|counts| match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, sum)) => *sum = sum.saturating_add(by),
        None => counts.push((name, by)),
    });
}

/// Sets a gauge. Natively it does nothing.
pub fn gauge(name: &str, value: f64) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::metrics::gauge(name, value);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, value);
}

/// Adds an observation to a histogram. Natively it does nothing.
pub fn observe(name: &str, value: f64) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::metrics::observe(name, value);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, value);
}

/// What has been counted on this thread and not been sent, for tests.
pub fn counted(name: &str) -> u64 {
    COUNTS.with_borrow(|counts| counts.iter().find(|(known, _)| *known == name).map_or(0, |&(_, sum)| sum))
}

/// Runs a call of the host, and sends what it has counted if it succeeds.
pub(crate) fn of_call<T, E>(call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    COUNTS.with_borrow_mut(Vec::clear);
    let result = call();
    #[cfg(target_arch = "wasm32")]
    if result.is_ok() {
        COUNTS.with_borrow(|counts| counts.iter().for_each(|(name, sum)| crate::bindings::metrics::count(name, *sum)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of one name add up within a call; the next call starts from nothing.
    #[test]
    fn counts_belong_to_a_call() {
        let twice = || {
            count("rows", 2);
            count("other", 1);
            count("rows", 3);
            Ok::<_, ()>(counted("rows"))
        };
        assert_eq!((of_call(twice), of_call(twice)), (Ok(5), Ok(5)));
        assert_eq!((counted("other"), counted("none")), (1, 0));
    }
}
