//! Decodes the declared fields of JSON records in one pass over each record. A record that is not one whole, valid JSON
//! object is malformed in all of its fields, wherever the damage is.

use super::pointer::PointerTree;
use super::record::{RecordReader, SLACK};
use super::scan::Raw;
use super::shape::Shape;
use super::{FieldSpec, FieldType};
use crate::binary::BinaryBuilder;
use crate::time::TimeFormat;
use crate::{Binary, Cells, Column, Fault, FaultKind};

/// Decodes a fixed list of fields. Learns what the records look like, so each stream should have its own.
#[derive(Debug)]
pub struct Decoder {
    tree: PointerTree,
    shapes: Vec<Shape>,
    plans: Vec<Plan>,
}

/// What to do for one field.
#[derive(Debug)]
struct Plan {
    /// The slots of its pointers, in order.
    slots: Vec<usize>,
    kind: FieldType,
}

impl Decoder {
    /// A decoder for these fields, in this order.
    pub fn new(fields: &[FieldSpec]) -> Self {
        let tree = PointerTree::new(fields.iter().flat_map(|field| field.pointers.iter().map(Vec::as_slice)));
        let shapes = tree.nodes.iter().map(|_| Shape::new()).collect();
        let slots = |field: &FieldSpec| field.pointers.iter().filter_map(|pointer| tree.slot(pointer)).collect();
        let plans = fields.iter().map(|field| Plan { slots: slots(field), kind: field.kind.clone() }).collect();
        Self { tree, shapes, plans }
    }

    /// One column per field, with one cell per record.
    pub fn decode(&mut self, values: &Binary) -> Vec<Column> {
        if self.plans.is_empty() {
            return Vec::new();
        }
        let mut columns: Vec<_> = self.plans.iter().map(|plan| ColumnBuilder::new(&plan.kind, values.len())).collect();
        let mut reader = RecordReader::new(&self.tree, &mut self.shapes);
        for row in 0..values.len() {
            let whole = reader.read(values.get_with_slack(row, SLACK), values.get(row).len()).is_some();
            for (plan, column) in self.plans.iter().zip(&mut columns) {
                let cell = if whole { column.push(plan.pick(&reader.slots)) } else { Err(FaultKind::Malformed) };
                if let Err(kind) = cell {
                    column.push_fault(row as u32, kind);
                }
            }
        }
        columns.into_iter().map(ColumnBuilder::finish).collect()
    }
}

impl Plan {
    /// The first value that is there and not null.
    #[inline]
    fn pick<'v>(&self, values: &[Raw<'v>]) -> Raw<'v> {
        let mut candidates = self.slots.iter().map(|&slot| values[slot]);
        candidates.find(|value| !matches!(value, Raw::Absent | Raw::Null)).unwrap_or(Raw::Absent)
    }
}

/// A column that is being decoded.
#[derive(Debug)]
struct ColumnBuilder {
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
    fn new(kind: &FieldType, rows: usize) -> Self {
        let cells = match kind {
            FieldType::Bool => CellsBuilder::Bool(Vec::with_capacity(rows)),
            FieldType::Int => CellsBuilder::Int(Vec::with_capacity(rows)),
            FieldType::Float => CellsBuilder::Float(Vec::with_capacity(rows)),
            FieldType::Text => CellsBuilder::Text(BinaryBuilder::with_capacity(rows, rows * 8)),
            FieldType::Time(format) => CellsBuilder::Time(Vec::with_capacity(rows), format.clone()),
        };
        Self { cells, faults: Vec::new(), scratch: Vec::new() }
    }

    /// Converts and appends one value. Appends nothing if there is none of the column's type.
    #[inline]
    fn push(&mut self, value: Raw<'_>) -> Result<(), FaultKind> {
        let wrong = FaultKind::WrongType;
        match (&mut self.cells, value) {
            (_, Raw::Absent | Raw::Null) => return Err(FaultKind::Missing),
            (CellsBuilder::Bool(cells), Raw::Bool(value)) => cells.push(value),
            (CellsBuilder::Int(cells), Raw::Number(number)) => cells.push(number.to_i64().ok_or(wrong)?),
            (CellsBuilder::Float(cells), Raw::Number(number)) => cells.push(number.to_f64().ok_or(wrong)?),
            (CellsBuilder::Text(cells), Raw::Text(text)) => cells.push(text.resolve(&mut self.scratch)),
            (CellsBuilder::Time(cells, format), Raw::Text(text)) => {
                cells.push(format.parse(text.resolve(&mut self.scratch)).ok_or(wrong)?);
            }
            (CellsBuilder::Time(cells, format), Raw::Number(number)) => {
                cells.push(format.parse_number(number.text()).ok_or(wrong)?);
            }
            _ => return Err(wrong),
        }
        Ok(())
    }

    /// Appends a row without a value.
    #[cold]
    fn push_fault(&mut self, row: u32, kind: FaultKind) {
        self.faults.push(Fault { row, kind });
        match &mut self.cells {
            CellsBuilder::Bool(cells) => cells.push(false),
            CellsBuilder::Int(cells) | CellsBuilder::Time(cells, _) => cells.push(0),
            CellsBuilder::Float(cells) => cells.push(0.0),
            CellsBuilder::Text(cells) => cells.push(&[]),
        }
    }

    fn finish(self) -> Column {
        let cells = match self.cells {
            CellsBuilder::Bool(cells) => Cells::Bool(cells),
            CellsBuilder::Int(cells) | CellsBuilder::Time(cells, _) => Cells::Int(cells),
            CellsBuilder::Float(cells) => Cells::Float(cells),
            CellsBuilder::Text(cells) => Cells::Text(cells.finish()),
        };
        Column { cells, faults: self.faults }
    }
}

#[cfg(test)]
mod tests;
