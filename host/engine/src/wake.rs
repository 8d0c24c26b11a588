//! Waking one operator of one worker from any thread.

use std::sync::{Mutex, OnceLock, PoisonError};
use timely::scheduling::SyncActivator;

/// A bell that exists before the operator it wakes. Ringing it early is harmless: an operator's first activation looks
/// at everything that has arrived before.
#[derive(Default)]
pub struct Bell {
    activator: OnceLock<Mutex<SyncActivator>>,
}

impl Bell {
    /// Ties the bell to an operator. Called once, by the worker that builds the operator.
    pub fn tie(&self, activator: SyncActivator) {
        // A second operator on one bell cannot happen: each worker ties its own bells once.
        let _ = self.activator.set(Mutex::new(activator));
    }

    /// Wakes the operator's worker. A worker that has ended is not an error.
    pub fn ring(&self) {
        if let Some(activator) = self.activator.get() {
            let _ = activator.lock().unwrap_or_else(PoisonError::into_inner).activate();
        }
    }
}
