//! Rows that wait for their event time: whoever needs them in order gets each when the watermark says that no earlier one
//! will come. Rows of equal time come in the order of their splits and positions, so that the order does not depend on
//! which was faster.

mod wanted;

pub use wanted::Wanted;

use crate::checkpoint::{ANY_GROUP, Change, ChangeLog};
use crate::field::FieldSpec;
use crate::plugin::Needs;
use crate::{Batch, Error, Positions, Result};
use std::cmp::Ordering;
use std::sync::Arc;

/// The rows that wait on one worker.
#[derive(Debug, Default)]
pub struct Backlog {
    wanted: Wanted,
    held: Vec<Held>,
    /// About how many bytes their batches take.
    bytes: usize,
    /// How many batches were noted as changes.
    noted: u64,
}

/// The rows of one batch that still wait, in the order of their times.
#[derive(Debug)]
struct Held {
    batch: Arc<Batch>,
    rows: Vec<u32>,
    next: usize,
    /// Whether it was noted as a change.
    noted: bool,
    /// What is wanted of it and cannot be had: it came in before that was wanted.
    lacks: Vec<FieldSpec>,
}

/// Rows that need not wait any longer, in order.
#[derive(Debug)]
pub struct Released {
    /// The rows together. They have no lineage: they may come from many places.
    pub batch: Batch,
    /// For each row the batch and the row that it was.
    pub origins: Vec<(Arc<Batch>, u32)>,
}

impl Backlog {
    /// Nothing waits yet.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// About how many bytes of memory the rows take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes rows of a batch. They are copied: they may wait for rows that their source has yet to read, and must not hold
    /// its budget meanwhile.
    pub fn hold(&mut self, batch: &Batch, rows: &[u32]) {
        if rows.is_empty() {
            return;
        }
        self.push(batch.select(rows).detached(), false);
    }

    fn push(&mut self, batch: Batch, noted: bool) {
        let mut rows: Vec<u32> = (0..batch.len() as u32).collect();
        rows.sort_by_key(|&row| batch.times[row as usize]);
        self.bytes += batch.bytes();
        self.held.push(Held { batch: Arc::new(batch), rows, next: 0, noted, lacks: Vec::new() });
    }

    /// Notes the batches that wait and were not noted before. `stem` is a name that no other worker and no other run uses.
    /// An entry is a whole batch and its fields, by their specs; it expires when the watermark has passed its last row, and
    /// those of its rows that the watermark has passed are gone already. Nothing has to be noted when rows are released.
    pub fn changes(&mut self, stem: &str, log: &mut dyn ChangeLog) -> Result<()> {
        for held in self.held.iter_mut().filter(|held| !held.noted) {
            let name = |field: &FieldSpec| if held.lacks.contains(field) { String::new() } else { field.to_string() };
            let specs: Vec<String> = self.wanted.fields.iter().map(name).collect();
            let Some(last) = held.rows.last().map(|&row| held.batch.times[row as usize]) else { continue };
            let name = format!("{stem}/{:016x}", self.noted);
            let mut value = held.batch.encode()?;
            value
                .extend(serde_json::to_vec(&specs).map_err(|error| Error::internal(format!("write fields: {error}")))?);
            let expires = last.saturating_add(1);
            log.push(Change { group: ANY_GROUP, name: name.as_bytes(), expires, value: Some(&value) });
            self.noted += 1;
            held.noted = true;
        }
        Ok(())
    }

    /// Forgets what was noted: the next changes are everything, under other names. What was noted has to be dropped.
    pub fn note_again(&mut self) {
        self.held.iter_mut().for_each(|held| held.noted = false);
    }

    /// Takes the rows of a noted batch that are not before `watermark` and that `keep` wants, and tells how many those are.
    /// Other fields may be wanted now than then: they are decoded, and `admit` says which rows may wait on, if not all.
    pub fn load(
        &mut self,
        value: &[u8],
        watermark: i64,
        keep: impl Fn(&Batch, usize) -> bool,
        admit: impl FnOnce(&Batch) -> Option<Vec<u32>>,
    ) -> Result<usize> {
        let (batch, specs) = Batch::decode(value)?;
        let kept = |row: &u32| batch.times[*row as usize] >= watermark && keep(&batch, *row as usize);
        let rows: Vec<u32> = (0..batch.len() as u32).filter(kept).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let batch = self.wanted.fit(batch.select(&rows), specs)?;
        let batch = match admit(&batch) {
            Some(admitted) => batch.select(&admitted),
            None => batch,
        };
        if !batch.is_empty() {
            self.push(batch, true);
        }
        Ok(rows.len())
    }

    /// Other fields are wanted from now on, also of the rows that wait. Those that cannot be had of them are missing, which
    /// only [`Backlog::has`] tells.
    pub fn lay_out(&mut self, wanted: Wanted) {
        let before = std::mem::replace(&mut self.wanted, wanted);
        if before == self.wanted {
            return;
        }
        for held in &mut self.held {
            self.bytes -= held.batch.bytes();
            self.wanted.lay_out(&before, held);
            self.bytes += held.batch.bytes();
        }
    }

    /// Whether all rows that wait have what a plugin needs.
    pub fn has(&self, needs: &Needs) -> Result<()> {
        let lacking = |what: &str| {
            Err(Error::unavailable(format!("rows wait for their event time that were kept without {what}"))
                .hint("try again when the watermark has passed them"))
        };
        if needs.reads_values && self.held.iter().any(|held| held.batch.values.is_empty()) {
            return lacking("their values");
        }
        match self.held.iter().flat_map(|held| &held.lacks).find(|lacks| needs.fields.contains(lacks)) {
            Some(field) => lacking(&format!("the field `{field}`")),
            None => Ok(()),
        }
    }

    /// Lets only those rows wait on that `admit` names, if not all.
    pub fn admit(&mut self, mut admit: impl FnMut(&Batch) -> Option<Vec<u32>>) {
        for held in std::mem::take(&mut self.held) {
            self.bytes -= held.batch.bytes();
            let mut rows = held.rows[held.next..].to_vec();
            rows.sort_unstable();
            let batch = held.batch.select(&rows);
            let batch = match admit(&batch) {
                Some(admitted) => batch.select(&admitted),
                None => batch,
            };
            if !batch.is_empty() {
                self.push(batch, held.noted);
                self.held.last_mut().into_iter().for_each(|last| last.lacks.clone_from(&held.lacks));
            }
        }
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.held.iter().map(|held| held.rows.len() - held.next).sum()
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Lets go of all rows before `watermark`, in parts of about `size` rows; rows of equal time stay together.
    pub fn release(&mut self, watermark: i64, size: usize) -> Vec<Released> {
        let mut rows: Vec<(usize, u32)> = Vec::new();
        for (at, held) in self.held.iter_mut().enumerate() {
            let due = held.rows[held.next..].partition_point(|&row| held.batch.times[row as usize] < watermark);
            rows.extend(held.rows[held.next..held.next + due].iter().map(|&row| (at, row)));
            held.next += due;
        }
        rows.sort_by(|a, b| self.compare(*a, *b));
        let mut parts = Vec::new();
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let time = |(at, row): (usize, u32)| self.held[at].batch.times[row as usize];
            let last = time(rest[rest.len().min(size) - 1]);
            let (part, later) = rest.split_at(rest.partition_point(|&row| time(row) <= last));
            parts.push(self.gather(part));
            rest = later;
        }
        let bytes = &mut self.bytes;
        self.held.retain(|held| {
            let stays = held.next < held.rows.len();
            *bytes -= if stays { 0 } else { held.batch.bytes() };
            stays
        });
        parts
    }

    fn compare(&self, a: (usize, u32), b: (usize, u32)) -> Ordering {
        let (batch_a, batch_b) = (&self.held[a.0].batch, &self.held[b.0].batch);
        let (row_a, row_b) = (a.1 as usize, b.1 as usize);
        let by_time = batch_a.times[row_a].cmp(&batch_b.times[row_b]);
        by_time.then_with(|| match (&batch_a.lineage, &batch_b.lineage) {
            (Some(one), Some(other)) => one.split.cmp(&other.split).then_with(|| {
                match (&*one.positions, &*other.positions, one.record(row_a), other.record(row_b)) {
                    (Positions::Consecutive { first: a }, Positions::Consecutive { first: b }, row_a, row_b) => {
                        (a + row_a as u64).cmp(&(b + row_b as u64))
                    }
                    (Positions::Sequences(a), Positions::Sequences(b), row_a, row_b) => a[row_a].cmp(&b[row_b]),
                    // A shard may have Kinesis records in one chunk and user records in another.
                    (a, b, row_a, row_b) => a.get(row_a).cmp(&b.get(row_b)),
                }
                .then(row_a.cmp(&row_b))
            }),
            // Results of windows: their keys and values tell them apart.
            _ => (batch_a.key(row_a), value(batch_a, row_a)).cmp(&(batch_b.key(row_b), value(batch_b, row_b))),
        })
    }

    fn gather(&self, rows: &[(usize, u32)]) -> Released {
        let batches: Vec<&Batch> = self.held.iter().map(|held| &*held.batch).collect();
        let batch = Batch::gather(&batches, rows);
        Released { batch, origins: rows.iter().map(|&(at, row)| (self.held[at].batch.clone(), row)).collect() }
    }
}

fn value(batch: &Batch, row: usize) -> &[u8] {
    if batch.values.is_empty() { &[] } else { batch.values.get(row) }
}

#[cfg(test)]
mod tests;
