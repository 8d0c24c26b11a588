//! A process whose failures are narrowed down to rows or timers. Keys know nothing of each other, so calls are first cut by
//! key, and only the rows of the keys at fault go in bit by bit.

use super::{Guard, Joined, JoinedSides, poisoned};
use std::ops::Range;
use wasmill_stream::plugin::{Process, Processed, Reject, Selection, Timers, Turn};
use wasmill_stream::{Binary, Cause, Error, ErrorKind, GuestFault, Result};

/// A plugin and its guard.
pub struct IsolatedProcess {
    logic: Box<dyn Process>,
    guard: Guard,
    dropped: Vec<DroppedTimer>,
}

/// A timer that makes its plugin fail when it fires. It is gone; the state of its key is as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct DroppedTimer {
    /// Its key.
    pub key: Vec<u8>,
    /// When it was due, ms.
    pub time: i64,
    /// How the plugin fails.
    pub cause: Cause,
    /// The same for people.
    pub reason: String,
}

impl IsolatedProcess {
    /// Stands before a plugin.
    pub fn new(logic: Box<dyn Process>, guard: Guard) -> Self {
        Self { logic, guard, dropped: Vec::new() }
    }

    /// The guard, which knows whether a failed call is to be made again.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// The timers that were dropped since the last call.
    pub fn take_dropped(&mut self) -> Vec<DroppedTimer> {
        std::mem::take(&mut self.dropped)
    }
}

impl Process for IsolatedProcess {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let things = turn.groups.len().max(turn.timers.len());
        let answer = match self.logic.process(turn).or_else(|_| self.logic.process(turn)) {
            Ok(answer) => answer,
            Err(error) => {
                self.guard.judge(error, things)?;
                let mut search = Search::new(&mut *self.logic, &mut self.guard, turn);
                search.keys(0..turn.keys.len())?;
                let (answer, mut dropped) = search.finish();
                self.dropped.append(&mut dropped);
                answer
            }
        };
        self.guard.passed(things);
        Ok(answer)
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        self.logic.migrate(from, states)
    }
}

/// A failed turn that is played again in parts.
struct Search<'s, 't> {
    logic: &'s mut dyn Process,
    guard: &'s mut Guard,
    turn: &'s Turn<'t>,
    /// The rows of each key.
    rows: Vec<Vec<u32>>,
    states: Vec<Vec<u8>>,
    timers: Vec<Vec<i64>>,
    main: Joined,
    sides: JoinedSides,
    rejects: Vec<Reject>,
    dropped: Vec<DroppedTimer>,
}

impl<'s, 't> Search<'s, 't> {
    fn new(logic: &'s mut dyn Process, guard: &'s mut Guard, turn: &'s Turn<'t>) -> Self {
        let keys = turn.keys.len();
        let (mut rows, mut timers) = (vec![Vec::new(); keys], vec![Vec::new(); keys]);
        (0..).zip(turn.groups).for_each(|(row, &key)| rows[key as usize].push(row));
        turn.timers.iter().for_each(|(key, time)| timers[key as usize].push(time));
        let states = turn.states.iter().map(<[u8]>::to_vec).collect();
        let (main, sides) = (Joined::default(), JoinedSides::default());
        Self { logic, guard, turn, rows, states, timers, main, sides, rejects: Vec::new(), dropped: Vec::new() }
    }

    /// Plays all that happens to some keys; if that fails, to ever fewer.
    fn keys(&mut self, keys: Range<usize>) -> Result<()> {
        let mut rows: Vec<u32> = self.rows[keys.clone()].concat();
        rows.sort_unstable();
        match self.call(keys.clone(), &rows, self.turn.watermark) {
            Ok(()) => Ok(()),
            Err(error) if !matches!(error.kind(), ErrorKind::Guest(_)) => Err(error),
            Err(_) if keys.len() > 1 => {
                let middle = keys.start + keys.len() / 2;
                self.keys(keys.start..middle)?;
                self.keys(middle..keys.end)
            }
            Err(_) => self.key(keys.start),
        }
    }

    /// Plays the rows of one key bit by bit, then its timers.
    fn key(&mut self, key: usize) -> Result<()> {
        let rows = self.rows[key].clone();
        self.key_rows(key, &rows)?;
        self.fire(key, self.turn.watermark)
    }

    fn key_rows(&mut self, key: usize, rows: &[u32]) -> Result<()> {
        let Some(&last) = rows.last() else { return Ok(()) };
        // Without order timers fire only behind the last row of the turn.
        let until = if self.turn.ordered { self.turn.batch.times[last as usize] } else { i64::MIN };
        if self.call(key..key + 1, rows, until).is_ok() {
            return Ok(());
        }
        if rows.len() > 1 {
            let (before, after) = rows.split_at(rows.len() / 2);
            self.key_rows(key, before)?;
            return self.key_rows(key, after);
        }
        if self.turn.ordered {
            // It may be a timer that fires before the row.
            self.fire(key, until)?;
        }
        match self.call(key..key + 1, rows, until) {
            Ok(()) => Ok(()),
            Err(error) => {
                let cause = self.poison(&error)?;
                self.rejects.push(poisoned(last as usize, cause, error.report()));
                Ok(())
            }
        }
    }

    /// Fires the timers of one key up to a time, one after the other if they fail together.
    fn fire(&mut self, key: usize, until: i64) -> Result<()> {
        while let Some(&first) = self.timers[key].first().filter(|first| **first <= until) {
            if self.call(key..key + 1, &[], until).is_ok() {
                return Ok(());
            }
            if let Err(error) = self.call(key..key + 1, &[], first) {
                let cause = self.poison(&error)?;
                self.timers[key].remove(0);
                let name = self.turn.keys.get(key).to_vec();
                self.dropped.push(DroppedTimer { key: name, time: first, cause, reason: error.report() });
            }
        }
        Ok(())
    }

    fn poison(&mut self, error: &Error) -> Result<Cause> {
        self.guard.poisoned(error)?;
        match error.kind() {
            ErrorKind::Guest(fault) => Ok(Cause::Guest(fault)),
            _ => Ok(Cause::Guest(GuestFault::Trap)),
        }
    }

    /// Calls the plugin about some keys with some of their rows, and keeps what it answers.
    fn call(&mut self, keys: Range<usize>, rows: &[u32], watermark: i64) -> Result<()> {
        let mut timers = Timers::default();
        for (group, of_key) in (0..).zip(&self.timers[keys.clone()]) {
            of_key.iter().for_each(|&time| timers.push(group, time));
        }
        let numbers: Vec<u32> = (keys.start as u32..keys.end as u32).collect();
        let selection = Selection::new(&self.turn.batch, rows);
        let groups: Vec<u32> = rows.iter().map(|&row| self.turn.groups[row as usize] - keys.start as u32).collect();
        let part = Turn {
            keys: &self.turn.keys.select(&numbers),
            states: &self.states[keys.clone()].iter().collect(),
            groups: &groups,
            batch: selection.view(),
            timers: &timers,
            watermark,
            ordered: self.turn.ordered,
        };
        let answer = self.logic.process(&part)?;
        if answer.states.len() != keys.len() || answer.timers.iter().any(|(key, _)| key as usize >= keys.len()) {
            return Err(Error::guest(GuestFault::Contract, "process returned states or timers of other keys"));
        }
        for (key, state) in keys.clone().zip(answer.states.iter()) {
            self.states[key] = state.to_vec();
            self.timers[key].clear();
        }
        answer.timers.iter().for_each(|(key, time)| self.timers[keys.start + key as usize].push(time));
        let all = self.turn.groups.len() as u32;
        let origin = |origin: u32| match rows.get(origin as usize) {
            Some(&row) => row,
            None => all + keys.start as u32 + (origin - rows.len() as u32),
        };
        self.main.add(answer.main, rows.len(), origin);
        self.sides.add(answer.sides, rows.len(), origin);
        self.rejects.extend(answer.rejects.into_iter().map(|reject| Reject { row: origin(reject.row), ..reject }));
        Ok(())
    }

    fn finish(mut self) -> (Processed, Vec<DroppedTimer>) {
        let turn = self.turn;
        let all = turn.groups.len();
        // Rows that a timer emits bring their own time.
        let time = |origin: u32| turn.batch.times.get(origin as usize).copied().unwrap_or(turn.watermark);
        let key = |origin: u32| match turn.groups.get(origin as usize) {
            Some(&key) => turn.keys.get(key as usize),
            None => turn.keys.get(origin as usize - all),
        };
        let mut timers = Timers::default();
        for (key, of_key) in (0..).zip(&self.timers) {
            of_key.iter().for_each(|&time| timers.push(key, time));
        }
        self.rejects.sort_by_key(|reject| reject.row);
        let answer = Processed {
            states: self.states.iter().collect(),
            timers,
            main: self.main.finish(time, key),
            sides: self.sides.finish(time, key),
            rejects: self.rejects,
        };
        (answer, self.dropped)
    }
}
