//! A decoded field of every row of a batch: typed cells, and which rows could not be decoded and why.

use crate::Binary;
use crate::binary::BinaryBuilder;
use std::fmt;

/// The cells of a column. A faulty row holds the type's zero, so that row numbers stay aligned.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// `bool`
    Bool(Vec<bool>),
    /// `s64`, and `time` as milliseconds since 1970-01-01T00:00:00Z
    Int(Vec<i64>),
    /// `f64`
    Float(Vec<f64>),
    /// `string`, valid UTF-8
    Text(Binary),
}

/// Why a field of a row has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The field is absent or null.
    Missing,
    /// The field is there with another type, or out of its type's range.
    WrongType,
    /// The row is not a JSON object, or is cut off.
    Malformed,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::WrongType => "has the wrong type",
            Self::Malformed => "cannot be read: the record is not a whole JSON object",
        })
    }
}

/// One row without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Row number in the batch.
    pub row: u32,
    /// Why.
    pub kind: FaultKind,
}

/// One decoded field of all rows of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// One cell per row.
    pub cells: Cells,
    /// Rows without a value, in row order. Empty for clean data.
    pub faults: Vec<Fault>,
}

impl Column {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match &self.cells {
            Cells::Bool(cells) => cells.len(),
            Cells::Int(cells) => cells.len(),
            Cells::Float(cells) => cells.len(),
            Cells::Text(cells) => cells.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chosen rows, in the order given; faults move along.
    pub fn select(&self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(cells: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|&row| cells[row as usize]).collect()
        }
        let cells = match &self.cells {
            Cells::Bool(cells) => Cells::Bool(pick(cells, rows)),
            Cells::Int(cells) => Cells::Int(pick(cells, rows)),
            Cells::Float(cells) => Cells::Float(pick(cells, rows)),
            Cells::Text(cells) => Cells::Text(cells.select(rows)),
        };
        Self { cells, faults: self.select_faults(rows) }
    }

    /// Rows of several columns of one type, in the order given as column and row; `column` gives the columns by number.
    pub fn gather<'c>(column: &dyn Fn(usize) -> &'c Self, rows: &[(usize, u32)]) -> Self {
        let Some(&(first, _)) = rows.first() else {
            return Self { cells: Cells::Bool(Vec::new()), faults: Vec::new() };
        };
        let mut cells = column(first).cells.empty();
        let mut faults = Vec::new();
        for (to, &(at, row)) in (0..).zip(rows) {
            let from = column(at);
            cells.push_from(&from.cells, row as usize);
            if let Ok(found) = from.faults.binary_search_by_key(&row, |fault| fault.row) {
                faults.push(Fault { row: to, kind: from.faults[found].kind });
            }
        }
        Self { cells: cells.finish(), faults }
    }

    fn select_faults(&self, rows: &[u32]) -> Vec<Fault> {
        if self.faults.is_empty() {
            return Vec::new();
        }
        let find = |row: u32| self.faults.binary_search_by_key(&row, |fault| fault.row).ok();
        rows.iter()
            .enumerate()
            .filter_map(|(at, &row)| find(row).map(|i| Fault { row: at as u32, kind: self.faults[i].kind }))
            .collect()
    }
}

/// Cells that are being gathered.
enum Gathering {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(BinaryBuilder),
}

impl Cells {
    fn empty(&self) -> Gathering {
        match self {
            Self::Bool(_) => Gathering::Bool(Vec::new()),
            Self::Int(_) => Gathering::Int(Vec::new()),
            Self::Float(_) => Gathering::Float(Vec::new()),
            Self::Text(_) => Gathering::Text(BinaryBuilder::default()),
        }
    }
}

impl Gathering {
    /// Columns of one field have one type.
    fn push_from(&mut self, from: &Cells, row: usize) {
        match (self, from) {
            (Self::Bool(to), Cells::Bool(from)) => to.push(from[row]),
            (Self::Int(to), Cells::Int(from)) => to.push(from[row]),
            (Self::Float(to), Cells::Float(from)) => to.push(from[row]),
            (Self::Text(to), Cells::Text(from)) => to.push(from.get(row)),
            _ => unreachable!("columns of one field have one type"),
        }
    }

    fn finish(self) -> Cells {
        match self {
            Self::Bool(cells) => Cells::Bool(cells),
            Self::Int(cells) => Cells::Int(cells),
            Self::Float(cells) => Cells::Float(cells),
            Self::Text(cells) => Cells::Text(cells.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Selecting rows renumbers the faults of the rows that stay and drops the others.
    #[test]
    fn select_moves_faults() {
        let column = Column {
            cells: Cells::Int(vec![10, 0, 30, 0]),
            faults: vec![Fault { row: 1, kind: FaultKind::Missing }, Fault { row: 3, kind: FaultKind::WrongType }],
        };
        let picked = column.select(&[3, 2, 3]);
        assert_eq!(picked.cells, Cells::Int(vec![0, 30, 0]));
        let kinds: Vec<_> = picked.faults.iter().map(|f| (f.row, f.kind)).collect();
        assert_eq!(kinds, [(0, FaultKind::WrongType), (2, FaultKind::WrongType)]);
    }
}
