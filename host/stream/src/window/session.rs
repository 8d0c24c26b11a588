//! Session windows. Each key has its own sessions, which grow and merge as rows arrive, in whatever order. A call first
//! plans which sessions its rows make, then asks the logic, and stores only when all of that has succeeded.

mod plan;

use super::call::{self, CALL_BYTES, Merger, Parts, Unmerged};
use super::outbox::Outbox;
use super::state::{Advanced, Taken};
use crate::blob::Blob;
use crate::checkpoint::{Change, ChangeLog};
use crate::key_table::{KeyTable, Value};
use crate::plugin::{Aggregate, Reject, Selection, View};
use crate::{Binary, Firing, Pane, Result, key};
use plan::{Draft, Plan};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;

/// The session windows of one worker.
pub(super) struct Sessions {
    gap: i64,
    allowed_lateness: i64,
    watermark: i64,
    keys: KeyTable<KeySessions>,
    open: usize,
    /// When to look at which key again. Entries that the key does not know of any more are passed over.
    alarms: BinaryHeap<Reverse<(i64, u32)>>,
    /// Keys with sessions that changed after they had fired, until the next firing.
    corrected: Vec<u32>,
}

/// The sessions of one key.
#[derive(Debug, Default)]
struct KeySessions {
    /// Apart from each other, in the order of time. A key without any is forgotten.
    sessions: Vec<Session>,
    /// While a call is planned: its growing sessions, in the order of time.
    growing: Vec<u32>,
    /// The first watermark at which one of them may have something to do.
    alarm: Option<i64>,
}

/// `[start, end)`, with the accumulator of all its rows.
#[derive(Debug)]
struct Session {
    start: i64,
    end: i64,
    /// Whether it got rows after it had fired.
    corrected: bool,
    accumulator: Blob,
}

impl Value for KeySessions {
    fn heap_bytes(&self) -> usize {
        let sessions = self.sessions.iter().map(|session| size_of::<Session>() + session.accumulator.heap_bytes());
        sessions.sum()
    }
}

impl KeySessions {
    /// The sessions that a stretch of time overlaps or touches.
    fn touching(&self, start: i64, end: i64) -> Range<usize> {
        let from = self.sessions.partition_point(|session| session.end < start);
        let to = self.sessions.partition_point(|session| session.start <= end);
        from..to.max(from)
    }
}

impl Sessions {
    /// No state yet. Rows at most `gap` apart belong together.
    pub(super) fn new(gap: i64, allowed_lateness: i64) -> Self {
        Self {
            gap: gap.max(1),
            allowed_lateness,
            watermark: i64::MIN,
            keys: KeyTable::default(),
            open: 0,
            alarms: BinaryHeap::new(),
            corrected: Vec::new(),
        }
    }

    /// How many sessions there are.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    // === checkpoints ===

    pub(super) fn track(&mut self) {
        self.keys.track();
    }

    /// An entry is a key with its sessions: of each the start, the end, the length of the accumulator and its bytes.
    pub(super) fn changes(&mut self, log: &mut dyn ChangeLog) {
        let mut value = Vec::new();
        let lateness = self.allowed_lateness;
        self.keys.drain(|hash, key, of_key| {
            value.clear();
            let sessions = of_key.map(|of_key| of_key.sessions.as_slice()).unwrap_or_default();
            for session in sessions {
                value.extend_from_slice(&session.start.to_le_bytes());
                value.extend_from_slice(&session.end.to_le_bytes());
                value.extend_from_slice(&(session.accumulator.get().len() as u32).to_le_bytes());
                value.extend_from_slice(session.accumulator.get());
            }
            let expires = sessions.last().map_or(i64::MAX, |last| last.end.saturating_add(lateness));
            let value = (!sessions.is_empty()).then_some(value.as_slice());
            log.push(Change { group: key::group(hash) as u16, name: key, expires, value });
        });
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes()
    }

    pub(super) fn resume(&mut self, watermark: i64) {
        self.watermark = watermark;
    }

    pub(super) fn load(&mut self, change: &Change<'_>) -> Option<()> {
        let hash = key::hash(change.name);
        if let Some(known) = self.keys.find_slot(hash, change.name) {
            self.open -= self.keys[known].value.sessions.len();
            self.keys.remove(known);
        }
        let Some(mut rest) = change.value else { return Some(()) };
        let mut sessions: Vec<Session> = Vec::new();
        while !rest.is_empty() {
            let (start, behind) = rest.split_first_chunk()?;
            let (end, behind) = behind.split_first_chunk()?;
            let (len, behind) = behind.split_first_chunk()?;
            let (accumulator, behind) = behind.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            let (start, end) = (i64::from_le_bytes(*start), i64::from_le_bytes(*end));
            if end.saturating_add(self.allowed_lateness) > self.watermark {
                sessions.push(Session { start, end, corrected: false, accumulator: Blob::new(accumulator) });
            }
            rest = behind;
        }
        if !sessions.is_empty() {
            self.open += sessions.len();
            let slot = self.keys.load(hash, change.name, KeySessions { sessions, ..KeySessions::default() });
            self.set_alarm(slot);
        }
        Some(())
    }

    pub(super) fn accumulators(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        let sessions = self.keys.slots().flat_map(|slot| &self.keys[slot].value.sessions);
        Box::new(sessions.map(|session| session.accumulator.get()))
    }

    pub(super) fn replace<'n>(&mut self, new: &mut impl Iterator<Item = &'n [u8]>) {
        let slots: Vec<u32> = self.keys.slots().collect();
        for slot in slots {
            self.keys.update(slot, |of_key| {
                of_key.sessions.iter_mut().zip(&mut *new).for_each(|(session, new)| session.accumulator.set(new));
            });
        }
    }

    pub(super) fn gone_at(&self, picks: &mut dyn FnMut(&[u8]) -> bool) -> Option<i64> {
        let sessions = self.keys.slots().flat_map(|slot| &self.keys[slot].value.sessions);
        let picked = sessions.filter(|session| picks(session.accumulator.get()));
        picked.map(|session| session.end.saturating_add(self.allowed_lateness)).max()
    }

    pub(super) fn pending(&self, key: Option<&[u8]>, limit: usize) -> Vec<(i64, i64)> {
        let of_key = |slot: u32| {
            let sessions = self.keys[slot].value.sessions.iter().filter(|session| session.end > self.watermark);
            sessions.map(|session| (session.end, session.start))
        };
        let mut first = BTreeSet::new();
        let mut keep = |session| {
            first.insert(session);
            if first.len() > limit {
                first.pop_last();
            }
        };
        match key {
            Some(key) => self.keys.find_slot(key::hash(key), key).into_iter().flat_map(of_key).for_each(&mut keep),
            None => self.keys.slots().flat_map(of_key).for_each(&mut keep),
        }
        first.into_iter().map(|(end, start)| (start, end)).collect()
    }

    // === rows ===

    pub(super) fn accumulate(
        &mut self,
        logic: &mut dyn Aggregate,
        keys: &Binary,
        hashes: &[u64],
        view: &View<'_>,
    ) -> Result<Taken> {
        let mut rejects = Vec::new();
        loop {
            let plan = Plan::new(self, &rejects, keys, hashes, view.times);
            let answer = self.ask(logic, &plan, view);
            if let Ok((accumulators, new_rejects)) = &answer
                && new_rejects.is_empty()
            {
                self.store(&plan, accumulators);
            }
            for &slot in &plan.new_keys {
                self.forget_if_vacant(slot);
            }
            let (_, new_rejects) = answer?;
            if new_rejects.is_empty() {
                rejects.retain(|reject: &Reject| plan.late.binary_search(&reject.row).is_err());
                return Ok(Taken { late: plan.late, rejects });
            }
            // A refused row must not hold sessions together either, so the call is made again without it. It was pure.
            rejects.extend(call::renumber(new_rejects, &plan.rows));
            rejects.sort_by_key(|reject| reject.row);
        }
    }

    /// Lets the logic merge the sessions that grow together and add the rows. Nothing is stored yet.
    fn ask(&self, logic: &mut dyn Aggregate, plan: &Plan, view: &View<'_>) -> Result<(Vec<Binary>, Vec<Reject>)> {
        if plan.rows.is_empty() {
            return Ok(Default::default());
        }
        let (merged, rejects) = self.merge_absorbed(logic, plan)?;
        if !rejects.is_empty() {
            return Ok((Vec::new(), rejects));
        }
        let mut merged = merged.iter().flat_map(Binary::iter);
        let mut parts = Parts::default();
        for draft in &plan.drafts {
            let accumulator = match self.absorbed(draft) {
                [] => Some(&[][..]),
                [only] => Some(only.accumulator.get()),
                _ => merged.next(),
            };
            parts.push(accumulator.expect("every draft with several sessions was merged"));
        }
        if plan.rows.len() == view.times.len() {
            return call::accumulate(logic, parts, &plan.groups, view);
        }
        call::accumulate(logic, parts, &plan.groups, &Selection::new(view, &plan.rows).view())
    }

    /// One accumulator per draft of several sessions. The rows of drafts that the logic fails to merge are refused: without
    /// them the sessions stay apart, and nothing is lost of these.
    fn merge_absorbed(&self, logic: &mut dyn Aggregate, plan: &Plan) -> Result<(Vec<Binary>, Vec<Reject>)> {
        let (mut merged, mut rejects) = (Vec::new(), Vec::new());
        let (mut merger, mut drafts) = (Merger::default(), Vec::new());
        for (number, draft) in (0u32..).zip(&plan.drafts) {
            let sessions = self.absorbed(draft);
            if sessions.len() > 1 {
                merger.push(sessions.iter().map(|session| session.accumulator.get()));
                drafts.push(number);
            }
            let is_last = number as usize + 1 == plan.drafts.len();
            if merger.total_bytes() >= CALL_BYTES || (is_last && merger.len() > 0) {
                let (accumulators, unmerged) = merger.merge(logic)?;
                merged.push(accumulators);
                for Unmerged { reject, .. } in unmerged {
                    let draft = drafts[reject.row as usize];
                    rejects.extend(plan.rows_of(draft).map(|row| Reject { row, ..reject.clone() }));
                }
                drafts.clear();
            }
        }
        Ok((merged, rejects))
    }

    /// The sessions that a planned one takes the place of.
    fn absorbed(&self, draft: &Draft) -> &[Session] {
        let of_key = &self.keys[draft.slot].value;
        &of_key.sessions[of_key.touching(draft.start, draft.end)]
    }

    fn store(&mut self, plan: &Plan, accumulators: &[Binary]) {
        for (draft, accumulator) in plan.drafts.iter().zip(accumulators.iter().flat_map(Binary::iter)) {
            let &Draft { slot, start, end, .. } = draft;
            let corrected = end <= self.watermark;
            let (absorbed, stays) = self.keys.update(slot, |of_key| {
                let range = of_key.touching(start, end);
                let first = of_key.sessions.drain(range.clone()).next();
                if !accumulator.is_empty() {
                    let mut blob = first.map(|session| session.accumulator).unwrap_or_default();
                    blob.set(accumulator);
                    of_key.sessions.insert(range.start, Session { start, end, corrected, accumulator: blob });
                }
                (range.len(), !accumulator.is_empty())
            });
            self.open -= absorbed;
            if !stays {
                continue;
            }
            self.open += 1;
            if corrected {
                self.corrected.push(slot);
            }
            self.set_alarm(slot);
        }
        plan.drafts.iter().for_each(|draft| self.forget_if_vacant(draft.slot));
    }

    /// Sees to it that a key is looked at when something is to be done for one of its sessions.
    fn set_alarm(&mut self, slot: u32) {
        let of_key = &mut self.keys[slot].value;
        let deadlines = of_key.sessions.iter().map(|session| {
            if session.end > self.watermark { session.end } else { session.end.saturating_add(self.allowed_lateness) }
        });
        if let Some(next) = deadlines.min()
            && of_key.alarm.is_none_or(|alarm| next < alarm)
        {
            of_key.alarm = Some(next);
            self.alarms.push(Reverse((next, slot)));
        }
    }

    /// Removes a key that has no session.
    fn forget_if_vacant(&mut self, slot: u32) {
        if self.keys[slot].value.sessions.is_empty() {
            self.keys.remove(slot);
        }
    }

    // === firing ===

    pub(super) fn advance(&mut self, watermark: i64, logic: &mut dyn Aggregate) -> Result<Advanced> {
        let due = self.take_due(watermark);
        let fired = self.fire(watermark, &due, logic);
        if fired.is_err() {
            self.alarms.extend(due.iter().map(|&(when, slot)| Reverse((when, slot))));
            return fired;
        }
        self.watermark = watermark;
        for slot in std::mem::take(&mut self.corrected) {
            self.keys[slot].value.sessions.iter_mut().for_each(|session| session.corrected = false);
        }
        for (_, slot) in due {
            self.drop_closed(slot);
        }
        fired
    }

    /// The keys that have to be looked at, with the alarm that said so.
    fn take_due(&mut self, watermark: i64) -> Vec<(i64, u32)> {
        let mut due = Vec::new();
        while let Some(&Reverse((when, slot))) = self.alarms.peek()
            && when <= watermark
        {
            self.alarms.pop();
            if self.keys[slot].value.alarm == Some(when) {
                due.push((when, slot));
            }
        }
        due
    }

    fn fire(&self, watermark: i64, due: &[(i64, u32)], logic: &mut dyn Aggregate) -> Result<Advanced> {
        let mut firings = Vec::new();
        for &slot in &self.corrected {
            let sessions = self.keys[slot].value.sessions.iter();
            firings.extend(sessions.filter(|session| session.corrected).map(|session| (session, slot, Pane::Late)));
        }
        for &(_, slot) in due {
            let sessions = self.keys[slot].value.sessions.iter();
            let closing = sessions.filter(|session| self.watermark < session.end && session.end <= watermark);
            firings.extend(closing.map(|session| (session, slot, Pane::OnTime)));
        }
        let order = |&(session, slot, _): &(&Session, u32, Pane)| (session.end, session.start, self.keys[slot].key());
        firings.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        // A key is listed once per correction and per alarm.
        firings.dedup_by_key(|&mut (session, slot, _)| (session.start, slot));
        let mut outbox = Outbox::new(logic);
        for (session, slot, pane) in firings {
            let window = Firing { start: session.start, end: session.end, pane };
            outbox.push(window, self.keys[slot].key(), std::iter::once(session.accumulator.get()))?;
        }
        outbox.finish()
    }

    fn drop_closed(&mut self, slot: u32) {
        let (lateness, watermark) = (self.allowed_lateness, self.watermark);
        let of_key = &mut self.keys[slot].value;
        of_key.alarm = None;
        let gone = |session: &Session| session.end.saturating_add(lateness) <= watermark;
        let closed = of_key.sessions.partition_point(gone);
        if closed > 0 {
            self.keys.update(slot, |of_key| drop(of_key.sessions.drain(..closed)));
        }
        self.open -= closed;
        self.set_alarm(slot);
        self.forget_if_vacant(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Ids;
    use super::*;
    use crate::{Cells, Column, key};

    /// Keys whose rows are all late or refused, and keys whose sessions have closed → nothing is remembered of them.
    #[test]
    fn keys_without_sessions_are_forgotten() {
        let mut sessions = Sessions::new(10, 0);
        sessions.advance(100, &mut Ids::default()).expect("nothing to fire");
        let keys: Binary = ["late", "refused", "taken", "taken too"].into_iter().collect();
        let bad = Column { cells: Cells::Bool(vec![false, true, false, false]), faults: Vec::new() };
        let values: Binary = [[0; 4]; 4].iter().collect();
        let view = View { times: &[0, 100, 100, 200], keys: Some(&keys), values: Some(&values), fields: vec![&bad] };
        let taken = sessions.accumulate(&mut Ids::default(), &keys, &key::hashes(&keys), &view).expect("valid answers");
        assert_eq!((taken.late.as_slice(), taken.rejects.len()), (&[0][..], 1));
        assert_eq!((sessions.keys.len(), sessions.open()), (2, 2));
        sessions.advance(110, &mut Ids::default()).expect("valid answers");
        assert_eq!((sessions.keys.len(), sessions.open()), (1, 1));
    }
}
