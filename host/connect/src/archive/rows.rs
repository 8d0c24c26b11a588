//! From the bytes of a file to its footer, and from those of a row group to its records. Blocking, and not aware of where they
//! come from. Nothing is taken for granted: whatever a file says is held against its size before memory is taken for it.

use super::footer::{Footer, KEY, VERSION};
use super::{pages, schema};
use bytes::{Buf, Bytes};
use parquet::basic::Compression;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::SchemaDescriptor;
use std::ops::Range;
use std::sync::Arc;
use wasmill_stream::{ExtendedSequence, Position, Sequence};

/// What a footer takes at most.
pub const LARGEST_FOOTER: u64 = 64 << 20;
/// What a row group takes at most, packed or unpacked: one that is written has a little more than its size, if its records are
/// not larger.
const LARGEST_ROW_GROUP: u64 = 256 << 20;
/// A record takes more than this in every row group, packed or not.
const LEAST_RECORD: u64 = 8;

/// A file that can be read.
pub struct Layout {
    metadata: ParquetMetaData,
    /// What is in it.
    pub footer: Footer,
}

/// The records of a row group, in the order in which they were written.
pub struct Records {
    /// Their bytes.
    pub data: Vec<ByteArray>,
    /// The splits that they are of.
    pub splits: Vec<ByteArray>,
    /// Their places.
    pub positions: Vec<Position>,
    /// When they arrived.
    pub arrived: Vec<i64>,
}

/// What became of an attempt to read a footer.
pub enum Tail {
    /// It is read.
    Whole(Box<Layout>),
    /// So many bytes of the end of the file are needed.
    Needs(u64),
}

impl Layout {
    /// Reads the footer out of the last bytes of a file that has `size` of them.
    pub fn read(tail: &Bytes, size: u64) -> Result<Tail, String> {
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(tail, size) {
            Ok(()) => {}
            Err(ParquetError::NeedMoreData(needed)) if (needed as u64) <= LARGEST_FOOTER.min(size) => {
                return Ok(Tail::Needs(needed as u64));
            }
            Err(ParquetError::NeedMoreData(needed)) => return Err(format!("a footer of {needed} bytes")),
            Err(error) => return Err(format!("its footer cannot be read: {error}")),
        }
        let metadata = reader.finish().map_err(|error| format!("its footer cannot be read: {error}"))?;
        let expected = schema().map_err(|error| error.to_string())?;
        if metadata.file_metadata().schema() != &*expected {
            return Err("it has other columns than an archive".to_owned());
        }
        let values = metadata.file_metadata().key_value_metadata();
        let text = values.and_then(|values| values.iter().find(|value| value.key == KEY)?.value.as_ref());
        let text = text.ok_or_else(|| format!("its footer has no `{KEY}`"))?;
        let footer: Footer = serde_json::from_str(text).map_err(|error| format!("`{KEY}` in its footer: {error}"))?;
        match footer.version {
            VERSION => Ok(Tail::Whole(Box::new(Self { metadata, footer }))),
            other => Err(format!("it is an archive of version {other}, and this program knows {VERSION}")),
        }
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Where the bytes of a row group lie in a file of so many bytes.
    pub fn range(&self, group: usize, size: u64) -> Result<Range<u64>, String> {
        let group = self.metadata.row_group(group);
        let ranges = group.columns().iter().map(|column| {
            // The library would panic.
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            let start = u64::try_from(start).ok()?;
            Some(start..start.checked_add(u64::try_from(column.compressed_size()).ok()?)?)
        });
        let ranges: Option<Vec<_>> = ranges.collect();
        let ranges = ranges.ok_or("a column lies nowhere")?;
        let start = ranges.iter().map(|range| range.start).min().unwrap_or_default();
        let end = ranges.iter().map(|range| range.end).max().unwrap_or_default();
        match start <= end && end <= size && end - start <= LARGEST_ROW_GROUP {
            true => Ok(start..end),
            false => Err(format!("its columns lie at {start} to {end} of {size} bytes")),
        }
    }

    /// The records of a row group, whose bytes these are.
    pub fn records(&self, group: usize, start: u64, bytes: Bytes) -> Result<Records, String> {
        let group = self.metadata.row_group(group);
        let rows = self.check(group, start, &bytes)?;
        let window = Arc::new(Window { start, bytes });
        let schema = self.metadata.file_metadata().schema_descr();
        let reader = Columns { group, schema, window, rows };
        let (data, _) = reader.read::<ByteArrayType>(0)?;
        let (splits, _) = reader.read::<ByteArrayType>(1)?;
        let (sequences, _) = reader.read::<ByteArrayType>(2)?;
        let (subsequences, levels) = reader.read::<Int64Type>(3)?;
        let (arrived, _) = reader.read::<Int64Type>(4)?;
        let mut subsequences = subsequences.into_iter();
        let mut positions = Vec::with_capacity(rows);
        for ((split, sequence), level) in splits.iter().zip(&sequences).zip(&levels) {
            let sub = if *level > 0 { subsequences.next() } else { None };
            positions.push(self.position(split, sequence, sub)?);
        }
        Ok(Records { data, splits, positions, arrived })
    }

    /// How many records a row group has, if its pages are what they say.
    fn check(&self, group: &RowGroupMetaData, start: u64, bytes: &Bytes) -> Result<usize, String> {
        let rows = u64::try_from(group.num_rows()).map_err(|_| format!("{} records", group.num_rows()))?;
        if rows > LARGEST_ROW_GROUP / LEAST_RECORD {
            return Err(format!("{rows} records"));
        }
        for column in group.columns() {
            if !matches!(column.compression(), Compression::ZSTD(_)) {
                return Err(format!("{} is packed by {}", column.column_path(), column.compression()));
            }
            let (at, length) = column.byte_range();
            let from = at.checked_sub(start).and_then(|from| usize::try_from(from).ok());
            let chunk = from
                .zip(usize::try_from(length).ok())
                .and_then(|(from, length)| bytes.get(from..from.checked_add(length)?));
            let chunk = chunk.ok_or_else(|| format!("{} is not there", column.column_path()))?;
            pages::check(chunk, LARGEST_ROW_GROUP, rows)
                .map_err(|message| format!("{}: {message}", column.column_path()))?;
        }
        usize::try_from(rows).map_err(|_| format!("{rows} records"))
    }

    fn position(&self, split: &ByteArray, sequence: &ByteArray, sub: Option<i64>) -> Result<Position, String> {
        let name = std::str::from_utf8(split.data()).map_err(|_| "a split whose name is no text".to_owned())?;
        let text = std::str::from_utf8(sequence.data()).unwrap_or_default();
        let share = self.footer.splits.get(name).ok_or_else(|| format!("split {name} is not in its footer"))?;
        let position = match (share.first, sub) {
            (Position::Number(_), None) => text.parse().ok().map(Position::Number),
            (Position::Number(_), Some(_)) => None,
            (Position::Sequence(_), sub) => Sequence::parse(text)
                .zip(sub.map_or(Some(None), |sub| u32::try_from(sub).ok().map(Some)))
                .map(|(sequence, sub)| Position::Sequence(ExtendedSequence { sequence, sub })),
        };
        position.ok_or_else(|| format!("split {name}: \"{text}\" is no sequence number"))
    }
}

/// The columns of a row group.
struct Columns<'r> {
    group: &'r RowGroupMetaData,
    schema: &'r SchemaDescriptor,
    window: Arc<Window>,
    rows: usize,
}

impl Columns<'_> {
    /// All values of a column, and for each record whether it has one.
    fn read<T: DataType>(&self, column: usize) -> Result<(Vec<T::T>, Vec<i16>), String> {
        let name = || self.group.column(column).column_path().string();
        let failed = |error: ParquetError| format!("{}: {error}", name());
        let pages = SerializedPageReader::new(self.window.clone(), self.group.column(column), self.rows, None);
        let pages = Box::new(pages.map_err(failed)?);
        // Its type is that of the schema, which was held against what is expected.
        let mut reader: ColumnReaderImpl<T> =
            get_typed_column_reader(parquet::column::reader::get_column_reader(self.schema.column(column), pages));
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < self.rows {
            let rows = reader.read_records(self.rows - read, Some(&mut levels), None, &mut values);
            match rows.map_err(failed)? {
                (0, ..) => return Err(format!("{}: {read} of {} records", name(), self.rows)),
                (rows, ..) => read += rows,
            }
        }
        let is_optional = self.schema.column(column).max_def_level() > 0;
        let there = if is_optional { levels.iter().filter(|level| **level > 0).count() } else { self.rows };
        match values.len() == there && (!is_optional || levels.len() == self.rows) {
            true => Ok((values, levels)),
            false => Err(format!("{}: {} values of {there}", name(), values.len())),
        }
    }
}

/// A part of a file.
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Window {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let rest = self.len().saturating_sub(start);
        self.get_bytes(start, usize::try_from(rest).unwrap_or(usize::MAX)).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let range = from.and_then(|from| Some(from..from.checked_add(length)?));
        match range.filter(|range| range.end <= self.bytes.len()) {
            Some(range) => Ok(self.bytes.slice(range)),
            None => Err(ParquetError::EOF(format!("{length} bytes at {start} are outside of the row group"))),
        }
    }
}

#[cfg(test)]
mod tests;
