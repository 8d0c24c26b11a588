//! The rows that flow from step to step: columns of equal length. A batch is immutable once it is sent, and cheap to
//! share: values lie in the buffer that the source read.

mod stored;

use crate::{Binary, Cells, Column, Positions, SplitId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Where the rows of a batch came from.
#[derive(Debug, Clone)]
pub struct Lineage {
    /// The split that the records were read from.
    pub split: SplitId,
    /// The positions of the records of the chunk as it was read.
    pub positions: Arc<Positions>,
    /// For each row the record of the chunk that it came from; `None` while rows are the chunk's records, in order.
    pub records: Option<Vec<u32>>,
    /// For each row its record as it was read, if dead letters are kept.
    pub bytes: Option<Binary>,
}

impl Lineage {
    /// The record of the chunk that `row` came from.
    pub fn record(&self, row: usize) -> usize {
        self.records.as_ref().map_or(row, |records| records[row] as usize)
    }

    /// The record that `row` came from, as it was read.
    pub fn bytes(&self, row: usize) -> Option<&[u8]> {
        self.bytes.as_ref().map(|bytes| bytes.get(row))
    }

    /// The chosen rows.
    pub fn select(&self, rows: &[u32]) -> Self {
        Self { bytes: self.bytes.as_ref().map(|bytes| bytes.select(rows)), ..self.select_positions(rows) }
    }

    /// The chosen rows without their records.
    pub fn select_positions(&self, rows: &[u32]) -> Self {
        let records = match &self.records {
            Some(records) => rows.iter().map(|&row| records[row as usize]).collect(),
            None => rows.to_vec(),
        };
        Self { split: self.split.clone(), positions: self.positions.clone(), records: Some(records), bytes: None }
    }
}

/// Why a window fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pane {
    /// The watermark passed the end of the window.
    OnTime,
    /// A late row within the allowed lateness changed a window that had fired.
    Late,
}

/// The window that a result row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firing {
    /// First millisecond of the window.
    pub start: i64,
    /// First millisecond after the window.
    pub end: i64,
    /// Why it fired.
    pub pane: Pane,
}

/// Rows in columns. Every column that is there has `times.len()` rows; values are left out where nobody reads them.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The node of the job that made these rows.
    pub step: Arc<str>,
    /// Event times in milliseconds since 1970-01-01T00:00:00Z.
    pub times: Vec<i64>,
    /// Keys, once a transform has set them.
    pub keys: Option<Binary>,
    /// The records as bytes: what the source read, or what the last step that rewrites values returned.
    pub values: Binary,
    /// The fields that later steps asked for, in the order of the edge's field list.
    pub fields: Vec<Column>,
    /// Where the rows were read; `None` behind an aggregation.
    pub lineage: Option<Lineage>,
    /// The window of each row; only behind an aggregation.
    pub firings: Option<Vec<Firing>>,
    /// What tells the rows apart that are neither records of one split nor results of windows: those that have waited for
    /// their time, and those of timers.
    pub origins: Option<Vec<u128>>,
}

impl Batch {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// About how many bytes of memory it takes, if it shares them with nobody.
    pub fn bytes(&self) -> usize {
        let lineage = self.lineage.as_ref().and_then(|lineage| lineage.bytes.as_ref());
        let columns = [self.keys.as_ref(), Some(&self.values), lineage].into_iter().flatten();
        let strings: usize = columns.map(|column| column.total_bytes() + column.len() * size_of::<u64>()).sum();
        let origins = self.origins.as_ref().map_or(0, |origins| origins.len() * size_of::<u128>());
        // A cell of a field, or where its text lies, is a word.
        strings + origins + self.len() * (1 + self.fields.len()) * size_of::<u64>()
    }

    /// The key of a row, if the batch is keyed.
    pub fn key(&self, row: usize) -> Option<&[u8]> {
        self.keys.as_ref().map(|keys| keys.get(row))
    }

    /// The key by which each row is grouped: rows without keys form one group, whose key is empty.
    pub fn group_keys(&self) -> Binary {
        self.keys.clone().unwrap_or_else(|| std::iter::repeat_n(b"", self.len()).collect())
    }

    /// The chosen rows, in the order given, sharing bytes with this batch.
    pub fn select(&self, rows: &[u32]) -> Self {
        Self {
            step: self.step.clone(),
            times: rows.iter().map(|&row| self.times[row as usize]).collect(),
            keys: self.keys.as_ref().map(|keys| keys.select(rows)),
            values: if self.values.is_empty() { Binary::default() } else { self.values.select(rows) },
            fields: self.fields.iter().map(|column| column.select(rows)).collect(),
            lineage: self.lineage.as_ref().map(|lineage| lineage.select(rows)),
            firings: self.firings.as_ref().map(|all| rows.iter().map(|&row| all[row as usize]).collect()),
            origins: self.origins.as_ref().map(|all| rows.iter().map(|&row| all[row as usize]).collect()),
        }
    }

    /// The same rows in buffers of their own. What a source has read counts as in flight while anything shares its bytes;
    /// rows that have to wait for more to be read must not share them.
    pub fn detached(mut self) -> Self {
        self.values = self.values.detached();
        self.keys = self.keys.map(|keys| keys.detached());
        for column in &mut self.fields {
            if let Cells::Text(cells) = &mut column.cells {
                *cells = cells.detached();
            }
        }
        if let Some(lineage) = &mut self.lineage {
            lineage.bytes = lineage.bytes.as_ref().map(Binary::detached);
        }
        self
    }

    /// Rows of several batches with the same fields, in the order given as batch and row. The new batch has no lineage, but
    /// its rows keep what told them apart. Keys and values that some of the batches lack are empty there.
    pub fn gather(batches: &[&Self], rows: &[(usize, u32)]) -> Self {
        let Some(&(first, _)) = rows.first() else { return Self::default() };
        let first = batches[first];
        let column = |of: fn(&Self) -> Option<&Binary>| {
            let column = |&(at, row): &(usize, u32)| of(batches[at]).map_or(&[][..], |column| column.get(row as usize));
            let is_there = rows.iter().any(|&(at, _)| of(batches[at]).is_some());
            is_there.then(|| rows.iter().map(column).collect::<Binary>())
        };
        let mut bytes = Vec::new();
        Self {
            origins: Some(rows.iter().map(|&(at, row)| batches[at].origin(row as usize, &mut bytes)).collect()),
            step: first.step.clone(),
            times: rows.iter().map(|&(at, row)| batches[at].times[row as usize]).collect(),
            keys: column(|batch| batch.keys.as_ref()),
            values: column(|batch| Some(&batch.values).filter(|values| !values.is_empty())).unwrap_or_default(),
            fields: (0..first.fields.len())
                .map(|field| Column::gather(&|at| &batches[at].fields[field], rows))
                .collect(),
            lineage: None,
            firings: None,
        }
    }

    /// Where a row came from, for people: `trips/shardId-000000000000 record 4959…`, or its window.
    pub fn describe_row(&self, row: usize) -> String {
        match (&self.lineage, &self.firings) {
            (Some(lineage), _) => {
                format!("{} record {}", lineage.split, lineage.positions.text(lineage.record(row)))
            }
            (None, Some(firings)) => format!("window {}..{}", firings[row].start, firings[row].end),
            (None, None) => format!("row {row}"),
        }
    }

    /// Ids that a replay of the same input gives again, for sinks that overwrite by id. A window's result is identified
    /// by (step, window, key), so a late pane replaces the earlier one; a record by (step, split, position), and by its key
    /// if it has one: rows of one record that have different keys are on different workers. Rows of one origin come in one
    /// batch and are numbered.
    pub fn row_ids(&self) -> Vec<String> {
        let mut seen = HashMap::with_capacity(self.len());
        let numbered = (0..self.len()).map(|row| {
            let origin = self.origin_id(row);
            let nth = seen.entry(xxh3_128(origin.as_bytes())).and_modify(|nth| *nth += 1).or_insert(0);
            let id = if *nth == 0 { origin } else { format!("{origin}|{nth}") };
            // OpenSearch refuses ids above 512 bytes.
            if id.len() > 480 { format!("{:032x}", xxh3_128(id.as_bytes())) } else { id }
        });
        numbered.collect()
    }

    fn origin_id(&self, row: usize) -> String {
        let step = &self.step;
        match (&self.lineage, &self.firings, &self.origins) {
            (_, Some(firings), _) => {
                let Firing { start, end, .. } = firings[row];
                format!("{step}|{start}|{end}|{}", key_text(self.key(row).unwrap_or_default()))
            }
            (_, None, Some(origins)) => format!("{step}|{}|{:032x}", self.times[row], origins[row]),
            (Some(lineage), None, None) => {
                let record = format!("{step}|{}|{}", lineage.split, lineage.positions.text(lineage.record(row)));
                self.key(row).map_or(record.clone(), |key| format!("{record}|{}", key_text(key)))
            }
            (None, None, None) => format!("{step}|{:032x}", xxh3_128(self.values.get(row))),
        }
    }

    /// What tells a row apart once it has left its batch. `bytes` is scratch space.
    fn origin(&self, row: usize, bytes: &mut Vec<u8>) -> u128 {
        bytes.clear();
        let mut text = |text: &[u8]| {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text);
        };
        text(self.step.as_bytes());
        text(self.key(row).unwrap_or_default());
        text(&self.times[row].to_le_bytes());
        match (&self.lineage, &self.firings, &self.origins) {
            (_, Some(firings), _) => {
                text(&firings[row].start.to_le_bytes());
                text(&firings[row].end.to_le_bytes());
            }
            (_, None, Some(origins)) => text(&origins[row].to_le_bytes()),
            (Some(lineage), None, None) => {
                text(lineage.split.as_str().as_bytes());
                match (&*lineage.positions, lineage.record(row)) {
                    (Positions::Consecutive { first }, record) => text(&(first + record as u64).to_le_bytes()),
                    (Positions::Sequences(all), record) => {
                        all[record].limbs().iter().for_each(|limb| text(&limb.to_le_bytes()));
                    }
                    (Positions::Extended(all), record) => {
                        all[record].sequence.limbs().iter().for_each(|limb| text(&limb.to_le_bytes()));
                        all[record].sub.iter().for_each(|sub| text(&sub.to_le_bytes()));
                    }
                }
            }
            (None, None, None) if self.values.is_empty() => {}
            (None, None, None) => text(self.values.get(row)),
        }
        xxh3_128(bytes)
    }

    /// What tells the rows apart that a timer of a key has emitted, at a time.
    pub fn timer_origin(key: &[u8], time: i64) -> u128 {
        xxh3_128(&[b"timer", &time.to_le_bytes()[..], key].concat())
    }
}

/// A key as a part of an id.
fn key_text(key: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(key).map_or_else(|_| format!("{:032x}", xxh3_128(key)).into(), Cow::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExtendedSequence;
    use std::collections::HashSet;

    /// A batch without keys → its rows are one group; with keys each row has its own.
    #[test]
    fn rows_without_keys_are_one_group() {
        let mut batch = Batch { times: vec![0; 2], ..Batch::default() };
        assert_eq!(batch.group_keys(), ["", ""].into_iter().collect());
        batch.keys = Some(["a", "b"].into_iter().collect());
        assert_eq!(batch.group_keys(), ["a", "b"].into_iter().collect());
    }

    /// Two results of one window and key get different ids, a correction of the window gets the same ones again.
    #[test]
    fn window_ids_are_stable_and_unique() {
        let batch = |pane| Batch {
            step: "count".into(),
            times: vec![9; 3],
            keys: Some(["a", "a", "b"].into_iter().collect()),
            values: ["1", "2", "3"].into_iter().collect(),
            firings: Some(vec![Firing { start: 0, end: 10, pane }; 3]),
            ..Batch::default()
        };
        let ids = batch(Pane::OnTime).row_ids();
        assert_eq!(ids, ["count|0|10|a", "count|0|10|a|1", "count|0|10|b"]);
        assert_eq!(batch(Pane::Late).row_ids(), ids);
    }

    /// A record's id names its split and position, whatever was filtered before it.
    #[test]
    fn record_ids_survive_a_selection() {
        let lineage = Lineage {
            split: SplitId::new("trips", 3),
            positions: Arc::new(Positions::Consecutive { first: 100 }),
            records: None,
            bytes: None,
        };
        let batch = Batch {
            step: "trips".into(),
            times: vec![0; 4],
            values: ["w", "x", "y", "z"].into_iter().collect(),
            lineage: Some(lineage),
            ..Batch::default()
        };
        assert_eq!(batch.select(&[1, 3]).select(&[1]).row_ids(), ["trips|trips/3|103"]);
    }

    /// Rows of Kinesis records and of the user records in one → each has its own id, also when it has waited; those of
    /// Kinesis records are the same whether user records stand beside them or not.
    #[test]
    fn user_records_have_ids_of_their_own() {
        let batch = |positions: Positions, rows: usize| Batch {
            step: "trips".into(),
            times: vec![5; rows],
            lineage: Some(Lineage {
                split: SplitId::new("trips", 0),
                positions: Arc::new(positions),
                records: None,
                bytes: None,
            }),
            ..Batch::default()
        };
        let place = |text: &str| ExtendedSequence::parse(text).expect(text);
        let mixed = batch(Positions::Extended(["7", "8:0", "8:1", "8:10", "9"].map(place).to_vec()), 5);
        let plain = batch(Positions::Sequences(vec![place("7").sequence, place("9").sequence]), 2);
        let expected =
            ["trips|trips/0|7", "trips|trips/0|8:0", "trips|trips/0|8:1", "trips|trips/0|8:10", "trips|trips/0|9"];
        assert_eq!(mixed.row_ids(), expected);
        assert_eq!(plain.row_ids(), [expected[0], expected[4]]);
        let waited = |batch: &Batch, rows: &[u32]| {
            Batch::gather(&[batch], &rows.iter().map(|&row| (0, row)).collect::<Vec<_>>()).row_ids()
        };
        let ids = waited(&mixed, &[0, 1, 2, 3, 4]);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 5, "{ids:?}");
        (0..5)
            .for_each(|row| assert_eq!(waited(&mixed, &[row]), [ids[row as usize].clone()], "whoever it waited with"));
        assert_eq!(waited(&plain, &[0, 1]), [ids[0].clone(), ids[4].clone()]);
    }

    /// Rows of one key and time that other keys stand between, as they come when they have waited → each has its own id,
    /// and the same one whichever rows of other keys it is released with.
    #[test]
    fn released_rows_are_told_apart() {
        let lineage = |part: u32| Lineage {
            split: SplitId::new("trips", part),
            positions: Arc::new(Positions::Consecutive { first: 7 }),
            records: None,
            bytes: None,
        };
        let batch = |part: u32, keys: [&str; 2]| Batch {
            step: "trips".into(),
            times: vec![5; 2],
            keys: Some(keys.into_iter().collect()),
            lineage: Some(lineage(part)),
            ..Batch::default()
        };
        let (one, other) = (batch(0, ["a", "b"]), batch(1, ["a", "b"]));
        let ids = Batch::gather(&[&one, &other], &[(0, 0), (0, 1), (1, 0), (1, 1)]).row_ids();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4, "{ids:?}");
        let of_a = Batch::gather(&[&one, &other], &[(0, 0), (1, 0)]).row_ids();
        assert_eq!(of_a, [ids[0].clone(), ids[2].clone()]);
        // Two rows of one record, key and time.
        let twice = Batch::gather(&[&one], &[(0, 0), (0, 1), (0, 0)]).row_ids();
        assert_eq!((twice[0].clone(), twice[2].clone()), (ids[0].clone(), format!("{}|1", ids[0])));
        // They may get other keys later, and another row may have those.
        let rekeyed = |batch: Batch| Batch { keys: Some(["x"; 2].into_iter().collect()), ..batch }.row_ids();
        let [of_a, of_b] = [[(0, 0), (1, 0)], [(0, 1), (1, 1)]].map(|rows| Batch::gather(&[&one, &other], &rows));
        assert!(rekeyed(of_a).iter().all(|id| !rekeyed(of_b.clone()).contains(id)));
    }

    /// Rows of one record with different keys, which are on different workers behind a step with state → different ids.
    #[test]
    fn rows_of_a_record_are_told_apart_by_key() {
        let lineage = Lineage {
            split: SplitId::new("trips", 0),
            positions: Arc::new(Positions::Consecutive { first: 7 }),
            records: Some(vec![0, 0, 0]),
            bytes: None,
        };
        let batch = Batch {
            step: "zones".into(),
            times: vec![5; 3],
            keys: Some(["a", "b", "a"].into_iter().collect()),
            lineage: Some(lineage),
            ..Batch::default()
        };
        assert_eq!(batch.row_ids(), ["zones|trips/0|7|a", "zones|trips/0|7|b", "zones|trips/0|7|a|1"]);
        assert_eq!(batch.select(&[1]).row_ids(), ["zones|trips/0|7|b"]);
    }
}
