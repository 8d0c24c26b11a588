//! Plays rows and timers to a process in the order that the contract prescribes. Where they come from is not known here.

use super::{Context, Process};
use crate::emit::Writer;
use crate::{Columns, Failure, Fault, Key, Row, Time};
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// What the host keeps of a key, while a process works with it.
pub(super) struct Slot<S> {
    pub state: Option<S>,
    pub timers: BTreeSet<i64>,
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        Self { state: None, timers: BTreeSet::new() }
    }
}

/// Plays one call.
pub(super) struct Player<'a, P> {
    process: &'a P,
    rows: usize,
    watermark: Time,
    writer: Writer,
}

/// A key, and its number in the call.
#[derive(Clone, Copy)]
pub(super) struct NumberedKey<'a> {
    pub number: usize,
    pub key: Key<'a>,
}

impl<'a, P: Process> Player<'a, P> {
    /// A player for a call with `rows` rows.
    pub fn new(process: &'a P, rows: usize, watermark: Time) -> Self {
        Self { process, rows, watermark, writer: Writer::new::<P::Output>(rows) }
    }

    /// Plays row number `number`, unless it is refused.
    pub fn row(
        &mut self,
        slot: &mut Slot<P::State>,
        key: Key<'_>,
        number: usize,
        time: Time,
        row: Result<<P::Row as Row>::Of<'_>, Fault>,
    ) {
        self.writer.start_timed(number, time.0);
        match row.and_then(|row| self.process.check(&row, slot.state.as_ref()).map(|()| row)) {
            Ok(row) => {
                let process = self.process;
                process.row(&mut slot.state, row, &mut self.context(&mut slot.timers, key, time));
            }
            Err(Fault::Reject(reject)) => self.writer.refuse(number, reject),
            Err(Fault::Failure(failure)) => self.writer.fail(failure),
        }
    }

    /// Fires the timers of a key up to and including `until`, also those that are set meanwhile.
    pub fn fire(&mut self, slot: &mut Slot<P::State>, key: NumberedKey<'_>, until: Time) {
        while let Some(&at) = slot.timers.first()
            && at <= until.0
            && !self.has_failed()
        {
            slot.timers.pop_first();
            self.writer.start_timer(self.rows + key.number, at);
            let process = self.process;
            process.timer(&mut slot.state, &mut self.context(&mut slot.timers, key.key, Time(at)));
        }
    }

    fn context<'c>(&'c mut self, timers: &'c mut BTreeSet<i64>, key: Key<'c>, time: Time) -> Context<'c, P::Output> {
        Context { key, time, watermark: self.watermark, timers, writer: &mut self.writer, output: PhantomData }
    }

    pub fn has_failed(&self) -> bool {
        self.writer.has_failed()
    }

    /// What has been emitted and refused.
    pub fn finish(self) -> Result<Columns, Failure> {
        self.writer.finish(self.rows)
    }
}
