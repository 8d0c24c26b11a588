//! Tumbling and sliding windows. Rows are added up per slice and key, so a row costs the same however many windows overlap;
//! when a window fires, its slices are merged. A tumbling window is one slice and needs no merging.

mod union;

use super::call::{self, Parts};
use super::grid::Grid;
use super::outbox::Outbox;
use super::slice::OpenSlice;
use super::state::{Advanced, Taken};
use crate::checkpoint::{Change, ChangeLog};
use crate::plugin::{Aggregate, Reject, Selection, View};
use crate::{Binary, Firing, Pane, Result};
use std::collections::BTreeSet;
use union::Union;

/// The tumbling or sliding windows of one worker.
pub(super) struct Sliding {
    grid: Grid,
    allowed_lateness: i64,
    watermark: i64,
    /// Slices that belong to a window that still takes rows, in the order of time.
    slices: Vec<OpenSlice>,
    tracked: bool,
}

/// An accumulator that takes part in a call: the position of its slice and its slot there.
type Member = (u32, u32);

impl Sliding {
    /// No state yet.
    pub(super) fn new(grid: Grid, allowed_lateness: i64) -> Self {
        Self { grid, allowed_lateness, watermark: i64::MIN, slices: Vec::new(), tracked: false }
    }

    /// How many (slice, key) pairs have an accumulator.
    pub(super) fn open(&self) -> usize {
        self.slices.iter().map(OpenSlice::live).sum()
    }

    // === checkpoints ===

    pub(super) fn track(&mut self) {
        self.tracked = true;
        self.slices.iter_mut().for_each(OpenSlice::track);
    }

    pub(super) fn changes(&mut self, log: &mut dyn ChangeLog) {
        self.slices.iter_mut().for_each(|open| open.changes(log));
    }

    pub(super) fn bytes(&self) -> usize {
        self.slices.iter().map(OpenSlice::bytes).sum()
    }

    pub(super) fn resume(&mut self, watermark: i64) {
        self.watermark = watermark;
    }

    pub(super) fn load(&mut self, change: &Change<'_>) -> Option<()> {
        let (first, key) = change.name.split_first_chunk()?;
        let first = i64::from_be_bytes(*first);
        let (start, _, gone) = self.open_slice(first);
        if !gone {
            let at = self.position(first);
            self.slices[at].load(key, change.value.unwrap_or_default());
        }
        (start == first).then_some(())
    }

    pub(super) fn accumulators(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        Box::new(self.slices.iter().flat_map(OpenSlice::cells))
    }

    pub(super) fn replace<'n>(&mut self, new: &mut impl Iterator<Item = &'n [u8]>) {
        self.slices.iter_mut().for_each(|open| open.replace(new));
    }

    pub(super) fn gone_at(&self, picks: &mut dyn FnMut(&[u8]) -> bool) -> Option<i64> {
        let last = self.slices.iter().rev().find(|open| open.cells().any(&mut *picks));
        last.map(|open| open.drops_at)
    }

    pub(super) fn pending(&self, key: Option<&[u8]>, limit: usize) -> Vec<(i64, i64)> {
        let (mut windows, first) = (BTreeSet::new(), self.grid.first_ending_after(self.watermark));
        for open in self.slices.iter().filter(|open| open.holds(key)) {
            if windows.len() >= limit {
                // Later slices belong to later windows.
                break;
            }
            windows.extend((open.slice.oldest.max(first)..=open.slice.newest).take(limit));
        }
        windows.into_iter().take(limit).map(|window| self.grid.bounds(window)).collect()
    }

    // === rows ===

    pub(super) fn accumulate(
        &mut self,
        logic: &mut dyn Aggregate,
        keys: &Binary,
        hashes: &[u64],
        view: &View<'_>,
    ) -> Result<Taken> {
        let late = self.open_slices(view.times);
        if late.is_empty() {
            let rejects = self.add(logic, keys, hashes, view)?;
            return Ok(Taken { late, rejects });
        }
        let rows = all_but(view.times.len(), &late);
        if rows.is_empty() {
            return Ok(Taken { late, rejects: Vec::new() });
        }
        let hashes: Vec<u64> = rows.iter().map(|&row| hashes[row as usize]).collect();
        let rejects = self.add(logic, &keys.select(&rows), &hashes, &Selection::new(view, &rows).view())?;
        Ok(Taken { late, rejects: call::renumber(rejects, &rows).collect() })
    }

    /// Makes sure that the slice of every row is there, except for late rows, which it returns.
    fn open_slices(&mut self, times: &[i64]) -> Vec<u32> {
        let mut late = Vec::new();
        // The slice of the row before: its bounds, and whether it is gone.
        let (mut first, mut last, mut gone) = (i64::MAX, i64::MIN, false);
        for (row, &time) in times.iter().enumerate() {
            if time < first || last < time {
                (first, last, gone) = self.open_slice(time);
            }
            if gone {
                late.push(row as u32);
            }
        }
        late
    }

    fn open_slice(&mut self, time: i64) -> (i64, i64, bool) {
        let at = self.position(time);
        if let Some(open) = self.slices.get(at)
            && open.slice.contains(time)
        {
            return (open.slice.first, open.slice.last, false);
        }
        let slice = self.grid.slice(time);
        let open = OpenSlice::new(slice, &self.grid, self.allowed_lateness, self.tracked);
        let gone = open.drops_at <= self.watermark;
        if !gone {
            self.slices.insert(at, open);
        }
        (slice.first, slice.last, gone)
    }

    /// Where the slice of a time is, or would have to be.
    fn position(&self, time: i64) -> usize {
        self.slices.partition_point(|open| open.slice.last < time)
    }

    /// Adds rows, none of which is late.
    fn add(
        &mut self,
        logic: &mut dyn Aggregate,
        keys: &Binary,
        hashes: &[u64],
        view: &View<'_>,
    ) -> Result<Vec<Reject>> {
        let (groups, members) = self.group(keys, hashes, view.times);
        let mut parts = Parts::default();
        for &(at, slot) in &members {
            parts.push(self.slices[at as usize].release(slot));
        }
        let (answers, rejects) = call::accumulate(logic, parts, &groups, view)?;
        for (&(at, slot), accumulator) in members.iter().zip(answers.iter().flat_map(Binary::iter)) {
            self.slices[at as usize].store(slot, accumulator);
        }
        self.note_corrections(&groups, &members, &rejects);
        Ok(rejects)
    }

    /// For each row the accumulator that it belongs to, as a number in the list of those that take part.
    fn group(&mut self, keys: &Binary, hashes: &[u64], times: &[i64]) -> (Vec<u32>, Vec<Member>) {
        let mut groups = Vec::with_capacity(times.len());
        let mut members = Vec::with_capacity(times.len());
        let mut at = 0;
        for ((&time, &hash), key) in times.iter().zip(hashes).zip(keys.iter()) {
            if !self.slices[at].slice.contains(time) {
                at = self.position(time);
            }
            let (slot, group) = self.slices[at].enlist(hash, key, members.len() as u32);
            if group as usize == members.len() {
                members.push((at as u32, slot));
            }
            groups.push(group);
        }
        (groups, members)
    }

    /// Notes which of the accumulators belong to windows that have fired. Those that only refused rows went to did not change.
    fn note_corrections(&mut self, groups: &[u32], members: &[Member], rejects: &[Reject]) {
        let fired = |open: &OpenSlice| open.fires_at <= self.watermark;
        if self.allowed_lateness == 0 || !self.slices.first().is_some_and(fired) {
            return;
        }
        let mut rejects = rejects.iter().map(|reject| reject.row as usize).peekable();
        for (row, &group) in groups.iter().enumerate() {
            if rejects.next_if_eq(&row).is_some() {
                continue;
            }
            let (at, slot) = members[group as usize];
            let open = &mut self.slices[at as usize];
            if open.fires_at <= self.watermark {
                open.mark_corrected(slot);
            }
        }
    }

    // === firing ===

    pub(super) fn advance(&mut self, watermark: i64, logic: &mut dyn Aggregate) -> Result<Advanced> {
        let mut outbox = Outbox::new(logic);
        self.fire_corrected(&mut outbox)?;
        self.fire_due(watermark, &mut outbox)?;
        let advanced = outbox.finish()?;
        self.watermark = watermark;
        let gone = self.slices.partition_point(|open| open.drops_at <= watermark);
        self.slices.drain(..gone);
        self.slices.iter_mut().for_each(OpenSlice::clear_corrected);
        Ok(advanced)
    }

    /// Fires the windows again that have fired, still take rows, and got some since the last call.
    fn fire_corrected(&self, outbox: &mut Outbox<'_>) -> Result<()> {
        let mut windows = BTreeSet::new();
        for open in self.slices.iter().filter(|open| open.is_corrected()) {
            windows.extend((open.slice.oldest..=open.slice.newest).filter(|&window| {
                let end = self.grid.bounds(window).1;
                end <= self.watermark && self.watermark < end.saturating_add(self.allowed_lateness)
            }));
        }
        for window in windows {
            self.fire(window, Pane::Late, outbox)?;
        }
        Ok(())
    }

    /// Fires the windows whose end the watermark passes.
    fn fire_due(&self, watermark: i64, outbox: &mut Outbox<'_>) -> Result<()> {
        let mut window = self.grid.first_ending_after(self.watermark);
        loop {
            // Stretches without rows are skipped, however many windows lie there.
            let next = self.slices.partition_point(|open| open.slice.newest < window);
            let Some(open) = self.slices.get(next) else { return Ok(()) };
            window = window.max(open.slice.oldest);
            if self.grid.bounds(window).1 > watermark {
                return Ok(());
            }
            self.fire(window, Pane::OnTime, outbox)?;
            window += 1;
        }
    }

    fn fire(&self, window: i128, pane: Pane, outbox: &mut Outbox<'_>) -> Result<()> {
        let from = self.slices.partition_point(|open| open.slice.newest < window);
        let to = self.slices.partition_point(|open| open.slice.oldest <= window);
        let slices = &self.slices[from..to];
        let (start, end) = self.grid.bounds(window);
        let mut union = match pane {
            Pane::OnTime => Union::of_all_keys(slices),
            Pane::Late => Union::of_corrected_keys(slices),
        };
        let window = Firing { start, end, pane };
        union.sort();
        union.iter().try_for_each(|(key, accumulators)| outbox.push(window, key, accumulators))
    }
}

/// The numbers below `count` that are not in `rows`, which ascend.
pub(super) fn all_but(count: usize, rows: &[u32]) -> Vec<u32> {
    let mut rows = rows.iter().peekable();
    (0..count as u32).filter(|row| rows.next_if_eq(&row).is_none()).collect()
}
