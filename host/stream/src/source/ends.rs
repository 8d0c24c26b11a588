//! Ends of splits that are settled: whatever comes after such an end comes after all rows before it, everywhere, and after
//! a crash too.

use super::queue::closed;
use crate::{Result, SplitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// The ends of splits in one job. Shared by its sources, which wait for them, and by whoever settles them.
#[derive(Debug, Clone, Default)]
pub struct Ends(Arc<watch::Sender<State>>);

/// Which ends are settled, and which are waited for.
#[derive(Debug, Default)]
struct State {
    /// With the last watermark of each split, if it had one.
    settled: BTreeMap<SplitId, Option<i64>>,
    awaited: BTreeSet<SplitId>,
}

impl Ends {
    /// The ends of these splits are settled, each with the watermark that it had. A job without
    /// checkpoints says so of those whose rows all sinks have taken.
    pub fn settle(&self, ends: impl IntoIterator<Item = (SplitId, Option<i64>)>) {
        self.0.send_if_modified(|state| {
            let before = state.settled.len();
            state.settled.extend(ends);
            state.awaited.retain(|split| !state.settled.contains_key(split));
            state.settled.len() > before
        });
    }

    /// Of the ends that somebody waits for, these are settled. Whoever asks later waits for the next time.
    pub fn settle_awaited(&self, end: impl Fn(&SplitId) -> Option<Option<i64>>) {
        let ends = |split: &SplitId| Some((split.clone(), end(split)?));
        let settled: Vec<_> = self.0.borrow().awaited.iter().filter_map(ends).collect();
        if !settled.is_empty() {
            self.settle(settled);
        }
    }

    /// Resolves when somebody waits for an end that is not settled.
    pub async fn awaited(&self) {
        // The sender cannot go as long as this is here.
        let _ = self.0.subscribe().wait_for(|state| !state.awaited.is_empty()).await;
    }

    /// Waits until the end of a split is settled. Returns its last watermark.
    pub(super) async fn settled(&self, split: &SplitId) -> Result<Option<i64>> {
        self.0.send_if_modified(|state| !state.settled.contains_key(split) && state.awaited.insert(split.clone()));
        let mut changed = self.0.subscribe();
        let state = changed.wait_for(|state| state.settled.contains_key(split)).await.map_err(|_| closed())?;
        Ok(state.settled.get(split).copied().flatten())
    }
}
