//! A column that is being decoded: converts raw values to the type of the column and notes where there is none.

use super::FieldType;
use super::scan::Raw;
use crate::binary::BinaryBuilder;
use crate::time::TimeFormat;
use crate::{Cells, Column, Fault, FaultKind};

/// The cells so far.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    cells: CellsBuilder,
    faults: Vec<Fault>,
    /// Holds a string whose escapes were resolved.
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum CellsBuilder {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(BinaryBuilder),
    Time(Vec<i64>, TimeFormat),
}

impl ColumnBuilder {
    /// An empty column with room for `rows` rows.
    pub fn new(kind: &FieldType, rows: usize) -> Self {
        let cells = match kind {
            FieldType::Bool => CellsBuilder::Bool(Vec::with_capacity(rows)),
            FieldType::Int => CellsBuilder::Int(Vec::with_capacity(rows)),
            FieldType::Float => CellsBuilder::Float(Vec::with_capacity(rows)),
            FieldType::Text => CellsBuilder::Text(BinaryBuilder::with_capacity(rows, rows * 8)),
            FieldType::Time(format) => CellsBuilder::Time(Vec::with_capacity(rows), format.clone()),
        };
        Self { cells, faults: Vec::new(), scratch: Vec::new() }
    }

    /// Converts and appends one value per row; there are no nulls among them. `None` out of a conversion means that the value has another type.
    pub fn extend<'v>(&mut self, values: impl Iterator<Item = Raw<'v>>) {
        let Self { cells, faults, scratch } = self;
        match cells {
            CellsBuilder::Bool(cells) => append(cells, faults, values, |value| match value {
                Raw::Bool(value) => Some(value),
                _ => None,
            }),
            CellsBuilder::Int(cells) => append(cells, faults, values, |value| match value {
                Raw::Number(number) => number.to_i64(),
                _ => None,
            }),
            CellsBuilder::Float(cells) => append(cells, faults, values, |value| match value {
                Raw::Number(number) => number.to_f64(),
                _ => None,
            }),
            CellsBuilder::Time(cells, format) => append(cells, faults, values, |value| match value {
                Raw::Text(text) => format.parse(text.resolve(scratch)),
                Raw::Number(number) => format.parse_number(number.text()),
                _ => None,
            }),
            CellsBuilder::Text(cells) => {
                for value in values {
                    match value {
                        Raw::Text(text) => cells.push(text.resolve(scratch)),
                        other => {
                            faults.push(Fault { row: cells.len() as u32, kind: fault(other) });
                            cells.push(&[]);
                        }
                    }
                }
            }
        }
    }

    /// The finished column.
    pub fn finish(self) -> Column {
        let cells = match self.cells {
            CellsBuilder::Bool(cells) => Cells::Bool(cells),
            CellsBuilder::Int(cells) | CellsBuilder::Time(cells, _) => Cells::Int(cells),
            CellsBuilder::Float(cells) => Cells::Float(cells),
            CellsBuilder::Text(cells) => Cells::Text(cells.finish()),
        };
        Column { cells, faults: self.faults }
    }
}

#[inline(always)]
fn append<'v, T: Default>(
    cells: &mut Vec<T>,
    faults: &mut Vec<Fault>,
    values: impl Iterator<Item = Raw<'v>>,
    mut convert: impl FnMut(Raw<'v>) -> Option<T>,
) {
    for value in values {
        cells.push(convert(value).unwrap_or_else(|| {
            faults.push(Fault { row: cells.len() as u32, kind: fault(value) });
            T::default()
        }));
    }
}

/// Why there is no cell for this value.
#[cold]
fn fault(value: Raw<'_>) -> FaultKind {
    match value {
        Raw::Absent => FaultKind::Missing,
        Raw::Malformed => FaultKind::Malformed,
        _ => FaultKind::WrongType,
    }
}
