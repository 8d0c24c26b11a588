//! Decodes the declared fields of JSON records in one pass over each record. A record that is not one whole, valid JSON
//! object is malformed in all of its fields, wherever the damage is.

use super::column::ColumnBuilder;
use super::pointer::PointerTree;
use super::record::{RecordReader, SLACK};
use super::scan::Raw;
use super::shape::Shape;
use super::{FieldSpec, FieldType};
use crate::{Binary, Column};

/// How many records are read before their values are converted column by column. All of their values stay in the cache.
const BLOCK: usize = 64;

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
        let width = self.tree.slots.max(1);
        let mut slots = vec![Raw::Absent; width * BLOCK];
        let mut scratch = Vec::new();
        for start in (0..values.len()).step_by(BLOCK) {
            let rows = start..values.len().min(start + BLOCK);
            for (row, slots) in rows.clone().zip(slots.chunks_exact_mut(width)) {
                let (tree, shapes, scratch) = (&self.tree, &mut self.shapes[..], &mut scratch);
                let reader = RecordReader { tree, shapes, scratch, slots };
                reader.read(values.get_with_slack(row, SLACK), values.get(row).len());
            }
            for (plan, column) in self.plans.iter().zip(&mut columns) {
                column.extend(slots.chunks_exact(width).take(rows.len()).map(|slots| plan.pick(slots)));
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

#[cfg(test)]
mod tests;
