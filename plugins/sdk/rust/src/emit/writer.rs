//! Collects what a plugin returns for its rows, and for timers, into columns: one lane for the main output, one per side.

use super::part::{KeyPart, Part, TimePart, ValuePart};
use super::{Emit, Output, Set};
use crate::bindings::SideRows;
use crate::{Binary, Columns, Failure, Fault, Reject, Rows};

/// Collects the outputs of a call.
#[doc(hidden)]
pub struct Writer {
    origin: Origin,
    /// The lane that is written: 0 is the main one, `n + 1` that of side `n`.
    lane: usize,
    main: Lane,
    sides: Vec<Lane>,
    rejects: Vec<Reject>,
    failure: Option<Failure>,
}

/// What the outputs come from.
#[derive(Clone, Copy)]
enum Origin {
    /// A row; rows that come out keep its time by themselves.
    Row(u32),
    /// A row of a process, whose times are noted in case a timer emits into the same column.
    Timed(u32, i64),
    /// A timer, with its number after those of the rows.
    Timer(u32, i64),
}

impl Origin {
    #[inline]
    fn number(self) -> u32 {
        match self {
            Self::Row(number) | Self::Timed(number, _) | Self::Timer(number, _) => number,
        }
    }
}

impl Writer {
    /// A writer for the outputs of `rows` input rows.
    pub fn new<O: Output>(rows: usize) -> Self {
        Self {
            origin: Origin::Row(0),
            lane: 0,
            main: Lane::new(O::COLUMNS, rows),
            sides: O::SIDES.iter().map(|side| Lane::new(side.columns, 0)).collect(),
            rejects: Vec::new(),
            failure: None,
        }
    }

    /// What is written from now on comes from input row `row`.
    #[inline]
    pub fn start(&mut self, row: usize) {
        self.origin = Origin::Row(row as u32);
    }

    /// What is written from now on comes from input row `row`, whose time is `time`.
    pub fn start_timed(&mut self, row: usize, time: i64) {
        self.origin = Origin::Timed(row as u32, time);
    }

    /// What is written from now on comes from a timer at `time`; `origin` is its number.
    pub fn start_timer(&mut self, origin: usize, time: i64) {
        self.origin = Origin::Timer(origin as u32, time);
    }

    /// Whether the call has failed: then nothing that follows matters.
    #[inline]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The whole call fails. The first failure counts.
    pub fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// The row is refused, or the call fails.
    pub fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Reject(reject) => self.reject(reject),
            Fault::Failure(failure) => self.fail(failure),
        }
    }

    /// Refuses the current row, and takes back what it has emitted. A process has changed its state by then: that is fatal.
    pub fn reject(&mut self, reject: Reject) {
        let Origin::Row(row) = self.origin else {
            let reason = format!("what a process emits cannot be refused; refuse rows in `check`: {}", reject.reason);
            return self.fail(Failure::Fatal(reason));
        };
        if !self.is_rejected() {
            self.main.take_back(row);
            self.sides.iter_mut().for_each(|side| side.take_back(row));
            self.rejects.push(Reject { row, reason: reject.reason });
        }
    }

    /// Refuses a row that a process has not begun with.
    pub fn refuse(&mut self, row: usize, reject: Reject) {
        self.rejects.push(Reject { row: row as u32, reason: reject.reason });
    }

    /// Writes to a side output.
    pub fn aside(&mut self, side: usize, write: impl FnOnce(&mut Self)) {
        self.lane = side + 1;
        write(self);
        self.lane = 0;
    }

    #[inline]
    pub fn emit<K: Part<KeyPart>, T: TimePart, V: Part<ValuePart>>(&mut self, emit: &Emit<K, T, V>) {
        if self.is_rejected() {
            return;
        }
        if let (Origin::Timer(..), false) = (self.origin, V::SET) {
            return self
                .fail(Failure::fatal("a timer has no row to pass on: what it emits needs a value, as in Json(…)"));
        }
        let origin = self.origin;
        let lane = if self.lane == 0 { &mut self.main } else { &mut self.sides[self.lane - 1] };
        if let Err(reject) = lane.push(origin, emit) {
            self.reject(reject);
        }
    }

    #[inline]
    fn is_rejected(&self) -> bool {
        self.rejects.last().is_some_and(|last| last.row == self.origin.number())
    }

    /// The columns for the host, of a call with `rows` rows.
    pub fn finish(self, rows: usize) -> Result<Columns, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let sides = self.sides.into_iter().enumerate().filter(|(_, lane)| !lane.origins.is_empty());
        let sides = sides.map(|(side, lane)| SideRows { side: side as u32, rows: lane.finish(rows) }).collect();
        Ok(Columns { main: self.main.finish(rows), sides, rejects: self.rejects })
    }
}

/// The columns of an output, as they grow.
struct Lane {
    set: Set,
    origins: Vec<u32>,
    /// Whether the times differ from those of the origins.
    new_times: bool,
    times: Vec<i64>,
    keys: Binary,
    values: Binary,
}

impl Lane {
    fn new(set: Set, rows: usize) -> Self {
        let room = |set: bool| if set { rows } else { 0 };
        Self {
            set,
            origins: Vec::with_capacity(rows),
            new_times: set.times,
            times: Vec::with_capacity(room(set.times)),
            keys: Binary::with_capacity(room(set.keys), room(set.keys) * 16),
            values: Binary::with_capacity(room(set.values), 0),
        }
    }

    #[inline]
    fn push<K: Part<KeyPart>, T: TimePart, V: Part<ValuePart>>(
        &mut self,
        origin: Origin,
        emit: &Emit<K, T, V>,
    ) -> Result<(), Reject> {
        if K::SET {
            // Keys do not fail to be written.
            let _ = emit.key.write(&mut self.keys.bytes);
            self.keys.close();
        }
        match origin {
            _ if T::SET => self.times.push(emit.time.millis()),
            Origin::Row(_) => {}
            Origin::Timed(_, time) => self.times.push(time),
            Origin::Timer(_, time) => {
                self.times.push(time);
                self.new_times = true;
            }
        }
        let written = emit.value.write(&mut self.values.bytes);
        if V::SET {
            self.values.close();
        }
        self.origins.push(origin.number());
        written
    }

    /// Forgets what came from this row, which was the last one.
    fn take_back(&mut self, row: u32) {
        while self.origins.last() == Some(&row) {
            self.origins.pop();
        }
        let rows = self.origins.len();
        self.times.truncate(rows);
        self.keys.truncate(rows);
        self.values.truncate(rows);
    }

    fn finish(self, rows: usize) -> Rows {
        let whole = self.origins.len() == rows && self.origins.iter().enumerate().all(|(at, &row)| at as u32 == row);
        Rows {
            origins: (!whole).then_some(self.origins),
            times: self.new_times.then_some(self.times),
            keys: self.set.keys.then_some(self.keys),
            values: self.set.values.then_some(self.values),
        }
    }
}
