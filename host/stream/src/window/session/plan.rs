//! Which sessions the rows of one call make, row by row in the order of arrival, without touching any state. Rows extend
//! sessions, join two of them, begin new ones, or are late.

use super::Sessions;
use crate::Binary;
use crate::plugin::Reject;
use std::collections::BTreeMap;

/// A session as it will be after the call. It takes the place of all sessions of its key that it overlaps or touches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) slot: u32,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// The sessions of one call.
#[derive(Debug)]
pub(super) struct Plan {
    /// The sessions that rows go to.
    pub(super) drafts: Vec<Draft>,
    /// The rows that are not late, ascending.
    pub(super) rows: Vec<u32>,
    /// For each of them its draft.
    pub(super) groups: Vec<u32>,
    /// The late rows, ascending.
    pub(super) late: Vec<u32>,
    /// The keys that were not known before, and have to go again if nothing comes of them.
    pub(super) new_keys: Vec<u32>,
}

/// A session while the plan is made.
struct Growing {
    draft: Draft,
    /// The growing session that it has become a part of; itself, if none.
    into: u32,
}

/// Where a row belongs: the session that it makes with those that it touches.
struct Place {
    draft: Draft,
    /// The growing session that it touches and that begins at the row or before it.
    before: Option<u32>,
    /// The growing session that it touches and that begins after it.
    after: Option<u32>,
}

/// The growing sessions, found by key and start. Those of one key are apart from each other.
#[derive(Default)]
struct Field {
    all: Vec<Growing>,
    by_start: BTreeMap<(u32, i64), u32>,
}

impl Plan {
    /// Plans the sessions of a batch. Rows known to be refused may be late, but otherwise leave no trace.
    pub(super) fn new(
        sessions: &mut Sessions,
        refused: &[Reject],
        keys: &Binary,
        hashes: &[u64],
        times: &[i64],
    ) -> Self {
        let mut field = Field::default();
        let mut rows = Vec::with_capacity(times.len());
        let mut groups = Vec::with_capacity(times.len());
        let (mut late, mut new_keys) = (Vec::new(), Vec::new());
        let mut refused = refused.iter().map(|reject| reject.row as usize).peekable();
        for (row, (&time, &hash)) in times.iter().zip(hashes).enumerate() {
            let known = sessions.keys.len();
            let slot = sessions.keys.slot(hash, keys.get(row));
            if sessions.keys.len() > known {
                new_keys.push(slot);
            }
            let is_refused = refused.next_if_eq(&row).is_some();
            match field.place(sessions, slot, time) {
                None => late.push(row as u32),
                Some(_) if is_refused => {}
                Some(place) => {
                    rows.push(row as u32);
                    groups.push(field.put(place));
                }
            }
        }
        let drafts = field.finish(&mut groups);
        Self { drafts, rows, groups, late, new_keys }
    }
}

impl Field {
    /// The session that a row would be part of; `None` if the row is late.
    fn place(&self, sessions: &Sessions, slot: u32, time: i64) -> Option<Place> {
        let end = time.saturating_add(sessions.gap);
        // Both reach at least `gap` from their start, so at most one on either side touches the row.
        let before = self.by_start.range((slot, i64::MIN)..=(slot, time)).next_back();
        let before = before.map(|(_, &at)| at).filter(|&at| self.all[at as usize].draft.end >= time);
        let after = if time < end { self.by_start.range((slot, time + 1)..=(slot, end)).next() } else { None };
        let after = after.map(|(_, &at)| at);

        let mut draft = Draft { slot, start: time, end };
        let of_key = &sessions.keys[slot].value;
        for stored in &of_key.sessions[of_key.touching(time, end)] {
            draft.cover(stored.start, stored.end);
        }
        for at in [before, after].into_iter().flatten() {
            let other = &self.all[at as usize].draft;
            draft.cover(other.start, other.end);
        }
        let is_late = draft.end.saturating_add(sessions.allowed_lateness) <= sessions.watermark;
        (!is_late).then_some(Place { draft, before, after })
    }

    /// Replaces the growing sessions before and after a row, if there are any, by the one that covers them and the row.
    fn put(&mut self, Place { draft, before, after }: Place) -> u32 {
        let at = before.or(after).unwrap_or(self.all.len() as u32);
        for old in [before, after].into_iter().flatten() {
            let growing = &mut self.all[old as usize];
            growing.into = at;
            if growing.draft.start != draft.start {
                self.by_start.remove(&(draft.slot, growing.draft.start));
            }
        }
        match self.all.get_mut(at as usize) {
            Some(growing) if growing.draft.start == draft.start => growing.draft = draft,
            Some(growing) => {
                growing.draft = draft;
                self.by_start.insert((draft.slot, draft.start), at);
            }
            None => {
                self.all.push(Growing { draft, into: at });
                self.by_start.insert((draft.slot, draft.start), at);
            }
        }
        at
    }

    /// The sessions that are left, and `groups` renumbered to them.
    fn finish(mut self, groups: &mut [u32]) -> Vec<Draft> {
        let mut drafts = Vec::with_capacity(self.by_start.len());
        let mut numbers = vec![0; self.all.len()];
        for (at, growing) in self.all.iter().enumerate() {
            if growing.into == at as u32 {
                numbers[at] = drafts.len() as u32;
                drafts.push(growing.draft);
            }
        }
        for group in groups {
            *group = numbers[self.root(*group) as usize];
        }
        drafts
    }

    /// The session that one has become a part of, and a shorter way to it for the next who asks.
    fn root(&mut self, mut at: u32) -> u32 {
        loop {
            let into = self.all[at as usize].into;
            if into == at {
                return at;
            }
            let beyond = self.all[into as usize].into;
            self.all[at as usize].into = beyond;
            at = beyond;
        }
    }
}

impl Draft {
    fn cover(&mut self, start: i64, end: i64) {
        self.start = self.start.min(start);
        self.end = self.end.max(end);
    }
}
