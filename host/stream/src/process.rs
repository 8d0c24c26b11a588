//! Keyed states and event-time timers of processes: which keys a call is about, what it is given, what is kept of its
//! answer. It knows neither clocks nor plugins' insides: time comes in as watermarks, logic as [`Process`].

use crate::binary::BinaryBuilder;
use crate::blob::Blob;
use crate::checkpoint::{Change, ChangeLog};
use crate::field::Decoder;
use crate::key_table::{KeyTable, Value};
use crate::plugin::{Needs, Process, Processed, Timers, Turn, View};
use crate::{Batch, Binary, Error, ErrorKind, GuestFault, Result, key};
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::repeat;

/// At most so many keys have their timers fired in one call.
const CALL_KEYS: usize = 4_096;

/// In which order the rows of a key reach its process. In a job file `arrival` or `event-time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they arrive. Fast, and good for logic that does not care.
    #[default]
    Arrival,
    /// By event time: a row waits until the watermark says that no earlier one will come. The results then do not depend
    /// on how the stream is split or how many workers there are. Rows behind the watermark are late.
    EventTime,
}

/// What a key owns.
#[derive(Debug, Default)]
struct Owned {
    state: Blob,
    /// Pending timers, ascending.
    timers: Vec<i64>,
    /// The last call that the key took part in, and its number there.
    turn: u64,
    group: u32,
}

impl Value for Owned {
    fn heap_bytes(&self) -> usize {
        self.state.heap_bytes() + self.timers.len() * size_of::<i64>()
    }
}

impl Owned {
    fn read(value: &[u8]) -> Option<Self> {
        let (count, rest) = value.split_first_chunk()?;
        let (timers, state) = rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(8)?)?;
        let timers = timers.as_chunks().0.iter().map(|time| i64::from_le_bytes(*time)).collect();
        Some(Self { state: Blob::new(state), timers, ..Self::default() })
    }
}

/// The keys of one worker. A method that returns an error has changed nothing and may be called again.
#[derive(Debug)]
pub struct States {
    keys: KeyTable<Owned>,
    /// The first timer of every key that has one, among others that are no longer true.
    alarms: BinaryHeap<Reverse<(i64, u32)>>,
    watermark: i64,
    turns: u64,
    /// What the plugin sees of no rows, in calls that are only about timers.
    nothing: Batch,
    needs: Needs,
}

/// Rows for a call.
#[derive(Debug)]
pub struct KeyedRows<'a> {
    /// One key per row.
    pub keys: &'a Binary,
    /// Their [`crate::key::hash`]es.
    pub hashes: &'a [u64],
    /// What the plugin sees of the rows. Their keys are left out of the call.
    pub view: View<'a>,
    /// Whether they stand in the order of their event times.
    pub ordered: bool,
}

/// What came of a call.
#[derive(Debug)]
pub struct Turned {
    /// The keys of the call, which origins behind the rows name.
    pub keys: Binary,
    /// The answer of the logic.
    pub answer: Processed,
    /// How many timers fired, as far as they were pending before the call.
    pub fired: usize,
}

/// Some states, rewritten.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// As many, in the same order. An empty one is no state any more.
    pub states: Binary,
    /// Those of its timers that a key keeps, ascending; `None`, or none for all: all that it had. Others mean nothing.
    pub timers: Vec<Option<Vec<i64>>>,
}

impl From<Binary> for Rewritten {
    fn from(states: Binary) -> Self {
        Self { states, timers: Vec::new() }
    }
}

/// States that were rewritten, see [`States::migrated`].
#[derive(Debug)]
pub struct Migrated(Vec<Rewritten>);

impl States {
    /// No keys yet, for logic with these needs.
    pub fn new(needs: &Needs) -> Self {
        let fields = Decoder::new(&needs.fields).decode(&Binary::default());
        Self {
            keys: KeyTable::default(),
            alarms: BinaryHeap::new(),
            watermark: i64::MIN,
            turns: 0,
            nothing: Batch { fields, ..Batch::default() },
            needs: needs.clone(),
        }
    }

    /// No row earlier than this is expected.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// Notes changes from now on, for [`changes`](Self::changes).
    pub fn track(&mut self) {
        self.keys.track();
    }

    /// Notes what has changed since the last time. An entry is a key with the number of its timers, the timers, and its
    /// state. Together with the watermark, all changes of all times are what [`resume`](Self::resume) and
    /// [`load`](Self::load) need.
    pub fn changes(&mut self, log: &mut dyn ChangeLog) {
        let mut value = Vec::new();
        self.keys.drain(|hash, key, owned| {
            value.clear();
            if let Some(owned) = owned {
                value.extend_from_slice(&(owned.timers.len() as u32).to_le_bytes());
                owned.timers.iter().for_each(|time| value.extend_from_slice(&time.to_le_bytes()));
                value.extend_from_slice(owned.state.get());
            }
            let value = owned.map(|_| value.as_slice());
            log.push(Change { group: key::group(hash) as u16, name: key, expires: i64::MAX, value });
        });
    }

    /// Goes on at a watermark. Comes before everything else.
    pub fn resume(&mut self, watermark: i64) {
        self.watermark = watermark;
    }

    /// Puts back what was noted, oldest first.
    pub fn load(&mut self, change: &Change<'_>) -> Result<()> {
        let hash = key::hash(change.name);
        let Some(value) = change.value else {
            if let Some(slot) = self.keys.find_slot(hash, change.name) {
                self.keys.remove(slot);
            }
            return Ok(());
        };
        let corrupt = || Error::new(ErrorKind::Corrupt, "an entry is not what a process has noted");
        let owned = Owned::read(value).ok_or_else(corrupt)?;
        let first = owned.timers.first().copied();
        let slot = self.keys.load(hash, change.name, owned);
        self.alarms.extend(first.map(|time| Reverse((time, slot))));
        Ok(())
    }

    /// What `rewrite` makes of all states, some thousand at a time. What is kept stays as it is.
    pub fn migrated(&self, rewrite: &mut dyn FnMut(&Binary) -> Result<Rewritten>) -> Result<Migrated> {
        let mut migrated = Vec::new();
        let mut old = self.states().peekable();
        while old.peek().is_some() {
            let part: Binary = old.by_ref().take(CALL_KEYS).collect();
            let new = rewrite(&part)?;
            if new.states.len() != part.len() {
                let words = format!("migrate returned {} states for {}", new.states.len(), part.len());
                return Err(Error::guest(GuestFault::Contract, words));
            }
            migrated.push(new);
        }
        Ok(Migrated(migrated))
    }

    /// Goes on with migrated states; nothing has happened since they were. Every key counts as changed.
    pub fn adopt(&mut self, Migrated(new): Migrated) {
        let mut states = new.iter().flat_map(|part| part.states.iter());
        let mut timers = new
            .iter()
            .flat_map(|part| part.timers.iter().map(Option::as_ref).chain(repeat(None)).take(part.states.len()));
        let slots: Vec<u32> = self.keys.slots().collect();
        for slot in slots {
            let has_state = !self.keys[slot].value.state.is_empty();
            let new = has_state.then(|| (states.next(), timers.next().flatten()));
            let (before, first) = self.keys.update(slot, |owned| {
                let before = owned.timers.first().copied();
                if let Some((state, timers)) = new {
                    state.into_iter().for_each(|state| owned.state.set(state));
                    if let Some(timers) = timers {
                        owned.timers.retain(|time| timers.binary_search(time).is_ok());
                    }
                }
                (before, owned.timers.first().copied())
            });
            // Alarms of timers that are gone mean nothing.
            self.alarms.extend(first.filter(|first| before != Some(*first)).map(|time| Reverse((time, slot))));
            self.tidy(slot);
        }
    }

    /// All states, in some order; keys that have only timers are left out.
    pub fn states(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.slots().map(|slot| self.keys[slot].value.state.get()).filter(|state| !state.is_empty())
    }

    /// Serves a plugin with other needs from now on.
    pub fn serve(&mut self, needs: &Needs) {
        self.nothing.fields = Decoder::new(&needs.fields).decode(&Binary::default());
        self.needs = needs.clone();
    }

    /// How many keys have a state or a timer.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key has a state or a timer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Processes rows at the present watermark. With `until`, event time moves on to it for the keys of the rows: the
    /// caller brings ordered rows in several calls and gives the time of the last row of each.
    pub fn process(&mut self, logic: &mut dyn Process, rows: &KeyedRows<'_>, until: Option<i64>) -> Result<Turned> {
        let count = rows.view.times.len();
        if rows.keys.len() != count || rows.hashes.len() != count {
            let (keys, hashes) = (rows.keys.len(), rows.hashes.len());
            return Err(Error::invalid(format!("{count} rows came with {keys} keys and {hashes} hashes")));
        }
        self.turns += 1;
        let (mut members, mut groups) = (Vec::new(), Vec::with_capacity(count));
        for (key, &hash) in rows.keys.iter().zip(rows.hashes) {
            let slot = self.keys.slot(hash, key);
            let owned = &mut self.keys[slot].value;
            if owned.turn != self.turns {
                (owned.turn, owned.group) = (self.turns, members.len() as u32);
                members.push(slot);
            }
            groups.push(owned.group);
        }
        let watermark = until.map_or(self.watermark, |until| until.max(self.watermark));
        let view = View { keys: None, ..rows.view.clone() };
        let turned = self.turn(logic, &members, &groups, view, watermark, rows.ordered);
        // Keys that are new and were given nothing do not stay.
        members.iter().for_each(|&slot| self.tidy(slot));
        turned
    }

    /// Moves event time on to `watermark` (it never goes back) and fires the timers that are due, of some thousand keys at
    /// a time. Returns `None` when nothing is due any more.
    pub fn advance(&mut self, logic: &mut dyn Process, watermark: i64) -> Result<Option<Turned>> {
        let watermark = watermark.max(self.watermark);
        let mut due = Vec::new();
        while let Some(&Reverse((when, slot))) = self.alarms.peek()
            && when <= watermark
            && due.len() < CALL_KEYS
        {
            self.alarms.pop();
            // One alarm per key counts; the others are left over from timers that changed.
            if self.keys[slot].value.timers.first() == Some(&when) && due.last() != Some(&(when, slot)) {
                due.push((when, slot));
            }
        }
        if due.is_empty() {
            self.watermark = watermark;
            return Ok(None);
        }
        let members: Vec<u32> = due.iter().map(|&(_, slot)| slot).collect();
        let nothing = self.nothing.clone();
        let columns: Vec<usize> = (0..nothing.fields.len()).collect();
        let needs = self.needs.clone();
        let turned = self.turn(logic, &members, &[], View::of(&nothing, &needs, &columns), watermark, false);
        match &turned {
            Ok(_) => members.iter().for_each(|&slot| self.tidy(slot)),
            Err(_) => self.alarms.extend(due.into_iter().map(Reverse)),
        }
        turned.map(Some)
    }

    fn turn(
        &mut self,
        logic: &mut dyn Process,
        members: &[u32],
        groups: &[u32],
        batch: View<'_>,
        watermark: i64,
        ordered: bool,
    ) -> Result<Turned> {
        let (mut keys, mut states, mut timers) =
            (BinaryBuilder::default(), BinaryBuilder::default(), Timers::default());
        for (group, &slot) in (0..).zip(members) {
            let entry = &self.keys[slot];
            keys.push(entry.key());
            states.push(entry.value.state.get());
            entry.value.timers.iter().for_each(|&time| timers.push(group, time));
        }
        let (keys, states) = (keys.finish(), states.finish());
        let turn = Turn { keys: &keys, states: &states, groups, batch, timers: &timers, watermark, ordered };
        let answer = logic.process(&turn)?;
        check(&answer, members.len(), watermark)?;
        let fired = timers.times.iter().filter(|&&time| time <= watermark).count();
        let mut pending = answer.timers.iter().peekable();
        for (group, &slot) in (0..).zip(members) {
            let (before, first) = self.keys.update(slot, |owned| {
                owned.state.set(answer.states.get(group as usize));
                let before = owned.timers.first().copied();
                owned.timers.clear();
                while let Some((_, time)) = pending.next_if(|(of, _)| *of == group) {
                    owned.timers.push(time);
                }
                (before, owned.timers.first().copied())
            });
            if let Some(first) = first
                && before != Some(first)
            {
                self.alarms.push(Reverse((first, slot)));
            }
        }
        drop(pending);
        Ok(Turned { keys, answer, fired })
    }

    /// Forgets a key that owns nothing.
    fn tidy(&mut self, slot: u32) {
        let owned = &self.keys[slot].value;
        if owned.state.get().is_empty() && owned.timers.is_empty() {
            self.keys.remove(slot);
        }
    }
}

/// What would corrupt states if it were believed. Whoever implements [`Process`] has checked the rest.
fn check(answer: &Processed, keys: usize, watermark: i64) -> Result<()> {
    let broken = |words: String| Err(Error::guest(GuestFault::Contract, words));
    if answer.states.len() != keys {
        return broken(format!("process returned {} states for {keys} keys", answer.states.len()));
    }
    let pairs = || answer.timers.iter().zip(answer.timers.iter().skip(1));
    if let Some((before, after)) = pairs().find(|(before, after)| before >= after) {
        return broken(format!("process returned timer {after:?} behind {before:?}: they must ascend by key and time"));
    }
    match answer.timers.iter().find(|(group, time)| *group as usize >= keys || *time <= watermark) {
        Some((group, time)) if group as usize >= keys => {
            broken(format!("process returned a timer at {time} of key number {group}, but was given {keys} keys"))
        }
        Some((_, time)) => broken(format!("process returned a timer at {time}, but time has come to {watermark}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
