//! Reads columns out of batches. Text and typed values come from the decoder; whatever else an untyped column has is cut out of
//! the row.

use super::ColumnSpec;
use crate::json_object;
use std::collections::BTreeMap;
use wasmill_stream::field::{Decoder, FieldType};
use wasmill_stream::{Binary, Cells, Column, FaultKind};

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// None, or null.
    Null,
    /// `bool`
    Bool(bool),
    /// `s64`
    Int(i64),
    /// `f64`
    Float(f64),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Time(i64),
    /// A string.
    Text(&'a [u8]),
    /// Anything else, as its JSON.
    Json(&'a [u8]),
}

/// Reads columns. Learns what rows look like.
pub struct Reader {
    columns: Vec<ColumnSpec>,
    decoder: Decoder,
}

/// The columns of a batch.
pub struct Read<'r> {
    specs: &'r [ColumnSpec],
    columns: Vec<Column>,
    values: &'r Binary,
    refused: BTreeMap<u32, String>,
    /// Whether there are values that have to be cut out of their rows, and may not be found there.
    cuts_out: bool,
}

impl Reader {
    /// Of these columns.
    pub fn new(columns: Vec<ColumnSpec>) -> Self {
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        Self { decoder: Decoder::new(&fields), columns }
    }

    /// Reads them.
    pub fn read<'r>(&'r mut self, values: &'r Binary) -> Read<'r> {
        let columns = self.decoder.decode(values);
        let (mut refused, mut cuts_out) = (BTreeMap::new(), false);
        for (spec, column) in self.columns.iter().zip(&columns) {
            for fault in &column.faults {
                let is_tolerable = match fault.kind {
                    FaultKind::Missing => spec.field.optional,
                    FaultKind::WrongType => !spec.is_typed,
                    FaultKind::Malformed => false,
                };
                cuts_out |= is_tolerable && fault.kind == FaultKind::WrongType;
                if !is_tolerable {
                    refused.entry(fault.row).or_insert_with(|| spec.field.reason(fault.kind));
                }
            }
        }
        Read { specs: &self.columns, columns, values, refused, cuts_out }
    }
}

impl Read<'_> {
    /// Why a row does not fit the columns.
    pub fn refusal(&self, row: usize) -> Option<&str> {
        self.refused.get(&(row as u32)).map(String::as_str)
    }

    /// Whether the first columns of a row can be read.
    pub fn check(&self, columns: usize, row: usize) -> Result<(), String> {
        match self.cuts_out {
            true => (0..columns).try_for_each(|column| self.cell(column, row).map(|_| ())),
            false => Ok(()),
        }
    }

    /// The value of a row in a column; an error says why there is no knowing it. Only for rows that fit.
    pub fn cell(&self, column: usize, row: usize) -> Result<Cell<'_>, String> {
        let (spec, read) = (&self.specs[column], &self.columns[column]);
        let fault = match read.faults.is_empty() {
            true => None,
            false => read.faults.binary_search_by_key(&(row as u32), |fault| fault.row).ok(),
        };
        match fault.map(|at| read.faults[at].kind) {
            None => {}
            Some(FaultKind::WrongType) => return self.cut_out(spec, row),
            Some(_) => return Ok(Cell::Null),
        }
        Ok(match &read.cells {
            Cells::Bool(cells) => Cell::Bool(cells[row]),
            Cells::Int(cells) if matches!(spec.field.kind, FieldType::Time(_)) => Cell::Time(cells[row]),
            Cells::Int(cells) => Cell::Int(cells[row]),
            Cells::Float(cells) => Cell::Float(cells[row]),
            Cells::Text(cells) => Cell::Text(cells.get(row)),
        })
    }

    /// A value that is no string, as it stands in the row.
    fn cut_out(&self, spec: &ColumnSpec, row: usize) -> Result<Cell<'_>, String> {
        let value = self.values.get(row);
        let found = spec.field.pointers.iter().filter_map(|names| value.get(json_object::find(value, names)?));
        match found.into_iter().find(|found| *found != b"null") {
            Some(found) => Ok(Cell::Json(found)),
            // The decoder goes into arrays.
            None => Err(format!("what is in an array needs a type: column `{}`", spec.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strings come without quotes, everything else without a type as it stands in the row, null and nothing as null; typed
    /// columns take what they declare.
    #[test]
    fn cells() {
        let columns = ["/a", "/b/c", "/t: time?", "/n: s64"].map(|column| column.parse().expect(column));
        let rows = [
            r#"{"n":1,"a":"x\"y","b":{"c":[1, "2"]},"t":"2013-01-01T00:00:01Z"}"#,
            r#"{"n":2,"a":1.50,"b":{"c":null}}"#,
            r#"{"n":3,"b":7,"a":true}"#,
            r#"{"n":"4"}"#,
            "{",
            r#"{"n":5,"t":"never"}"#,
        ];
        let values: Binary = rows.iter().collect();
        let mut reader = Reader::new(columns.to_vec());
        let read = reader.read(&values);
        let cells = |row: usize| [0, 1, 2, 3].map(|column| read.cell(column, row).expect("a cell"));
        let json = |text: &'static str| Cell::Json(text.as_bytes());
        assert_eq!(cells(0), [Cell::Text(b"x\"y"), json("[1, \"2\"]"), Cell::Time(1_356_998_401_000), Cell::Int(1)]);
        assert_eq!(cells(1), [json("1.50"), Cell::Null, Cell::Null, Cell::Int(2)]);
        assert_eq!(cells(2), [json("true"), Cell::Null, Cell::Null, Cell::Int(3)]);
        let refusals: Vec<_> = (0..rows.len()).map(|row| read.refusal(row).unwrap_or_default()).collect();
        let expected = [
            "",
            "",
            "",
            "field `/n: s64` has the wrong type",
            "the record is not a whole JSON object",
            "field `/t: time?` has the wrong type",
        ];
        assert_eq!(refusals, expected);
        let values: Binary = [r#"{"a":[1]}"#].into_iter().collect();
        let mut reader = Reader::new(vec!["/a/0".parse().expect("a column")]);
        let error = reader.read(&values).cell(0, 0).expect_err("in an array");
        assert!(error.contains("`0`"), "{error}");
    }
}
