//! Columns as they cross the boundary, for plugins that want to work on whole batches without a copy.
//! Those that work on rows never meet them.

pub use crate::bindings::{Batch, Binary, Cells, Column, Needs, Output, Reject, Rows, SideOutput, SideRows};
use std::fmt::Display;

// === impl Batch ===

impl Batch {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

// === impl Binary ===

impl Binary {
    /// An empty column with room for `rows` items of `bytes` bytes in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { ends: Vec::with_capacity(rows), bytes: Vec::with_capacity(bytes) }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Item `row`. Panics if `row >= len()`, as a slice does.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start as usize..self.ends[row] as usize]
    }

    /// All items in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let item = &self.bytes[start..end as usize];
            start = end as usize;
            item
        })
    }

    /// Appends an item.
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.close();
    }

    /// Makes an item of what was appended to `bytes` since the last one.
    #[inline]
    pub fn close(&mut self) {
        self.ends.push(self.bytes.len() as u32);
    }

    /// Keeps the first `items` items.
    pub fn truncate(&mut self, items: usize) {
        self.ends.truncate(items);
        self.bytes.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }
}

impl Default for Binary {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Binary {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut column = Self::default();
        items.into_iter().for_each(|item| column.push(item.as_ref()));
        column
    }
}

// === impl Column ===

impl Column {
    /// The cells of a `bool` field.
    pub fn bools(&self) -> Option<&[bool]> {
        if let Cells::Bools(cells) = &self.cells { Some(cells) } else { None }
    }

    /// The cells of an `s64` or `time` field.
    pub fn ints(&self) -> Option<&[i64]> {
        if let Cells::S64s(cells) = &self.cells { Some(cells) } else { None }
    }

    /// The cells of an `f64` field.
    pub fn floats(&self) -> Option<&[f64]> {
        if let Cells::F64s(cells) = &self.cells { Some(cells) } else { None }
    }

    /// The cells of a `string` field.
    pub fn strings(&self) -> Option<&Binary> {
        if let Cells::Strings(cells) = &self.cells { Some(cells) } else { None }
    }
}

// === impl Needs ===

impl Default for Needs {
    /// Neither fields nor values, and no side outputs.
    fn default() -> Self {
        Self { fields: Vec::new(), reads_values: false, writes_values: false, side_outputs: Vec::new() }
    }
}

// === impl Rows ===

impl Default for Rows {
    /// Every row as it came.
    fn default() -> Self {
        Self { origins: None, times: None, keys: None, values: None }
    }
}

// === impl Output ===

impl Default for Output {
    /// Every row as it came, and nothing else.
    fn default() -> Self {
        Rows::default().into()
    }
}

impl From<Rows> for Output {
    /// Only a main output, and no refusals.
    fn from(main: Rows) -> Self {
        Self { main, sides: Vec::new(), rejects: Vec::new() }
    }
}

// === impl Reject ===

impl Reject {
    /// A refusal of the row at hand; the SDK fills in its number.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { row: 0, reason: reason.into() }
    }
}

impl<E: Display> From<E> for Reject {
    /// Lets `?` turn any error, or a text, into a refusal.
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items come back as they were pushed, and truncating cuts bytes and ends alike.
    #[test]
    fn binary_round_trip() {
        let mut column: Binary = ["aa", "", "ccc"].into_iter().collect();
        assert_eq!(column.iter().collect::<Vec<_>>(), [&b"aa"[..], b"", b"ccc"]);
        assert_eq!((column.get(0), column.get(1), column.get(2)), (&b"aa"[..], &b""[..], &b"ccc"[..]));
        column.truncate(1);
        column.push(b"x");
        assert_eq!(column, ["aa", "x"].into_iter().collect());
    }
}
