//! Rows of a file whose columns nobody declared. They wait as they are until the file ends; then its schema is what fits all of
//! them. So no row is ever too late to be known, and a file has one schema, which need not be that of the next one.

use super::{Encoder, ParquetSettings};
use crate::format::columns::{ColumnSpec, Reader};
use parquet::errors::{ParquetError, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use wasmill_stream::Binary;
use wasmill_stream::field::{FieldSpec, FieldType};

/// Rows with more different members than this use their keys as data.
const MOST_COLUMNS: usize = 1_000;
/// How many rows are read at a time.
const BLOCK: usize = 4_096;

/// The rows so far.
pub struct Inference {
    settings: ParquetSettings,
    rows: Vec<u8>,
    ends: Vec<usize>,
    /// The columns in the order in which they came.
    columns: Vec<(String, Kind)>,
    /// Which of them is called so.
    numbers: BTreeMap<String, usize>,
}

/// What values there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    /// Nested ones, or of several kinds.
    Any,
}

impl Inference {
    /// No rows yet.
    pub fn new(settings: ParquetSettings) -> Self {
        Self { settings, rows: Vec::new(), ends: Vec::new(), columns: Vec::new(), numbers: BTreeMap::new() }
    }

    /// Takes a row. `Err`: it cannot be one; nothing was taken.
    pub fn push(&mut self, value: &[u8]) -> std::result::Result<(), String> {
        let members: Members =
            serde_json::from_slice(value).map_err(|error| format!("the row is no JSON object: {error}"))?;
        let new = members.0.iter().filter(|(name, _)| !self.numbers.contains_key(name)).count();
        if self.columns.len() + new > MOST_COLUMNS {
            return Err(format!(
                "the rows of a file have more than {MOST_COLUMNS} different members: declare `columns`"
            ));
        }
        for (name, kind) in members.0 {
            match self.numbers.get(&name) {
                Some(&number) => self.columns[number].1 = self.columns[number].1.with(kind),
                None => {
                    self.numbers.insert(name.clone(), self.columns.len());
                    self.columns.push((name, kind));
                }
            }
        }
        self.rows.extend_from_slice(value);
        self.ends.push(self.rows.len());
        Ok(())
    }

    /// How many bytes the rows have.
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    /// The whole file.
    pub fn finish(self) -> Result<Vec<u8>> {
        let mut columns: Vec<_> = self.columns.into_iter().map(column).collect();
        if columns.is_empty() {
            // A file without columns has no rows either.
            columns.push(column(("empty".to_owned(), Kind::Null)));
        }
        let mut encoder = Encoder::new(&self.settings, &columns)?;
        let mut reader = Reader::new(columns);
        let mut start = 0;
        for ends in self.ends.chunks(BLOCK) {
            let block: Binary = ends.iter().map(|&end| &self.rows[std::mem::replace(&mut start, end)..end]).collect();
            let read = reader.read(&block);
            for row in 0..block.len() {
                // The schema was made for it.
                let fits = read.refusal(row).map_or(Ok(()), |reason| Err(reason.to_owned()));
                fits.and_then(|()| encoder.push(&read, row)).map_err(ParquetError::General)?;
            }
            encoder.roll()?;
        }
        encoder.finish()
    }
}

fn column((name, kind): (String, Kind)) -> ColumnSpec {
    let (kind, is_typed) = match kind {
        Kind::Bool => (FieldType::Bool, true),
        Kind::Int => (FieldType::Int, true),
        Kind::Float => (FieldType::Float, true),
        Kind::Text => (FieldType::Text, true),
        Kind::Null | Kind::Any => (FieldType::Text, false),
    };
    ColumnSpec { field: FieldSpec { pointers: vec![vec![name.clone()]], kind, optional: true }, name, is_typed }
}

impl Kind {
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::Any,
        }
    }
}

/// The members of an object. Of those of one name the last counts, but what it was before is as good.
struct Members(Vec<(String, Kind)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Kind, E> {
        Ok(Kind::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Kind, E> {
        Ok(Kind::Int)
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Kind, E> {
        // As text: a larger one would lose digits as a number.
        Ok(if i64::try_from(value).is_ok() { Kind::Int } else { Kind::Any })
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Kind, E> {
        Ok(Kind::Float)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Kind, E> {
        Ok(Kind::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Kind, A::Error> {
        // Not passed over: texts in there that are none would be found too late.
        while seq.next_element::<Self::Value>()?.is_some() {}
        Ok(Kind::Any)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Kind, A::Error> {
        while map.next_entry::<Self::Value, Self::Value>()?.is_some() {}
        Ok(Kind::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::parquet::PagePacking;
    use proptest::prelude::{Just, any, prop_assert, prop_oneof, proptest};

    fn inference() -> Inference {
        Inference::new(ParquetSettings { columns: None, packing: PagePacking::None, row_group_bytes: 1 << 20 })
    }

    /// Odd numbers, names and texts, bytes that are no text, in rows of all kinds → whatever is taken can be written.
    #[test]
    fn what_is_taken_can_be_written() {
        let odd: [&[u8]; 15] = [
            b"{\"a\":18446744073709551616}",
            b"{\"a\":1e400}",
            b"{\"a\":-0}",
            b"{\"a\":1,\"a\":[1]}",
            b"{\"a\":\"x\",\"a\":1}",
            b"{\"a\":[\"\xff\"]}",
            b"{\"a\":{\"\xff\":1}}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":[\"\\ud800\"]}",
            b"{\"\":1}",
            b"{\"a/b~c\":1,\"\\u0061\":2}",
            b"{\"\\u0000\":\"\\u0000\"}",
            b" {\"a\" : null } \n",
            b"{\"a\":[1,{\"b\":tru}]}",
        ];
        for first in odd {
            for second in odd {
                let mut inference = inference();
                let _ = (inference.push(first), inference.push(second));
                let written = inference.finish();
                assert!(written.is_ok(), "{} {}", String::from_utf8_lossy(first), String::from_utf8_lossy(second));
            }
        }
    }

    proptest! {
        /// The same with bytes changed anywhere.
        #[test]
        fn changed_rows(
            text in prop_oneof![Just("{\"a\":[1,\"x\"],\"b\":\"\\u00e9\",\"c\":-1.5e3}"), Just("{\"a\":{\"b\":null},\"b\":true,\"c\":7}")],
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut row = text.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(row.len());
                row[at] = byte;
            }
            let mut inference = inference();
            let _ = (inference.push(&row), inference.push(text.as_bytes()));
            prop_assert!(inference.finish().is_ok(), "{}", String::from_utf8_lossy(&row));
        }
    }
}
