//! Why a source does not read.

use crate::SplitId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What keeps a source from reading although there may be more to read, by split. Shared with whoever watches the job.
#[derive(Debug, Clone, Default)]
pub struct HoldUps(Arc<Mutex<BTreeMap<String, String>>>);

impl HoldUps {
    /// One of them, for people; `None` if nothing is held up.
    pub fn look(&self) -> Option<String> {
        let splits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        splits.first_key_value().map(|(split, reason)| format!("{split}: {reason}"))
    }

    pub(super) fn set(&self, split: &SplitId, reason: Option<String>) {
        let mut splits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => splits.insert(split.to_string(), reason),
            None => splits.remove(&split.to_string()),
        };
    }
}
