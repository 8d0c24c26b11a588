//! What a source leaves for the run that goes on after this one.

use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What a source wants to be told when it goes on; shared with whoever writes checkpoints.
#[derive(Debug, Clone, Default)]
pub struct SourceNote {
    current: Arc<Mutex<Note>>,
    /// The latest edition that a checkpoint holds.
    pub(super) kept: Arc<watch::Sender<u64>>,
}

/// A note and which edition of it this is.
#[derive(Debug, Default)]
struct Note {
    value: Value,
    edition: u64,
}

impl SourceNote {
    /// The note as it is now.
    pub fn get(&self) -> Value {
        self.edition().0
    }

    /// The note as it is now, and what to tell [`SourceNote::kept`] when a checkpoint with it is published.
    pub fn edition(&self) -> (Value, u64) {
        let note = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (note.value.clone(), note.edition)
    }

    /// A checkpoint holds this edition.
    pub fn kept(&self, edition: u64) {
        self.kept.send_replace(edition);
    }

    pub(super) fn set(&self, value: Value) {
        let mut note = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *note = Note { value, edition: note.edition + 1 };
    }
}
