//! Collects what a transform returns for the rows of a batch into columns.

use super::part::{KeyPart, Part, TimePart, ValuePart};
use super::{Emit, Set};
use crate::{Binary, Columns, Reject};

/// Collects the outputs of a batch.
#[doc(hidden)]
pub struct Writer {
    row: u32,
    origins: Vec<u32>,
    times: Vec<i64>,
    keys: Binary,
    values: Binary,
    rejects: Vec<Reject>,
}

impl Writer {
    /// A writer for `rows` input rows whose outputs set these columns.
    pub fn new(rows: usize, columns: Set) -> Self {
        let room = |set: bool| if set { rows } else { 0 };
        Self {
            row: 0,
            origins: Vec::with_capacity(rows),
            times: Vec::with_capacity(room(columns.times)),
            keys: Binary::with_capacity(room(columns.keys), room(columns.keys) * 16),
            values: Binary::with_capacity(room(columns.values), 0),
            rejects: Vec::new(),
        }
    }

    /// What is written from now on comes from input row `row`.
    #[inline]
    pub fn start(&mut self, row: usize) {
        self.row = row as u32;
    }

    /// Refuses the current row, and takes back what it has emitted.
    pub fn reject(&mut self, reject: Reject) {
        if self.rejects.last().is_some_and(|last| last.row == self.row) {
            return;
        }
        while self.origins.last() == Some(&self.row) {
            self.origins.pop();
        }
        let rows = self.origins.len();
        self.times.truncate(rows);
        self.keys.truncate(rows);
        self.values.truncate(rows);
        self.rejects.push(Reject { row: self.row, reason: reject.reason });
    }

    #[inline]
    pub fn emit<K: Part<KeyPart>, T: TimePart, V: Part<ValuePart>>(&mut self, emit: &Emit<K, T, V>) {
        if self.rejects.last().is_some_and(|last| last.row == self.row) {
            return;
        }
        if K::SET {
            // Keys do not fail to be written.
            let _ = emit.key.write(&mut self.keys.bytes);
            self.keys.close();
        }
        if T::SET {
            self.times.push(emit.time.millis());
        }
        let written = emit.value.write(&mut self.values.bytes);
        if V::SET {
            self.values.close();
        }
        self.origins.push(self.row);
        if let Err(reject) = written {
            self.reject(reject);
        }
    }

    /// The columns for the host.
    pub fn finish(self, rows: usize, columns: Set) -> Columns {
        let whole = self.origins.len() == rows && self.origins.iter().enumerate().all(|(at, &row)| at as u32 == row);
        Columns {
            origins: (!whole).then_some(self.origins),
            times: columns.times.then_some(self.times),
            keys: columns.keys.then_some(self.keys),
            values: columns.values.then_some(self.values),
            rejects: self.rejects,
        }
    }
}
