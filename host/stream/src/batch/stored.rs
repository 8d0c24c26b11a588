//! Batches as bytes, for rows that have to survive a crash while they wait. The layout is postcard's, of the structures in
//! this file: they are part of the format of checkpoints.

use super::{Batch, Firing, Lineage, Pane};
use crate::position::{ExtendedSequence, Sequence};
use crate::{Binary, Cells, Column, Error, ErrorKind, Fault, FaultKind, Positions, Result, SplitId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct Stored {
    step: String,
    times: Vec<i64>,
    keys: Option<Strings>,
    /// `None` where nobody reads the values.
    values: Option<Strings>,
    fields: Vec<(StoredCells, Vec<(u32, u8)>)>,
    lineage: Option<StoredLineage>,
    firings: Option<Vec<(i64, i64, bool)>>,
}

/// A column of byte strings: the bytes of all, and where each ends.
#[derive(Serialize, Deserialize)]
struct Strings {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
enum StoredCells {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Strings),
}

#[derive(Serialize, Deserialize)]
struct StoredLineage {
    split: String,
    /// One per row.
    positions: StoredPositions,
    bytes: Option<Strings>,
}

#[derive(Serialize, Deserialize)]
enum StoredPositions {
    Numbers(Vec<u64>),
    Sequences(Vec<[u64; 3]>),
    /// Of rows without lineage: what tells them apart.
    Origins(Vec<u128>),
    /// Since format 2: sequence numbers and sub-sequence numbers.
    Extended(Vec<([u64; 3], Option<u32>)>),
}

const FAULTS: [FaultKind; 3] = [FaultKind::Missing, FaultKind::WrongType, FaultKind::Malformed];

impl Batch {
    /// As bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let stored = Stored {
            step: self.step.to_string(),
            times: self.times.clone(),
            keys: self.keys.as_ref().map(strings),
            values: (!self.values.is_empty()).then(|| strings(&self.values)),
            fields: self.fields.iter().map(column).collect(),
            lineage: match (&self.lineage, &self.origins) {
                (Some(lineage), _) => Some(stored_lineage(lineage, self.len())),
                (None, Some(origins)) => Some(StoredLineage {
                    split: String::new(),
                    positions: StoredPositions::Origins(origins.clone()),
                    bytes: None,
                }),
                (None, None) => None,
            },
            firings: self
                .firings
                .as_ref()
                .map(|all| all.iter().map(|firing| (firing.start, firing.end, firing.pane == Pane::Late)).collect()),
        };
        postcard::to_allocvec(&stored).map_err(|error| Error::internal(format!("write a batch: {error}")))
    }

    /// From the first of these bytes; the others are returned.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "a stored batch cannot be read");
        let read = postcard::take_from_bytes::<Stored>(bytes);
        let (stored, rest) = read.map_err(|error| corrupt().with_source(error))?;
        let rows = stored.times.len();
        let batch = stored.read().filter(|batch| batch.has_rows(rows)).ok_or_else(corrupt)?;
        Ok((batch, rest))
    }

    /// Whether every column has this many rows.
    fn has_rows(&self, rows: usize) -> bool {
        let lineage = self.lineage.as_ref();
        self.keys.as_ref().is_none_or(|keys| keys.len() == rows)
            && (self.values.is_empty() || self.values.len() == rows)
            && self.fields.iter().all(|field| field.len() == rows)
            && self.firings.as_ref().is_none_or(|firings| firings.len() == rows)
            && self.origins.as_ref().is_none_or(|origins| origins.len() == rows)
            && lineage.and_then(|lineage| lineage.bytes.as_ref()).is_none_or(|bytes| bytes.len() == rows)
    }
}

impl Stored {
    fn read(self) -> Option<Batch> {
        let rows = self.times.len();
        let fields: Option<Vec<Column>> = self.fields.into_iter().map(|field| read_column(field, rows)).collect();
        let (lineage, origins) = match self.lineage {
            Some(StoredLineage { positions: StoredPositions::Origins(origins), .. }) => (None, Some(origins)),
            Some(lineage) => (Some(lineage.read(rows)?), None),
            None => (None, None),
        };
        let firings = self.firings.map(|all| {
            let pane = |late| if late { Pane::Late } else { Pane::OnTime };
            all.into_iter().map(|(start, end, late)| Firing { start, end, pane: pane(late) }).collect()
        });
        Some(Batch {
            step: self.step.into(),
            times: self.times,
            keys: read_optional(self.keys)?,
            values: read_optional(self.values)?.unwrap_or_default(),
            fields: fields?,
            lineage,
            firings,
            origins,
        })
    }
}

impl StoredLineage {
    fn read(self, rows: usize) -> Option<Lineage> {
        let (positions, records) = match self.positions {
            StoredPositions::Numbers(numbers) if numbers.len() == rows => {
                // Rows that wait together come from one chunk, whose records are numbered on.
                let first = numbers.iter().copied().min().unwrap_or_default();
                let records: Option<Vec<u32>> =
                    numbers.iter().map(|number| u32::try_from(number - first).ok()).collect();
                (Positions::Consecutive { first }, records?)
            }
            StoredPositions::Sequences(all) if all.len() == rows => {
                let all = all.into_iter().map(Sequence::from_limbs).collect();
                (Positions::Sequences(all), (0..rows as u32).collect())
            }
            StoredPositions::Extended(all) if all.len() == rows => {
                let place = |(limbs, sub)| ExtendedSequence { sequence: Sequence::from_limbs(limbs), sub };
                (Positions::Extended(all.into_iter().map(place).collect()), (0..rows as u32).collect())
            }
            _ => return None,
        };
        let (source, part) = self.split.split_once('/')?;
        let split = SplitId::new(source, part);
        let bytes = read_optional(self.bytes)?;
        Some(Lineage { split, positions: Arc::new(positions), records: Some(records), bytes })
    }
}

fn stored_lineage(lineage: &Lineage, rows: usize) -> StoredLineage {
    let records = (0..rows).map(|row| lineage.record(row));
    let positions = match &*lineage.positions {
        Positions::Consecutive { first } => StoredPositions::Numbers(records.map(|at| first + at as u64).collect()),
        Positions::Sequences(all) => StoredPositions::Sequences(records.map(|at| all[at].limbs()).collect()),
        Positions::Extended(all) => {
            StoredPositions::Extended(records.map(|at| (all[at].sequence.limbs(), all[at].sub)).collect())
        }
    };
    StoredLineage { split: lineage.split.to_string(), positions, bytes: lineage.bytes.as_ref().map(strings) }
}

fn strings(column: &Binary) -> Strings {
    let (mut bytes, mut ends) = (Vec::with_capacity(column.total_bytes()), Vec::with_capacity(column.len()));
    for item in column.iter() {
        bytes.extend_from_slice(item);
        ends.push(bytes.len() as u32);
    }
    Strings { bytes, ends }
}

fn read_strings(strings: Strings) -> Option<Binary> {
    Binary::from_ends(strings.bytes, &strings.ends).ok()
}

/// `None` if it is there and damaged.
fn read_optional(strings: Option<Strings>) -> Option<Option<Binary>> {
    match strings {
        Some(strings) => read_strings(strings).map(Some),
        None => Some(None),
    }
}

fn column(column: &Column) -> (StoredCells, Vec<(u32, u8)>) {
    let cells = match &column.cells {
        Cells::Bool(cells) => StoredCells::Bool(cells.clone()),
        Cells::Int(cells) => StoredCells::Int(cells.clone()),
        Cells::Float(cells) => StoredCells::Float(cells.clone()),
        Cells::Text(cells) => StoredCells::Text(strings(cells)),
    };
    let kind = |kind| FAULTS.iter().position(|known| *known == kind).unwrap_or_default() as u8;
    (cells, column.faults.iter().map(|fault| (fault.row, kind(fault.kind))).collect())
}

fn read_column((cells, faults): (StoredCells, Vec<(u32, u8)>), rows: usize) -> Option<Column> {
    let cells = match cells {
        StoredCells::Bool(cells) => Cells::Bool(cells),
        StoredCells::Int(cells) => Cells::Int(cells),
        StoredCells::Float(cells) => Cells::Float(cells),
        StoredCells::Text(cells) => {
            let cells = read_strings(cells)?;
            // Text promises UTF-8 to whoever reads it.
            let is_text = cells.iter().all(|cell| std::str::from_utf8(cell).is_ok());
            is_text.then_some(Cells::Text(cells))?
        }
    };
    let fault = |(row, kind): (u32, u8)| {
        let kind = *FAULTS.get(kind as usize)?;
        ((row as usize) < rows).then_some(Fault { row, kind })
    };
    Some(Column { cells, faults: faults.into_iter().map(fault).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(".{0,5}", 4)
    }

    fn batches() -> impl Strategy<Value = Batch> {
        let positions = prop_oneof![
            (0u64..1 << 40).prop_map(|first| Positions::Consecutive { first }),
            proptest::collection::vec(any::<u64>(), 9).prop_map(|all| {
                Positions::Sequences(all.into_iter().map(|low| Sequence::from_limbs([1, 2, low])).collect())
            }),
            proptest::collection::vec((any::<u64>(), any::<Option<u32>>()), 9).prop_map(|all| {
                let place = |(low, sub)| ExtendedSequence { sequence: Sequence::from_limbs([1, 2, low]), sub };
                Positions::Extended(all.into_iter().map(place).collect())
            }),
        ];
        let lineage = (positions, proptest::collection::vec(0u32..9, 4), proptest::option::of(text()));
        let parts = (text(), any::<bool>(), any::<bool>(), proptest::option::of(lineage), any::<[i64; 4]>());
        (parts, any::<[f64; 4]>()).prop_map(|((strings, keyed, valued, lineage, times), floats)| {
            let column: Binary = strings.iter().collect();
            let has_lineage = lineage.is_some();
            let faults = vec![Fault { row: 2, kind: FaultKind::WrongType }];
            Batch {
                step: "s".into(),
                times: times.to_vec(),
                keys: keyed.then(|| column.clone()),
                values: if valued { column.clone() } else { Binary::default() },
                fields: vec![
                    Column { cells: Cells::Text(column.clone()), faults },
                    Column { cells: Cells::Float(floats.to_vec()), faults: Vec::new() },
                    Column { cells: Cells::Int(times.to_vec()), faults: Vec::new() },
                    Column { cells: Cells::Bool(vec![keyed, valued, true, false]), faults: Vec::new() },
                ],
                lineage: lineage.map(|(positions, records, bytes)| Lineage {
                    split: SplitId::new("rows", "shard-1/x"),
                    positions: Arc::new(positions),
                    records: Some(records),
                    bytes: bytes.map(|bytes| bytes.iter().collect()),
                }),
                firings: keyed.then(|| vec![Firing { start: 1, end: 2, pane: Pane::Late }; 4]),
                origins: (!has_lineage).then(|| vec![1, u128::MAX, 0, 7]),
            }
        })
    }

    /// Everything that can be told of a batch, bit by bit.
    fn told(batch: &Batch) -> String {
        let bits = |column: &Column| match &column.cells {
            Cells::Float(cells) => format!("{:?}", cells.iter().map(|cell| cell.to_bits()).collect::<Vec<_>>()),
            cells => format!("{cells:?}"),
        };
        let items = |column: &Binary| column.iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let rows: Vec<String> = (0..batch.len()).map(|row| batch.describe_row(row)).collect();
        let fields: Vec<_> = batch.fields.iter().map(|column| (bits(column), column.faults.clone())).collect();
        let bytes = batch.lineage.as_ref().and_then(|lineage| lineage.bytes.as_ref()).map(items);
        let columns = (batch.keys.as_ref().map(items), items(&batch.values), bytes);
        let origins = (&batch.firings, &batch.origins);
        format!("{} {:?} {rows:?} {fields:?} {columns:?} {origins:?}", batch.step, batch.times)
    }

    /// How positions begin is part of the format: what was written before user records had positions is still read.
    #[test]
    fn kinds_of_positions_keep_their_numbers() {
        let limbs = [1, 2, 3];
        let kinds = [
            StoredPositions::Numbers(vec![]),
            StoredPositions::Sequences(vec![limbs]),
            StoredPositions::Origins(vec![]),
            StoredPositions::Extended(vec![(limbs, Some(4))]),
        ];
        let written = kinds.map(|kind| postcard::to_allocvec(&kind).expect("plain data"));
        assert_eq!(written, [vec![0, 0], vec![1, 1, 1, 2, 3], vec![2, 0], vec![3, 1, 1, 2, 3, 1, 4]]);
    }

    proptest! {
        /// A batch comes back with every row, position and field; cut or flipped bytes never panic.
        #[test]
        fn round_trip(batch in batches(), at: prop::sample::Index, bit in 0u8..8) {
            let bytes = batch.encode().expect("it is plain data");
            let (found, rest) = Batch::decode(&bytes).expect("it was written");
            prop_assert!(rest.is_empty());
            // Text columns print their buffers, which are new.
            let detached = |batch: &Batch| told(&batch.clone().detached());
            prop_assert_eq!(detached(&found), detached(&batch));
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= 1 << bit;
            let _ = Batch::decode(&flipped);
            prop_assert!(Batch::decode(&bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
