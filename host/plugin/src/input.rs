//! The host's columns as the contract has them. Columns that already lie end to end are handed over as they are; others
//! are packed into buffers that live as long as the worker.

use crate::bindings::wasmill::plugin::types;
use wasmill_stream::plugin::View;
use wasmill_stream::{Binary, Cells, Column};

/// The buffers for one column of byte strings.
#[derive(Default)]
pub(crate) struct Packed {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Packed {
    /// The wire form of a column.
    pub(crate) fn binary<'a>(&'a mut self, column: &'a Binary) -> types::BinaryParam<'a> {
        if let Some(bytes) = column.contiguous(&mut self.ends) {
            return types::BinaryParam { ends: &self.ends, bytes };
        }
        column.pack(&mut self.bytes, &mut self.ends);
        types::BinaryParam { ends: &self.ends, bytes: &self.bytes }
    }
}

impl types::BinaryParam<'_> {
    /// How many bytes cross.
    pub(crate) fn size(&self) -> usize {
        size_of_val(self.ends) + self.bytes.len()
    }
}

/// The buffers for one field.
#[derive(Default)]
struct Field {
    text: Packed,
    missing: Vec<u32>,
}

impl Field {
    fn column<'a>(&'a mut self, column: &'a Column) -> types::Column<'a> {
        let cells = match &column.cells {
            Cells::Bool(cells) => types::Cells::Bools(cells),
            Cells::Int(cells) => types::Cells::S64s(cells),
            Cells::Float(cells) => types::Cells::F64s(cells),
            Cells::Text(cells) => types::Cells::Strings(self.text.binary(cells)),
        };
        self.missing.clear();
        self.missing.extend(column.faults.iter().map(|fault| fault.row));
        types::Column { cells, missing: &self.missing }
    }
}

/// The buffers for the batches of one worker.
#[derive(Default)]
pub(crate) struct Input {
    keys: Packed,
    values: Packed,
    fields: Vec<Field>,
}

impl Input {
    /// The columns of a batch, ready to cross.
    pub(crate) fn lower<'a>(&'a mut self, view: &View<'a>) -> Lowered<'a> {
        self.fields.resize_with(view.fields.len(), Field::default);
        Lowered {
            times: view.times,
            keys: view.keys.map(|column| self.keys.binary(column)),
            values: view.values.map(|column| self.values.binary(column)),
            fields: self.fields.iter_mut().zip(&view.fields).map(|(field, column)| field.column(column)).collect(),
        }
    }
}

/// The columns of one batch in the contract's types.
pub(crate) struct Lowered<'a> {
    times: &'a [i64],
    keys: Option<types::BinaryParam<'a>>,
    values: Option<types::BinaryParam<'a>>,
    fields: Vec<types::Column<'a>>,
}

impl Lowered<'_> {
    pub(crate) fn batch(&self) -> types::Batch<'_> {
        types::Batch { times: self.times, keys: self.keys.clone(), values: self.values.clone(), fields: &self.fields }
    }

    /// How many bytes cross.
    pub(crate) fn size(&self) -> usize {
        let cells = |column: &types::Column<'_>| match &column.cells {
            types::Cells::Bools(cells) => size_of_val(*cells),
            types::Cells::S64s(cells) => size_of_val(*cells),
            types::Cells::F64s(cells) => size_of_val(*cells),
            types::Cells::Strings(cells) => cells.size(),
        };
        let binary = |column: &Option<types::BinaryParam<'_>>| column.as_ref().map_or(0, types::BinaryParam::size);
        let fields = self.fields.iter().map(|column| cells(column) + size_of_val(column.missing));
        size_of_val(self.times) + binary(&self.keys) + binary(&self.values) + fields.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_stream::{Fault, FaultKind};

    /// Rows picked from a shared buffer are packed, rows that lie end to end are not copied, and neither leaves
    /// anything behind for the next batch.
    #[test]
    fn columns_are_packed_only_when_scattered() {
        let whole: Binary = ["aa", "b", "ccc"].into_iter().collect();
        let scattered = whole.select(&[2, 0]);
        let mut packed = Packed::default();
        let wire = packed.binary(&scattered);
        assert_eq!((wire.ends, wire.bytes), (&[3, 5][..], &b"cccaa"[..]));
        let wire = packed.binary(&whole);
        assert_eq!((wire.ends, wire.bytes), (&[2, 3, 6][..], &b"aabccc"[..]));
        assert!(std::ptr::eq(wire.bytes.as_ptr(), whole.get(0).as_ptr()));
    }

    /// The size of a batch is that of all its columns.
    #[test]
    fn the_size_of_a_batch() {
        let (keys, text): (Binary, Binary) = (["a", "bc"].into_iter().collect(), ["", "def"].into_iter().collect());
        let faults = vec![Fault { row: 0, kind: FaultKind::Missing }];
        let columns = [
            Column { cells: Cells::Text(text), faults },
            Column { cells: Cells::Float(vec![0.0, 1.0]), faults: Vec::new() },
        ];
        let view = View { times: &[1, 2], keys: Some(&keys), values: None, fields: columns.iter().collect() };
        assert_eq!(Input::default().lower(&view).size(), 16 + (8 + 3) + (8 + 3 + 4) + 16);
    }

    /// Every faulty row of a field is listed as missing, whatever is wrong with it.
    #[test]
    fn faults_become_missing_rows() {
        let faults = vec![Fault { row: 1, kind: FaultKind::Missing }, Fault { row: 2, kind: FaultKind::WrongType }];
        let column = Column { cells: Cells::Bool(vec![true, false, false]), faults };
        let mut field = Field::default();
        assert_eq!(field.column(&column).missing, [1, 2]);
        let clean = Column { faults: Vec::new(), ..column };
        assert!(field.column(&clean).missing.is_empty());
    }
}
