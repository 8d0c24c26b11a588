//! The answer by brute force, row by row, over all rows ever seen: no slices, no hash tables, no batches.

use super::{Fire, Row, WindowSpec};
use crate::Pane;
use std::collections::{BTreeMap, BTreeSet};

/// The same semantics as [`super::Windows`], written as directly as possible.
pub(super) struct Oracle {
    spec: WindowSpec,
    allowed_lateness: i64,
    watermark: i64,
    windows: BTreeMap<(String, i64, i64), BTreeSet<u32>>,
    changed: BTreeSet<(String, i64, i64)>,
}

/// What becomes of a row.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    Late,
    Refused,
    Taken,
}

impl Oracle {
    pub(super) fn new(spec: WindowSpec, allowed_lateness: i64) -> Self {
        Self { spec, allowed_lateness, watermark: i64::MIN, windows: BTreeMap::new(), changed: BTreeSet::new() }
    }

    fn is_gone(&self, end: i64) -> bool {
        end.saturating_add(self.allowed_lateness) <= self.watermark
    }

    pub(super) fn add(&mut self, row: &Row) -> Fate {
        match self.spec {
            WindowSpec::Tumbling { size, offset } => {
                self.add_regular(row, size.millis(), size.millis(), offset.millis())
            }
            WindowSpec::Sliding { size, slide, offset } => {
                self.add_regular(row, size.millis(), slide.millis(), offset.millis())
            }
            WindowSpec::Session { gap } => self.add_session(row, gap.millis()),
        }
    }

    fn add_regular(&mut self, row: &Row, size: i64, slide: i64, offset: i64) -> Fate {
        let starts = (row.time - size + 1..=row.time).filter(|start| (start - offset).rem_euclid(slide) == 0);
        let kept: Vec<i64> = starts.filter(|start| !self.is_gone(start + size)).collect();
        if kept.is_empty() {
            return Fate::Late;
        }
        if row.bad {
            return Fate::Refused;
        }
        for start in kept {
            self.put((row.key.clone(), start, start + size), BTreeSet::from([row.id]));
        }
        Fate::Taken
    }

    fn add_session(&mut self, row: &Row, gap: i64) -> Fate {
        let (mut start, mut end) = (row.time, row.time + gap);
        let mut ids = BTreeSet::from([row.id]);
        let mut joined = Vec::new();
        // Until nothing is added any more: a grown session may reach yet another one.
        loop {
            let next = self.windows.iter().find(|((key, other_start, other_end), _)| {
                let window = (key.clone(), *other_start, *other_end);
                *key == row.key && *other_start <= end && start <= *other_end && !joined.contains(&window)
            });
            let Some((window, more)) = next else { break };
            ids.extend(more);
            (start, end) = (start.min(window.1), end.max(window.2));
            joined.push(window.clone());
        }
        if self.is_gone(end) {
            return Fate::Late;
        }
        if row.bad {
            return Fate::Refused;
        }
        for window in joined {
            self.windows.remove(&window);
            self.changed.remove(&window);
        }
        self.put((row.key.clone(), start, end), ids);
        Fate::Taken
    }

    fn put(&mut self, window: (String, i64, i64), ids: BTreeSet<u32>) {
        self.changed.insert(window.clone());
        self.windows.entry(window).or_default().extend(ids);
    }

    pub(super) fn advance(&mut self, watermark: i64) -> Vec<Fire> {
        let before = self.watermark;
        self.watermark = watermark.max(before);
        let changed = std::mem::take(&mut self.changed);
        let mut fires = Vec::new();
        for (window @ (key, start, end), ids) in &self.windows {
            let pane = if *end <= before { Pane::Late } else { Pane::OnTime };
            if *end <= self.watermark && (pane == Pane::OnTime || changed.contains(window)) {
                let ids = ids.iter().copied().collect();
                fires.push(Fire { start: *start, end: *end, key: key.clone(), pane, ids });
            }
        }
        let gone: Vec<_> = self.windows.keys().filter(|(_, _, end)| self.is_gone(*end)).cloned().collect();
        for window in gone {
            self.windows.remove(&window);
        }
        fires.sort();
        fires
    }

    /// How many windows there are, counted per key.
    pub(super) fn open(&self) -> usize {
        self.windows.len()
    }
}
