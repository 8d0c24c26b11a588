//! A column of byte strings over one shared buffer. Selecting rows copies spans (8 bytes), never the bytes,
//! so a filter, a fan-out and a split by worker all share what the source read.

use crate::{Error, Result};
use bytes::Bytes;

/// Where one item lies in the buffer of its [`Binary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A column of byte strings. Every span lies inside the buffer; the constructors check it.
#[derive(Debug, Clone, Default)]
pub struct Binary {
    bytes: Bytes,
    spans: Vec<Span>,
}

impl Binary {
    /// Spans into a buffer, as a reader that splits a chunk into lines has them.
    pub fn from_spans(bytes: impl Into<Bytes>, spans: Vec<Span>) -> Result<Self> {
        let bytes = bytes.into();
        if let Some(bad) = spans.iter().find(|s| s.start > s.end || s.end as usize > bytes.len()) {
            return Err(Error::invalid(format!(
                "column item {}..{} lies outside its {} bytes",
                bad.start,
                bad.end,
                bytes.len()
            )));
        }
        Ok(Self { bytes, spans })
    }

    /// The wire form of the plugin contract: item `i` is `bytes[ends[i - 1]..ends[i]]`.
    pub fn from_ends(bytes: impl Into<Bytes>, ends: &[u32]) -> Result<Self> {
        let bytes = bytes.into();
        let mut start = 0;
        let mut spans = Vec::with_capacity(ends.len());
        for (row, &end) in ends.iter().enumerate() {
            if end < start || end as usize > bytes.len() {
                return Err(Error::invalid(format!(
                    "end {end} of item {row} is not between {start} and the {} bytes of its column",
                    bytes.len()
                )));
            }
            spans.push(Span { start, end });
            start = end;
        }
        Ok(Self { bytes, spans })
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Item `row`. Panics if `row >= len()`, as a slice does.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let span = self.spans[row];
        &self.bytes[span.start as usize..span.end as usize]
    }

    /// Item `row` and up to `slack` bytes that lie behind it, for readers that look at many bytes at once. The item is
    /// the first `get(row).len()` bytes; what follows means nothing. Panics if `row >= len()`, as a slice does.
    #[inline]
    pub(crate) fn get_with_slack(&self, row: usize, slack: usize) -> &[u8] {
        let span = self.spans[row];
        let end = self.bytes.len().min(span.end as usize + slack);
        &self.bytes[span.start as usize..end]
    }

    /// All items in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans.iter().map(|s| &self.bytes[s.start as usize..s.end as usize])
    }

    /// The bytes of all items together, which is less than the buffer after a selection.
    pub fn total_bytes(&self) -> usize {
        self.spans.iter().map(|s| (s.end - s.start) as usize).sum()
    }

    /// The chosen rows, in the order given, over the same buffer. Panics if a row is out of range, as a slice does.
    pub fn select(&self, rows: &[u32]) -> Self {
        let spans = rows.iter().map(|&row| self.spans[row as usize]).collect();
        Self { bytes: self.bytes.clone(), spans }
    }

    /// A copy of the items in a buffer of their own.
    pub fn detached(&self) -> Self {
        self.iter().collect()
    }

    /// The same items over a buffer wrapped by `wrap`, which must keep its bytes as they are.
    pub(crate) fn guard(self, wrap: impl FnOnce(Bytes) -> Bytes) -> Self {
        let bytes = wrap(self.bytes);
        Self { bytes, spans: self.spans }
    }

    /// The wire form, if the items already lie end to end: the bytes as they are and the ends. Copies only 4 bytes a row.
    pub fn contiguous(&self, ends: &mut Vec<u32>) -> Option<&[u8]> {
        ends.clear();
        let Some(first) = self.spans.first() else { return Some(&[]) };
        let origin = first.start;
        let mut at = origin;
        ends.reserve(self.spans.len());
        for span in &self.spans {
            if span.start != at {
                return None;
            }
            at = span.end;
            ends.push(at - origin);
        }
        Some(&self.bytes[origin as usize..at as usize])
    }

    /// Writes the wire form: all items end to end into `bytes`, their ends into `ends`. Both are cleared first.
    pub fn pack(&self, bytes: &mut Vec<u8>, ends: &mut Vec<u32>) {
        bytes.clear();
        ends.clear();
        ends.reserve(self.spans.len());
        for item in self.iter() {
            bytes.extend_from_slice(item);
            ends.push(bytes.len() as u32);
        }
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Binary {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut builder = BinaryBuilder::default();
        for item in items {
            builder.push(item.as_ref());
        }
        builder.finish()
    }
}

impl PartialEq for Binary {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// Builds a [`Binary`] item by item. A buffer holds at most 4 GiB: callers cut batches long before.
#[derive(Debug, Default)]
pub struct BinaryBuilder {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl BinaryBuilder {
    /// A builder with room for `rows` items of `bytes` bytes in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), spans: Vec::with_capacity(rows) }
    }

    /// Appends one item.
    #[inline]
    pub fn push(&mut self, item: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(item);
        self.spans.push(Span { start, end: self.bytes.len() as u32 });
    }

    /// How many items were pushed.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many bytes were pushed.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The finished column.
    pub fn finish(self) -> Binary {
        Binary { bytes: self.bytes.into(), spans: self.spans }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that returns ends out of order or beyond its bytes is refused, not read.
    #[test]
    fn ends_are_checked() {
        assert!(Binary::from_ends(vec![1, 2, 3], &[2, 1]).is_err());
        assert!(Binary::from_ends(vec![1, 2, 3], &[2, 4]).is_err());
        let column = Binary::from_ends(vec![1, 2, 3], &[0, 2, 3]).expect("valid ends");
        assert_eq!(column.iter().collect::<Vec<_>>(), [&[][..], &[1, 2], &[3]]);
    }

    /// A selection shares the buffer, is no longer contiguous, and packs to the same items.
    #[test]
    fn select_then_pack() {
        let column: Binary = ["aa", "b", "ccc"].into_iter().collect();
        let (mut ends, mut bytes) = (Vec::new(), Vec::new());
        assert_eq!(column.contiguous(&mut ends), Some(&b"aabccc"[..]));
        assert_eq!(ends, [2, 3, 6]);
        let picked = column.select(&[2, 0]);
        assert_eq!(picked.contiguous(&mut ends), None);
        picked.pack(&mut bytes, &mut ends);
        assert_eq!((bytes.as_slice(), ends.as_slice()), (&b"cccaa"[..], &[3, 5][..]));
        assert_eq!(picked.total_bytes(), 5);
    }
}
