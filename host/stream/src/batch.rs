//! The rows that flow from step to step: columns of equal length. A batch is immutable once it is sent, and cheap to
//! share: values lie in the buffer that the source read.

use crate::{Binary, Column, Positions, SplitId};
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
}

impl Lineage {
    /// The record of the chunk that `row` came from.
    pub fn record(&self, row: usize) -> usize {
        self.records.as_ref().map_or(row, |records| records[row] as usize)
    }

    /// The chosen rows.
    pub fn select(&self, rows: &[u32]) -> Self {
        let records = match &self.records {
            Some(records) => rows.iter().map(|&row| records[row as usize]).collect(),
            None => rows.to_vec(),
        };
        Self { split: self.split.clone(), positions: self.positions.clone(), records: Some(records) }
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

/// Rows in columns. Every column that is there has `times.len()` rows.
#[derive(Debug, Clone, Default)]
pub struct Batch {
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

    /// The key of a row, if the batch is keyed.
    pub fn key(&self, row: usize) -> Option<&[u8]> {
        self.keys.as_ref().map(|keys| keys.get(row))
    }

    /// The chosen rows, in the order given, sharing bytes with this batch.
    pub fn select(&self, rows: &[u32]) -> Self {
        Self {
            times: rows.iter().map(|&row| self.times[row as usize]).collect(),
            keys: self.keys.as_ref().map(|keys| keys.select(rows)),
            values: self.values.select(rows),
            fields: self.fields.iter().map(|column| column.select(rows)).collect(),
            lineage: self.lineage.as_ref().map(|lineage| lineage.select(rows)),
            firings: self.firings.as_ref().map(|all| rows.iter().map(|&row| all[row as usize]).collect()),
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

    /// An id that a replay of the same input gives again, for sinks that overwrite by id. A window's result is
    /// identified by (step, window, key), so a late pane replaces the earlier one; a record by (split, position).
    /// `nth` tells rows of the same origin apart.
    pub fn row_id(&self, step: &str, row: usize, nth: usize) -> String {
        let mut text = match (&self.lineage, &self.firings) {
            (_, Some(firings)) => {
                let key = self.key(row).unwrap_or_default();
                let prefix = format!("{step}|{}|{}|", firings[row].start, firings[row].end);
                match std::str::from_utf8(key) {
                    Ok(key) => prefix + key,
                    Err(_) => format!("{prefix}{:032x}", xxh3_128(key)),
                }
            }
            (Some(lineage), None) => {
                format!("{step}|{}|{}", lineage.split, lineage.positions.text(lineage.record(row)))
            }
            (None, None) => format!("{step}|{:032x}", xxh3_128(self.values.get(row))),
        };
        if nth > 0 {
            text.push_str(&format!("|{nth}"));
        }
        // OpenSearch refuses ids above 512 bytes.
        if text.len() > 480 { format!("{:032x}", xxh3_128(text.as_bytes())) } else { text }
    }
}
