//! One file or object that is being gathered in memory.

use super::Format;
use super::columns::Read;
use super::lines::Lines;
use super::packing::{Packer, Packing};
use super::parquet::{Encoder, Inference};
use std::io;
use wasmill_stream::Batch;

/// Rows that are on their way to be one file or object.
pub struct Body {
    content: Content,
    rows: usize,
}

enum Content {
    Lines(Box<Lines<Packer>>),
    Parquet(Box<Encoder>),
    Inferred(Box<Inference>),
}

impl Body {
    /// An empty one.
    pub fn new(format: &Format) -> io::Result<Self> {
        let lines = |packing: Packing| -> io::Result<Content> {
            let mut lines = Lines::new(format, Packer::new(packing)?).ok_or_else(|| io::Error::other("no lines"))?;
            lines.head(format.columns())?;
            Ok(Content::Lines(Box::new(lines)))
        };
        let content = match format {
            Format::Json(packing) | Format::Csv(_, packing) => lines(*packing)?,
            Format::Parquet(settings) => match &settings.columns {
                Some(columns) => Content::Parquet(Box::new(Encoder::new(settings, columns)?)),
                None => Content::Inferred(Box::new(Inference::new(settings.clone()))),
            },
            Format::Archive => return Err(io::Error::other("records have no rows")),
        };
        Ok(Self { content, rows: 0 })
    }

    /// Takes a row. `read`: the columns of the format, if it has any. `Ok(Err(…))`: the row does not fit the format, and nothing
    /// was taken.
    pub fn push(&mut self, batch: &Batch, read: Option<&Read<'_>>, row: usize) -> io::Result<Result<(), String>> {
        let taken = match (&mut self.content, read) {
            (Content::Lines(lines), read) => lines.push(batch, read, row)?,
            (Content::Inferred(inference), _) => inference.push(batch.values.get(row)),
            (Content::Parquet(encoder), Some(read)) => {
                let taken = encoder.push(read, row);
                encoder.roll()?;
                taken
            }
            (Content::Parquet(_), None) => Err("its columns were not read".to_owned()),
        };
        self.rows += usize::from(taken.is_ok());
        Ok(taken)
    }

    /// How many bytes it takes so far; packed text will have a little more in the end.
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Lines(lines) => lines.get_ref().packed().len(),
            Content::Parquet(encoder) => encoder.bytes(),
            Content::Inferred(inference) => inference.bytes(),
        }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The finished bytes.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.content {
            Content::Lines(lines) => lines.into_inner()?.finish(),
            Content::Parquet(encoder) => Ok(encoder.finish()?),
            Content::Inferred(inference) => Ok(inference.finish()?),
        }
    }
}
