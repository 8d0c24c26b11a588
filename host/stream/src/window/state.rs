//! The windows of one worker: open ones with their accumulators, and what fires when the watermark moves.

use super::WindowSpec;
use super::call::{self, MIGRATED};
use super::grid::Grid;
use super::session::Sessions;
use super::sliding::Sliding;
use crate::checkpoint::{Change, ChangeLog};
use crate::plugin::{Aggregate, Identity, Reject, View};
use crate::units::Period;
use crate::{Batch, Binary, Cause, Error, ErrorKind, Firing, Result};
use std::sync::Arc;

/// What became of the rows of one call of [`Windows::accumulate`]. Rows in neither list are in a window.
#[derive(Debug, Default)]
pub struct Taken {
    /// Rows whose windows had all closed, ascending.
    pub late: Vec<u32>,
    /// Rows that the plugin refused.
    pub rejects: Vec<Reject>,
}

/// What became of the windows in one call of [`Windows::advance`].
#[derive(Debug, Default)]
pub struct Advanced {
    /// The result rows.
    pub results: Vec<Batch>,
    /// How many windows, per key, fired.
    pub fired: usize,
    /// Windows without results because the plugin refuses them or fails on them.
    pub refused: Vec<RefusedWindow>,
}

/// The window of one key whose accumulator the plugin refuses or fails on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedWindow {
    /// The window.
    pub window: Firing,
    /// Its key.
    pub key: Vec<u8>,
    /// Its accumulator; those of its slices, in the order of their time, if they cannot be merged.
    pub accumulators: Vec<Vec<u8>>,
    /// Whether it was refused, or how the plugin fails on it.
    pub cause: Cause,
    /// Why, in the plugin's words.
    pub reason: String,
    /// Which version it was, if it is not the one that answers for the step.
    pub by: Option<Arc<Identity>>,
}

/// Accumulators that were rewritten, see [`Windows::migrated`].
#[derive(Debug)]
pub struct Migrated(Vec<Binary>);

/// The windows of one worker.
///
/// A window fires in the first [`advance`](Self::advance) whose watermark reaches its end. It takes rows until the
/// watermark reaches its end plus the allowed lateness, and each call that finds it changed fires it again, with all its
/// rows, for the keys concerned. A row is late if every window of it is gone at the watermark of the last `advance`; where
/// batches are cut makes no difference. A method that returns an error has changed nothing and may be called again.
pub struct Windows {
    watermark: i64,
    kind: Kind,
}

enum Kind {
    Sliding(Sliding),
    Session(Sessions),
}

impl Windows {
    /// No windows yet. The spec has passed its check. A window stays open for `allowed_lateness` after the watermark has
    /// passed its end.
    pub fn new(spec: WindowSpec, allowed_lateness: Period) -> Self {
        let lateness = allowed_lateness.millis().max(0);
        let sliding = |size: Period, slide: Period, offset: Period| {
            Kind::Sliding(Sliding::new(Grid::new(size.millis(), slide.millis(), offset.millis()), lateness))
        };
        let kind = match spec {
            WindowSpec::Tumbling { size, offset } => sliding(size, size, offset),
            WindowSpec::Sliding { size, slide, offset } => sliding(size, slide, offset),
            WindowSpec::Session { gap } => Kind::Session(Sessions::new(gap.millis(), lateness)),
        };
        Self { watermark: i64::MIN, kind }
    }

    /// Adds keyed rows. `hashes` are the [`crate::key::hash`]es of `keys`, `view` is what the plugin sees of the rows.
    pub fn accumulate(
        &mut self,
        logic: &mut dyn Aggregate,
        keys: &Binary,
        hashes: &[u64],
        view: &View<'_>,
    ) -> Result<Taken> {
        let rows = view.times.len();
        if keys.len() != rows || hashes.len() != rows {
            let (keys, hashes) = (keys.len(), hashes.len());
            return Err(Error::invalid(format!("{rows} rows came with {keys} keys and {hashes} hashes")));
        }
        if rows == 0 {
            return Ok(Taken::default());
        }
        match &mut self.kind {
            Kind::Sliding(windows) => windows.accumulate(logic, keys, hashes, view),
            Kind::Session(windows) => windows.accumulate(logic, keys, hashes, view),
        }
    }

    /// Moves event time on to `watermark` (it never goes back) and returns the results of the windows that fire: those
    /// whose end it passes, and closed ones that a late row has changed since the last call. Called once per epoch.
    pub fn advance(&mut self, watermark: i64, logic: &mut dyn Aggregate) -> Result<Advanced> {
        let watermark = watermark.max(self.watermark);
        let advanced = match &mut self.kind {
            Kind::Sliding(windows) => windows.advance(watermark, logic)?,
            Kind::Session(windows) => windows.advance(watermark, logic)?,
        };
        self.watermark = watermark;
        Ok(advanced)
    }

    /// The watermark of the last [`advance`](Self::advance).
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Sliding(windows) => windows.bytes(),
            Kind::Session(windows) => windows.bytes(),
        }
    }

    /// Notes changes from now on, for [`changes`](Self::changes).
    pub fn track(&mut self) {
        match &mut self.kind {
            Kind::Sliding(windows) => windows.track(),
            Kind::Session(windows) => windows.track(),
        }
    }

    /// Notes what has changed since the last time. Called after an `advance`, when no correction waits to be sent. Together
    /// with the watermark, all changes of all times are what [`resume`](Self::resume) and [`load`](Self::load) need.
    pub fn changes(&mut self, log: &mut dyn ChangeLog) {
        match &mut self.kind {
            Kind::Sliding(windows) => windows.changes(log),
            Kind::Session(windows) => windows.changes(log),
        }
    }

    /// Goes on at a watermark. Comes before everything else.
    pub fn resume(&mut self, watermark: i64) {
        self.watermark = watermark;
        match &mut self.kind {
            Kind::Sliding(windows) => windows.resume(watermark),
            Kind::Session(windows) => windows.resume(watermark),
        }
    }

    /// Puts back what was noted, oldest first.
    pub fn load(&mut self, change: &Change<'_>) -> Result<()> {
        let loaded = match &mut self.kind {
            Kind::Sliding(windows) => windows.load(change),
            Kind::Session(windows) => windows.load(change),
        };
        loaded.ok_or_else(|| Error::new(ErrorKind::Corrupt, "an entry is not what these windows have noted"))
    }

    /// What `rewrite` makes of all accumulators, some thousand at a time, none of them empty. The windows stay as they are.
    pub fn migrated(&self, rewrite: &mut dyn FnMut(&Binary) -> Result<Binary>) -> Result<Migrated> {
        let mut migrated = Vec::new();
        let mut old = self.accumulators().peekable();
        while old.peek().is_some() {
            let part = old.by_ref().take(MIGRATED).collect();
            migrated.push(call::migrate(&part, rewrite)?);
        }
        Ok(Migrated(migrated))
    }

    /// Goes on with migrated accumulators; nothing has happened since they were. Every one of them counts as changed.
    pub fn adopt(&mut self, Migrated(new): Migrated) {
        let mut new = new.iter().flat_map(Binary::iter);
        match &mut self.kind {
            Kind::Sliding(windows) => windows.replace(&mut new),
            Kind::Session(windows) => windows.replace(&mut new),
        }
    }

    /// All accumulators, in some order.
    pub fn accumulators(&self) -> impl Iterator<Item = &[u8]> {
        match &self.kind {
            Kind::Sliding(windows) => windows.accumulators(),
            Kind::Session(windows) => windows.accumulators(),
        }
    }

    /// The watermark at which the last of the accumulators is gone that `picks` picks; `None` if there is none of them. Rows may
    /// let it last longer, and never shorter.
    pub fn gone_at(&self, picks: &mut dyn FnMut(&[u8]) -> bool) -> Option<i64> {
        match &self.kind {
            Kind::Sliding(windows) => windows.gone_at(picks),
            Kind::Session(windows) => windows.gone_at(picks),
        }
    }

    /// Windows that have yet to fire, the earliest first, at most `limit`: those of a key, or of any key. Each from its start to
    /// its end.
    pub fn pending(&self, key: Option<&[u8]>, limit: usize) -> Vec<(i64, i64)> {
        match &self.kind {
            Kind::Sliding(windows) => windows.pending(key, limit),
            Kind::Session(windows) => windows.pending(key, limit),
        }
    }

    /// How many accumulators are held: one per session, or per key and window, or per key and slice of sliding windows.
    pub fn open(&self) -> usize {
        match &self.kind {
            Kind::Sliding(windows) => windows.open(),
            Kind::Session(windows) => windows.open(),
        }
    }
}
