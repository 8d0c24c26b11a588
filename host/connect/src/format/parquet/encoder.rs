//! Encodes rows of known columns. A row group is gathered column by column as plain values, so that what it takes is known
//! exactly, and encoded as a whole.

use super::{ParquetSettings, schema};
use crate::format::columns::{Cell, ColumnSpec, Read};
use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use std::sync::Arc;
use wasmill_stream::field::FieldType;

/// A file that is being written, in memory.
pub struct Encoder {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Gathered>,
    /// How many bytes the gathered columns take.
    gathered: usize,
    row_group_bytes: usize,
}

/// The values of a column that are not encoded yet.
struct Gathered {
    values: Values,
    /// One level per row if rows may lack it: 0 for those that do.
    levels: Option<Vec<i16>>,
}

enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    /// All texts and where each ends.
    Text(Vec<u8>, Vec<usize>),
}

impl Encoder {
    /// An empty file.
    pub fn new(settings: &ParquetSettings, columns: &[ColumnSpec]) -> Result<Self> {
        let properties = Arc::new(settings.properties());
        let writer = SerializedFileWriter::new(Vec::new(), schema::of(columns)?, properties)?;
        let columns = columns.iter().map(Gathered::new).collect();
        Ok(Self { writer, columns, gathered: 0, row_group_bytes: settings.row_group_bytes })
    }

    /// Takes a row that fits the columns, which are the first of those that were read. `Err`: it does not; nothing was taken.
    pub fn push(&mut self, read: &Read<'_>, row: usize) -> std::result::Result<(), String> {
        read.check(self.columns.len(), row)?;
        for (number, column) in self.columns.iter_mut().enumerate() {
            self.gathered += column.push(read.cell(number, row)?);
        }
        Ok(())
    }

    /// Encodes what is gathered if it is a row group.
    pub fn roll(&mut self) -> Result<()> {
        if self.gathered >= self.row_group_bytes { self.end_row_group() } else { Ok(()) }
    }

    /// How many bytes it takes: those of row groups that are encoded, and those of values that are not.
    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.gathered
    }

    /// The whole file.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.end_row_group()?;
        self.writer.into_inner()
    }

    fn end_row_group(&mut self) -> Result<()> {
        if self.gathered == 0 {
            return Ok(());
        }
        let mut row_group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            if let Some(mut writer) = row_group.next_column()? {
                column.encode(&mut writer)?;
                writer.close()?;
            }
        }
        row_group.close()?;
        self.gathered = 0;
        Ok(())
    }
}

impl Gathered {
    fn new(column: &ColumnSpec) -> Self {
        let values = match column.field.kind {
            FieldType::Bool => Values::Bool(Vec::new()),
            FieldType::Int | FieldType::Time(_) => Values::Int(Vec::new()),
            FieldType::Float => Values::Float(Vec::new()),
            FieldType::Text => Values::Text(Vec::new(), Vec::new()),
        };
        Self { values, levels: column.field.optional.then(Vec::new) }
    }

    /// Returns how many bytes the cell takes.
    fn push(&mut self, cell: Cell<'_>) -> usize {
        let level = self.levels.as_mut().map_or(0, |levels| {
            levels.push(i16::from(cell != Cell::Null));
            size_of::<i16>()
        });
        level
            + match (&mut self.values, cell) {
                (Values::Bool(values), Cell::Bool(value)) => add(values, value),
                (Values::Int(values), Cell::Int(value) | Cell::Time(value)) => add(values, value),
                (Values::Float(values), Cell::Float(value)) => add(values, value),
                (Values::Text(bytes, ends), Cell::Text(text) | Cell::Json(text)) => {
                    bytes.extend_from_slice(text);
                    text.len() + add(ends, bytes.len())
                }
                // Cells have the type of their column.
                _ => 0,
            }
    }

    fn encode(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let levels = self.levels.as_deref();
        match &mut self.values {
            Values::Bool(values) => writer.typed::<BoolType>().write_batch(values, levels, None)?,
            Values::Int(values) => writer.typed::<Int64Type>().write_batch(values, levels, None)?,
            Values::Float(values) => writer.typed::<DoubleType>().write_batch(values, levels, None)?,
            Values::Text(bytes, ends) => {
                let bytes = Bytes::from(std::mem::take(bytes));
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let texts = starts.zip(ends.iter()).map(|(start, end)| ByteArray::from(bytes.slice(start..*end)));
                writer.typed::<ByteArrayType>().write_batch(&texts.collect::<Vec<_>>(), levels, None)?
            }
        };
        match &mut self.values {
            Values::Bool(values) => values.clear(),
            Values::Int(values) => values.clear(),
            Values::Float(values) => values.clear(),
            Values::Text(_, ends) => ends.clear(),
        }
        self.levels.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

fn add<T>(values: &mut Vec<T>, value: T) -> usize {
    values.push(value);
    size_of::<T>()
}
