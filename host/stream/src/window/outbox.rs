//! Results on their way out: accumulators of fired windows are merged, finished and made into batches, some thousands at a
//! time. Callers push them in the order in which results shall appear: by window end, window start, key.

use super::call::{self, CALL_BYTES, Merger};
use super::sliding::all_but;
use super::state::{Advanced, RefusedWindow};
use crate::binary::BinaryBuilder;
use crate::plugin::{Aggregate, Finished, Fired, Reject};
use crate::{Batch, Binary, Firing, Result};

/// At most so many accumulators are finished in one call.
const CALL_ACCUMULATORS: usize = 8_192;

/// Fired windows, collected until they are worth a call.
pub(super) struct Outbox<'a> {
    logic: &'a mut dyn Aggregate,
    merger: Merger,
    windows: Vec<Firing>,
    keys: BinaryBuilder,
    outcome: Advanced,
}

impl<'a> Outbox<'a> {
    /// Nothing fired yet.
    pub(super) fn new(logic: &'a mut dyn Aggregate) -> Self {
        Self {
            logic,
            merger: Merger::default(),
            windows: Vec::new(),
            keys: BinaryBuilder::default(),
            outcome: Advanced::default(),
        }
    }

    /// Adds the window of one key, with its accumulators in the order of their time. Without any it does not fire.
    pub(super) fn push<'b>(
        &mut self,
        window: Firing,
        key: &[u8],
        accumulators: impl Iterator<Item = &'b [u8]>,
    ) -> Result<()> {
        if !self.merger.push(accumulators) {
            return Ok(());
        }
        self.windows.push(window);
        self.keys.push(key);
        // Every window has an accumulator, so this limits their number as well.
        let bytes = self.merger.total_bytes() + self.keys.total_bytes();
        if self.merger.len() >= CALL_ACCUMULATORS || bytes >= CALL_BYTES { self.flush() } else { Ok(()) }
    }

    /// The result rows, and the windows without any because the logic refuses them.
    pub(super) fn finish(mut self) -> Result<Advanced> {
        self.flush()?;
        Ok(self.outcome)
    }

    fn flush(&mut self) -> Result<()> {
        if self.windows.is_empty() {
            return Ok(());
        }
        let (mut accumulators, unmerged) = self.merger.merge(self.logic)?;
        let mut windows = std::mem::take(&mut self.windows);
        let mut keys = std::mem::take(&mut self.keys).finish();
        self.outcome.fired += windows.len();
        let refused = |reject: Reject, windows: &[Firing], keys: &Binary, accumulators| {
            let Reject { row, cause, reason, by } = reject;
            let (window, key) = (windows[row as usize], keys.get(row as usize).to_vec());
            RefusedWindow { window, key, accumulators, cause, reason, by }
        };
        if !unmerged.is_empty() {
            let rows: Vec<u32> = unmerged.iter().map(|unmerged| unmerged.reject.row).collect();
            let refused = unmerged.into_iter().map(|one| refused(one.reject, &windows, &keys, one.accumulators));
            self.outcome.refused.extend(refused);
            let merged = all_but(windows.len(), &rows);
            (accumulators, keys) = (accumulators.select(&merged), keys.select(&merged));
            windows = merged.iter().map(|&at| windows[at as usize]).collect();
        }
        if windows.is_empty() {
            return Ok(());
        }
        let fired = Fired { windows: &windows, keys: &keys, accumulators: &accumulators };
        let Finished { origins, values, rejects } = call::finish(self.logic, &fired)?;
        self.outcome.refused.extend(rejects.into_iter().map(|reject| {
            let accumulator = accumulators.get(reject.row as usize).to_vec();
            refused(reject, &windows, &keys, vec![accumulator])
        }));
        if values.is_empty() {
            return Ok(());
        }
        let (keys, firings) = match origins {
            None => (keys, windows),
            Some(origins) => (keys.select(&origins), origins.iter().map(|&origin| windows[origin as usize]).collect()),
        };
        let times = firings.iter().map(|window| window.end - 1).collect();
        self.outcome.results.push(Batch {
            times,
            keys: Some(keys),
            values,
            firings: Some(firings),
            ..Batch::default()
        });
        Ok(())
    }
}
