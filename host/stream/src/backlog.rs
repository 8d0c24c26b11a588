//! Rows that wait for their event time: whoever needs them in order gets each when the watermark says that no earlier one
//! will come. Rows of equal time come in the order of their splits and positions, so that the order does not depend on
//! which was faster.

use crate::checkpoint::{ANY_GROUP, Change, ChangeLog};
use crate::field::{Decoder, FieldSpec};
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

/// What rows are held for: the fields and, if somebody reads them, the values. The fields of a batch stand in this order.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Wanted {
    /// The fields.
    pub fields: Vec<FieldSpec>,
    /// Whether the values are read.
    pub values: bool,
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

    /// Forgets what was noted: the next changes are everything.
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
        let batch = self.fit(batch.select(&rows), specs)?;
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
            let mut batch = Batch::clone(&held.batch);
            let mut lacks = Vec::new();
            let column = |field: &FieldSpec| {
                let known =
                    before.fields.iter().position(|known| known == field).filter(|_| !held.lacks.contains(field));
                if let Some(column) = known.and_then(|at| batch.fields.get(at)) {
                    return vec![column.clone()];
                }
                let mut decoder = Decoder::new(std::slice::from_ref(field));
                if !batch.values.is_empty() {
                    return decoder.decode(&batch.values);
                }
                lacks.push(field.clone());
                decoder.decode(&std::iter::repeat_n("", batch.len()).collect())
            };
            let fields = self.wanted.fields.iter().flat_map(column).collect();
            batch.fields = fields;
            if !self.wanted.values {
                batch.values = Default::default();
            }
            self.bytes = self.bytes + batch.bytes() - held.batch.bytes();
            (held.batch, held.lacks) = (Arc::new(batch), lacks);
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

    /// Gives a batch the columns that are wanted now. `specs`: its fields as they were noted; nothing in the checkpoints of
    /// the first version, which could not be gone on from with other fields.
    fn fit(&self, mut batch: Batch, specs: &[u8]) -> Result<Batch> {
        let unfit = |what: &str| {
            Error::invalid(format!("rows that wait for their event time were kept without {what}, which is wanted now"))
                .hint("go on with the plugins as they were until these rows are through, or start with --fresh")
        };
        if self.wanted.values && batch.values.is_empty() {
            return Err(unfit("their values"));
        }
        let specs: Vec<String> = match specs {
            [] => self.wanted.fields.iter().map(FieldSpec::to_string).collect(),
            specs => serde_json::from_slice(specs).unwrap_or_default(),
        };
        let mut fields = Vec::with_capacity(self.wanted.fields.len());
        for wanted in &self.wanted.fields {
            let name = wanted.to_string();
            let known = specs.iter().position(|spec| *spec == name).and_then(|at| batch.fields.get(at)).cloned();
            fields.extend(match known {
                Some(column) => vec![column],
                None if batch.values.is_empty() => return Err(unfit(&format!("the field `{name}`"))),
                None => Decoder::new(std::slice::from_ref(wanted)).decode(&batch.values),
            });
        }
        batch.fields = fields;
        if !self.wanted.values {
            batch.values = Default::default();
        }
        Ok(batch)
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
mod tests {
    use super::*;
    use crate::checkpoint::Changes;
    use crate::{Binary, ExtendedSequence, Lineage, SplitId};
    use proptest::prelude::*;

    fn batch(split: u32, first: u64, times: &[i64]) -> Batch {
        let lineage = Lineage {
            split: SplitId::new("s", split),
            positions: Arc::new(Positions::Consecutive { first }),
            records: None,
            bytes: None,
        };
        let values: Binary = (0..times.len()).map(|row| format!("{split}/{}", first + row as u64)).collect();
        Batch { times: times.to_vec(), values, lineage: Some(lineage), ..Batch::default() }
    }

    proptest! {
        /// Rows of two splits in any batches and any arrival → released in the order of time, split and position, each
        /// once, none early, whatever the steps of the watermark and the size of parts.
        #[test]
        fn rows_come_in_order(
            times in proptest::collection::vec(proptest::collection::vec(0i64..50, 0..40), 2),
            cut in 1usize..7,
            swap: bool,
            crash: bool,
            steps in proptest::collection::vec(0i64..60, 0..5),
            size in 1usize..10,
        ) {
            let mut expected = Vec::new();
            let mut arriving = Vec::new();
            for (split, times) in (0u32..).zip(&times) {
                for (at, part) in times.chunks(cut).enumerate() {
                    arriving.push(batch(split, (at * cut) as u64, part));
                }
                expected.extend(times.iter().enumerate().map(|(at, time)| (*time, split, at)));
            }
            if swap {
                arriving.reverse();
            }
            expected.sort_unstable();
            let mut backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
            for batch in arriving {
                let rows: Vec<u32> = (0..batch.len() as u32).collect();
                backlog.hold(&batch, &rows);
            }
            let mut found = Vec::new();
            let (mut watermark, mut released) = (0, i64::MIN);
            let mut log = Changes::default();
            for step in steps.into_iter().chain([i64::MAX]) {
                watermark = step.max(watermark);
                if crash {
                    // Two workers take over, each with the rows of one parity of times.
                    backlog.changes(&format!("{}", found.len()), &mut log).expect("plain data");
                    backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
                    for parity in [0, 1] {
                        for change in log.iter() {
                            let value = change.value.expect("nothing is removed");
                            let keep = |batch: &Batch, row: usize| batch.times[row].rem_euclid(2) == parity;
                            backlog.load(value, released, keep, |_| None).expect("it was noted");
                        }
                    }
                    released = watermark;
                }
                for part in backlog.release(watermark, size) {
                    prop_assert!(part.batch.times.iter().all(|time| *time < watermark));
                    prop_assert_eq!(part.batch.len(), part.origins.len());
                    for (row, (origin, at)) in part.origins.iter().enumerate() {
                        prop_assert_eq!(part.batch.values.get(row), origin.values.get(*at as usize));
                    }
                    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                    found.extend(part.batch.times.iter().copied().zip(part.batch.values.iter().map(text)));
                }
            }
            prop_assert!(backlog.is_empty());
            let expected: Vec<_> = expected.iter().map(|(time, split, at)| (*time, format!("{split}/{at}"))).collect();
            // Rows of one time are in one part only if that part began with them; the order is the same either way.
            prop_assert_eq!(found, expected);
        }
    }

    /// Rows of one time, some of them Kinesis records and some user records in one, in whatever order they are held → released
    /// in the order of the shard.
    #[test]
    fn user_records_and_others_come_in_order() {
        let place = |text: &str| ExtendedSequence::parse(text).expect(text);
        let batch = |positions: Positions, values: &[&str]| Batch {
            times: vec![5; values.len()],
            values: values.iter().collect(),
            lineage: Some(Lineage {
                split: SplitId::new("s", 0),
                positions: Arc::new(positions),
                records: None,
                bytes: None,
            }),
            ..Batch::default()
        };
        let packed = batch(Positions::Extended(["8:9", "8:10"].map(place).to_vec()), &["b", "c"]);
        let others = batch(Positions::Sequences(["7", "10"].map(|text| place(text).sequence).to_vec()), &["a", "d"]);
        for batches in [[&packed, &others], [&others, &packed]] {
            let mut backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
            batches.into_iter().for_each(|batch| backlog.hold(batch, &[0, 1]));
            let released = backlog.release(6, 10);
            assert_eq!(released[0].batch.values, ["a", "b", "c", "d"].into_iter().collect());
        }
    }

    /// Rows kept for one set of fields, gone on with for another → fields are found by their specs or decoded from the values,
    /// rows without them are handed out, and what cannot be had any more is an error that names it.
    #[test]
    fn other_fields_are_wanted() {
        let spec = |text: &str| text.parse::<FieldSpec>().expect("a field");
        let values: Binary = ["{\"a\":1,\"b\":2}", "{\"a\":3}"].into_iter().collect();
        let before = [spec("/a: s64"), spec("/c: s64?")];
        let noted = |values: Binary, wanted: Wanted| {
            let fields = Decoder::new(&before).decode(&["{\"a\":1}", "{\"a\":3}"].into_iter().collect());
            let mut backlog = Backlog::new(wanted);
            backlog.hold(&Batch { times: vec![5, 6], values, fields, ..Batch::default() }, &[0, 1]);
            let mut log = Changes::default();
            backlog.changes("w", &mut log).expect("plain data");
            log
        };
        let load = |log: &Changes, wanted: Wanted| {
            let mut backlog = Backlog::new(wanted);
            for change in log.iter() {
                let value = change.value.expect("it is there");
                let admit = |batch: &Batch| {
                    let fields = backlog_fields(batch);
                    (fields > 1).then(|| vec![0])
                };
                assert_eq!(backlog.load(value, i64::MIN, |_, _| true, admit)?, 2);
            }
            Ok::<_, Error>(backlog.release(i64::MAX, 10))
        };
        fn backlog_fields(batch: &Batch) -> usize {
            batch.fields.len()
        }
        let with_values = noted(values, Wanted { fields: before.to_vec(), values: true });
        let wanted = Wanted { fields: vec![spec("/b: s64"), spec("/a: s64")], values: false };
        let released = load(&with_values, wanted).expect("b is decoded, a is known");
        let batch = &released[0].batch;
        assert_eq!((batch.len(), batch.values.len()), (1, 0), "one row was handed out, and nobody reads values");
        let cells: Vec<_> = batch.fields.iter().map(|column| column.cells.clone()).collect();
        assert_eq!(cells, [crate::Cells::Int(vec![2]), crate::Cells::Int(vec![1])]);

        let without = noted(Binary::default(), Wanted { fields: before.to_vec(), values: false });
        let error = |wanted: Wanted| load(&without, wanted).expect_err("it is gone").to_string();
        assert!(error(Wanted { fields: vec![spec("/b: s64")], values: false }).contains("the field `/b: s64`"));
        assert!(error(Wanted { fields: Vec::new(), values: true }).contains("their values"));
        assert_eq!(load(&without, Wanted { fields: vec![spec("/a: s64")], values: false }).expect("known").len(), 1);
    }

    /// Rows with and without keys, with and without values, that are released together → each keeps its own.
    #[test]
    fn columns_that_some_lack() {
        let mut backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
        let keys = Some(["k"].into_iter().collect());
        backlog.hold(&Batch { times: vec![1], values: ["v"].into_iter().collect(), ..Batch::default() }, &[0]);
        backlog.hold(&Batch { times: vec![2], keys, ..Batch::default() }, &[0]);
        let bytes = backlog.bytes();
        let released = backlog.release(3, 10);
        let batch = &released[0].batch;
        assert_eq!((batch.key(0), batch.key(1)), (Some(&b""[..]), Some(&b"k"[..])));
        assert_eq!((batch.values.get(0), batch.values.get(1)), (&b"v"[..], &b""[..]));
        assert!(bytes > 0 && backlog.bytes() == 0);
    }
}
