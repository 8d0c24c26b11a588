//! One file of records that is being gathered. Records wait column by column until they are a row group.

use super::footer::{Footer, KEY, Share, VERSION};
use super::order::Order;
use super::{ARRIVED, DATA, ROW_GROUP_BYTES, SEQUENCE, SHARD, SUBSEQUENCE, schema};
use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use wasmill_stream::{Position, SplitId};

/// A file that is being written, in memory.
pub struct Body {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Columns,
    shares: BTreeMap<SplitId, Share>,
    arrived: [i64; 2],
    records: usize,
}

/// Records that are not encoded yet.
#[derive(Default)]
struct Columns {
    data: Texts,
    sequences: Texts,
    /// The names of splits, and for each record which one.
    shards: Vec<ByteArray>,
    shard: Vec<ByteArray>,
    subsequences: Vec<i64>,
    /// Whether a record has a subsequence.
    levels: Vec<i16>,
    arrived: Vec<i64>,
}

/// Texts end to end.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A record on its way.
pub struct Record<'r> {
    /// Its bytes.
    pub data: &'r [u8],
    /// Its place.
    pub position: Position,
    /// When it arrived.
    pub arrived: i64,
}

impl Body {
    /// An empty file.
    pub fn new() -> Result<Self> {
        let writer = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties()))?;
        let (columns, shares) = Default::default();
        Ok(Self { writer, columns, shares, arrived: [i64::MAX, i64::MIN], records: 0 })
    }

    /// Takes a record of a split.
    pub fn push(&mut self, split: &SplitId, record: &Record<'_>) -> Result<()> {
        let Record { position, arrived, .. } = *record;
        match self.shares.get_mut(split) {
            Some(share) => {
                share.records += 1;
                share.last = position;
            }
            None => {
                let share = Share { parents: split.parents().to_vec(), records: 1, first: position, last: position };
                self.shares.insert(split.clone(), share);
            }
        }
        self.arrived = [self.arrived[0].min(arrived), self.arrived[1].max(arrived)];
        self.records += 1;
        self.columns.push(split, record);
        if self.columns.bytes() >= ROW_GROUP_BYTES { self.end_row_group() } else { Ok(()) }
    }

    /// How many bytes it takes: those of row groups that are encoded, and those of records that are not.
    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.columns.bytes()
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The whole file, which stands there among those of its source.
    pub fn finish(mut self, source: &str, order: Order) -> Result<Vec<u8>> {
        self.end_row_group()?;
        let splits = self.shares.into_iter().map(|(split, share)| (split.part().to_owned(), share)).collect();
        let footer = Footer { version: VERSION, source: source.to_owned(), order, arrived: self.arrived, splits };
        let text = serde_json::to_string(&footer).map_err(|error| ParquetError::External(Box::new(error)))?;
        self.writer.append_key_value_metadata(KeyValue::new(KEY.to_owned(), text));
        self.writer.into_inner()
    }

    fn end_row_group(&mut self) -> Result<()> {
        if self.columns.arrived.is_empty() {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.columns);
        let mut group = self.writer.next_row_group()?;
        write::<ByteArrayType>(&mut group, &columns.data.arrays(), None)?;
        write::<ByteArrayType>(&mut group, &columns.shard, None)?;
        write::<ByteArrayType>(&mut group, &columns.sequences.arrays(), None)?;
        write::<Int64Type>(&mut group, &columns.subsequences, Some(&columns.levels))?;
        write::<Int64Type>(&mut group, &columns.arrived, None)?;
        group.close().map(drop)
    }
}

impl Columns {
    fn push(&mut self, split: &SplitId, record: &Record<'_>) {
        self.data.bytes.extend_from_slice(record.data);
        self.data.end();
        let part = split.part().as_bytes();
        // Records of one split come together.
        let is_it = |shard: &&ByteArray| shard.data() == part;
        let last = self.shard.last().filter(is_it);
        let shard = match last.or_else(|| self.shards.iter().find(is_it)) {
            Some(shard) => shard.clone(),
            None => {
                let shard = ByteArray::from(part.to_vec());
                self.shards.push(shard.clone());
                shard
            }
        };
        self.shard.push(shard);
        let sub = match record.position {
            Position::Number(_) => None,
            Position::Sequence(place) => place.sub,
        };
        // Writing into memory does not fail.
        let _ = match record.position {
            Position::Number(number) => write!(self.sequences.bytes, "{number}"),
            Position::Sequence(place) => write!(self.sequences.bytes, "{}", place.sequence),
        };
        self.sequences.end();
        self.subsequences.extend(sub.map(i64::from));
        self.levels.push(i16::from(sub.is_some()));
        self.arrived.push(record.arrived);
    }

    /// About how much they take.
    fn bytes(&self) -> usize {
        let rows = self.arrived.len() * (size_of::<ByteArray>() + 2 * size_of::<i64>() + size_of::<i16>());
        self.data.size() + self.sequences.size() + rows
    }
}

impl Texts {
    /// What was written since the last text is one.
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.ends.as_slice())
    }

    fn arrays(self) -> Vec<ByteArray> {
        let bytes = Bytes::from(self.bytes);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| ByteArray::from(bytes.slice(start..*end))).collect()
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    let missing = || ParquetError::General("a row group has too few columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

fn properties() -> WriterProperties {
    let path = |name: &str| ColumnPath::from(name);
    let mut builder = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    // Nobody looks for records by their bytes.
    builder = builder.set_column_statistics_enabled(path(DATA), EnabledStatistics::None);
    for name in [DATA, SEQUENCE, SUBSEQUENCE, ARRIVED] {
        builder = builder.set_column_dictionary_enabled(path(name), false);
    }
    builder.set_column_dictionary_enabled(path(SHARD), true).build()
}
