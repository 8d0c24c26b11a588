//! How many rows left a step, by cause.

use crate::Cause;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter for each cause.
#[derive(Debug, Default)]
pub struct Causes([AtomicU64; Cause::ALL.len()]);

impl Causes {
    /// One more.
    pub fn add(&self, cause: Cause) {
        if let Some(at) = Cause::ALL.iter().position(|known| *known == cause) {
            self.0[at].fetch_add(1, Relaxed);
        }
    }

    /// How many there are of a cause.
    pub fn of(&self, cause: Cause) -> u64 {
        let at = Cause::ALL.iter().position(|known| *known == cause);
        at.map_or(0, |at| self.0[at].load(Relaxed))
    }

    /// How many there are of each cause that has occurred.
    pub fn look(&self) -> Vec<(Cause, u64)> {
        let counts = Cause::ALL.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}
