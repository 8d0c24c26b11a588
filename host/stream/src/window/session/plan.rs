//! Which sessions the rows of one call make, row by row in the order of arrival, without touching any state. Rows extend
//! sessions, join two of them, begin new ones, or are late.

use super::Sessions;
use crate::Binary;
use crate::plugin::Reject;
use std::ops::Range;

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

/// A session while the plan is made. Each key lists its growing sessions.
struct Growing {
    draft: Draft,
    /// The growing session that it has become a part of; itself, if none.
    into: u32,
}

/// All growing sessions.
struct Growth<'a> {
    sessions: &'a mut Sessions,
    all: Vec<Growing>,
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
        let mut growth = Growth { sessions, all: Vec::new() };
        let mut rows = Vec::with_capacity(times.len());
        let mut groups = Vec::with_capacity(times.len());
        let (mut late, mut new_keys) = (Vec::new(), Vec::new());
        let mut refused = refused.iter().map(|reject| reject.row as usize).peekable();
        for (row, (&time, &hash)) in times.iter().zip(hashes).enumerate() {
            let keys_before = growth.sessions.keys.len();
            let slot = growth.sessions.keys.slot(hash, keys.get(row));
            if growth.sessions.keys.len() > keys_before {
                new_keys.push(slot);
            }
            let is_refused = refused.next_if_eq(&row).is_some();
            match growth.place(slot, time) {
                None => late.push(row as u32),
                Some(_) if is_refused => {}
                Some((draft, parts)) => {
                    rows.push(row as u32);
                    groups.push(growth.put(draft, parts));
                }
            }
        }
        let drafts = growth.finish(&mut groups);
        Self { drafts, rows, groups, late, new_keys }
    }

    /// The rows that go to a draft, as numbers in `rows`.
    pub(super) fn rows_of(&self, draft: u32) -> impl Iterator<Item = u32> {
        (0..).zip(&self.groups).filter(move |(_, group)| **group == draft).map(|(row, _)| row)
    }
}

impl Growth<'_> {
    /// The session that a row would be part of, and which of its key's growing sessions that covers; `None` if it is late.
    fn place(&self, slot: u32, time: i64) -> Option<(Draft, Range<usize>)> {
        let of_key = &self.sessions.keys[slot].value;
        let end = time.saturating_add(self.sessions.gap);
        let mut draft = Draft { slot, start: time, end };
        for stored in &of_key.sessions[of_key.touching(time, end)] {
            draft.cover(stored.start, stored.end);
        }
        let growing = &of_key.growing;
        let from = growing.partition_point(|&at| self.all[at as usize].draft.end < time);
        let mut to = from;
        for other in growing[from..].iter().map(|&at| self.all[at as usize].draft) {
            if other.start > end {
                break;
            }
            draft.cover(other.start, other.end);
            to += 1;
        }
        let is_late = draft.end.saturating_add(self.sessions.allowed_lateness) <= self.sessions.watermark;
        (!is_late).then_some((draft, from..to))
    }

    /// Puts a session in the place of the growing ones that it covers. The first of those keeps its number.
    fn put(&mut self, draft: Draft, parts: Range<usize>) -> u32 {
        let growing = &mut self.sessions.keys[draft.slot].value.growing;
        let Some(&at) = growing[parts.clone()].first() else {
            let at = self.all.len() as u32;
            self.all.push(Growing { draft, into: at });
            growing.insert(parts.start, at);
            return at;
        };
        for other in growing.drain(parts.start + 1..parts.end) {
            self.all[other as usize].into = at;
        }
        self.all[at as usize].draft = draft;
        at
    }

    /// The sessions that are left, and `groups` renumbered to them.
    fn finish(mut self, groups: &mut [u32]) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let mut numbers = vec![0; self.all.len()];
        for (at, &Growing { draft, into }) in self.all.iter().enumerate() {
            if into == at as u32 {
                numbers[at] = drafts.len() as u32;
                drafts.push(draft);
                self.sessions.keys[draft.slot].value.growing.clear();
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
