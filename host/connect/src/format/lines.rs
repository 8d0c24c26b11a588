//! Rows as lines of text: JSON as it is, or cells between commas.

use super::Format;
use super::columns::{Cell, ColumnSpec, Read};
use crate::json_lines;
use std::io::{self, Write};
use wasmill_stream::Batch;
use wasmill_stream::time::iso8601;

/// Writes the lines of rows.
pub enum Lines<W: Write> {
    /// Values, and the line that is being made.
    Json(W, Vec<u8>),
    /// Cells, of so many columns.
    Csv(Box<csv::Writer<W>>, usize),
}

impl<W: Write> Lines<W> {
    /// In this format; `None` if it has no lines. What stands above the first one is written by [`Lines::head`].
    pub fn new(format: &Format, to: W) -> Option<Self> {
        match format {
            Format::Json(_) => Some(Self::Json(to, Vec::new())),
            Format::Csv(columns, _) => Some(Self::Csv(Box::new(csv::Writer::from_writer(to)), columns.len())),
            Format::Parquet(_) | Format::Archive => None,
        }
    }

    /// What a file begins with.
    pub fn head(&mut self, columns: &[ColumnSpec]) -> io::Result<()> {
        match self {
            Self::Json(..) => Ok(()),
            Self::Csv(writer, _) => Ok(writer.write_record(columns.iter().map(|column| &column.name))?),
        }
    }

    /// A row that fits the columns. `Ok(Err(…))`: it does not; nothing was written.
    pub fn push(&mut self, batch: &Batch, read: Option<&Read<'_>>, row: usize) -> io::Result<Result<(), String>> {
        match (self, read) {
            (Self::Json(to, line), _) => {
                line.clear();
                json_lines::append_value(batch.values.get(row), line);
                to.write_all(line)?;
            }
            (Self::Csv(writer, columns), Some(read)) => {
                if let Err(reason) = read.check(*columns, row) {
                    return Ok(Err(reason));
                }
                for column in 0..*columns {
                    match read.cell(column, row).unwrap_or(Cell::Null) {
                        Cell::Null => writer.write_field("")?,
                        Cell::Bool(value) => writer.write_field(if value { "true" } else { "false" })?,
                        Cell::Int(value) => writer.write_field(value.to_string())?,
                        Cell::Float(value) => writer.write_field(value.to_string())?,
                        Cell::Time(value) => writer.write_field(iso8601(value))?,
                        Cell::Text(text) | Cell::Json(text) => writer.write_field(text)?,
                    }
                }
                // Ends the line.
                writer.write_record(None::<&[u8]>)?;
            }
            // It has columns, so that they are read.
            (Self::Csv(..), None) => {}
        }
        Ok(Ok(()))
    }

    /// Where the lines go. With cells the last few may still be on their way.
    pub fn get_ref(&self) -> &W {
        match self {
            Self::Json(to, _) => to,
            Self::Csv(writer, _) => writer.get_ref(),
        }
    }

    /// Where the lines have gone.
    pub fn into_inner(self) -> io::Result<W> {
        match self {
            Self::Json(to, _) => Ok(to),
            Self::Csv(writer, _) => (*writer).into_inner().map_err(|error| error.into_error()),
        }
    }
}
