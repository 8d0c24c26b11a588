//! What a process can see and do besides its state.

use crate::emit::Writer;
use crate::{Failure, Key, Output, Time};
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// The key of a row or timer, its time, the key's timers, and the way out. `O` is what the process emits.
pub struct Context<'a, O> {
    pub(super) key: Key<'a>,
    pub(super) time: Time,
    pub(super) watermark: Time,
    pub(super) timers: &'a mut BTreeSet<i64>,
    pub(super) writer: &'a mut Writer,
    pub(super) output: PhantomData<fn(O)>,
}

impl<'a, O: Output> Context<'a, O> {
    /// The key.
    pub fn key(&self) -> Key<'a> {
        self.key
    }

    /// The event time of the row, or the time of the timer.
    pub fn time(&self) -> Time {
        self.time
    }

    /// No row earlier than this is expected any more. How far it has come when a row is processed depends on how rows are
    /// cut into calls: let no result depend on it.
    pub fn watermark(&self) -> Time {
        self.watermark
    }

    /// Sends a row on. Unless it says otherwise it has the key and the time of the row or timer.
    #[inline]
    pub fn emit(&mut self, output: O) {
        output.write(self.writer);
    }

    /// Sets a timer of this key. Setting it twice is setting it once. One that is due already fires before the key's next
    /// row, or at the end of the call: a timer that always sets itself again for such a time never comes to an end.
    pub fn set_timer(&mut self, at: Time) {
        self.timers.insert(at.0);
    }

    /// Deletes a timer of this key. Nothing happens if there is none.
    pub fn delete_timer(&mut self, at: Time) {
        self.timers.remove(&at.0);
    }

    /// The pending timers of this key, by time.
    pub fn timers(&self) -> impl Iterator<Item = Time> {
        self.timers.iter().copied().map(Time)
    }

    /// Makes the whole call fail when this row or timer is done with. Refuse single rows in
    /// [`check`](crate::Process::check).
    pub fn fail(&mut self, failure: Failure) {
        self.writer.fail(failure);
    }
}
