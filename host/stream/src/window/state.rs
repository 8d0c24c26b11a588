//! The windows of one worker: open ones with their accumulators, and what fires when the watermark moves.

use super::WindowSpec;
use crate::plugin::{Aggregate, Reject, View};
use crate::units::Period;
use crate::{Batch, Binary, Result};

/// What became of the rows of one call of [`Windows::accumulate`]. Rows in neither list are in a window.
#[derive(Debug, Default)]
pub struct Taken {
    /// Rows whose windows had all closed, ascending.
    pub late: Vec<u32>,
    /// Rows that the plugin refused.
    pub rejects: Vec<Reject>,
}

/// The windows of one worker.
pub struct Windows {}

impl Windows {
    /// No windows yet. A window stays open for `allowed_lateness` after the watermark has passed its end.
    pub fn new(_spec: WindowSpec, _allowed_lateness: Period) -> Self {
        Self {}
    }

    /// Adds keyed rows. `hashes` are the [`crate::key::hash`]es of `keys`, `view` is what the plugin sees of the rows.
    pub fn accumulate(
        &mut self,
        _logic: &mut dyn Aggregate,
        _keys: &Binary,
        _hashes: &[u64],
        _view: &View<'_>,
    ) -> Result<Taken> {
        Ok(Taken::default())
    }

    /// Moves event time on to `watermark` (it never goes back) and returns the results of the windows that fire: those
    /// whose end it passes, and closed ones that a late row has changed since the last call. Called once per epoch.
    pub fn advance(&mut self, _watermark: i64, _logic: &mut dyn Aggregate) -> Result<Vec<Batch>> {
        Ok(Vec::new())
    }

    /// How many windows, counted per key, hold state.
    pub fn open(&self) -> usize {
        0
    }
}
