//! An object that is being gathered.

use crate::json_lines;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// How objects are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// With gzip.
    Gzip,
}

impl Compression {
    /// The end of the key.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "jsonl",
            Self::Gzip => "jsonl.gz",
        }
    }

    /// The content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::None => "application/x-ndjson",
            Self::Gzip => "application/gzip",
        }
    }
}

/// Lines of one object, and how many rows they are.
pub struct Object {
    body: Body,
    rows: usize,
}

enum Body {
    Plain(Vec<u8>),
    Gzip { encoder: GzEncoder<Vec<u8>>, line: Vec<u8> },
}

impl Object {
    /// An empty object.
    pub fn new(compression: Compression) -> Self {
        let body = match compression {
            Compression::None => Body::Plain(Vec::new()),
            Compression::Gzip => {
                let encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                Body::Gzip { encoder, line: Vec::new() }
            }
        };
        Self { body, rows: 0 }
    }

    /// Appends a row.
    pub fn push(&mut self, value: &[u8]) -> io::Result<()> {
        self.rows += 1;
        match &mut self.body {
            Body::Plain(lines) => json_lines::append_value(value, lines),
            Body::Gzip { encoder, line } => {
                line.clear();
                json_lines::append_value(value, line);
                encoder.write_all(line)?;
            }
        }
        Ok(())
    }

    /// How many bytes the object has so far; with gzip a little less than it will have.
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Plain(lines) => lines.len(),
            Body::Gzip { encoder, .. } => encoder.get_ref().len(),
        }
    }

    /// The finished bytes and the number of rows in them.
    pub fn finish(self) -> io::Result<(Vec<u8>, usize)> {
        let bytes = match self.body {
            Body::Plain(lines) => lines,
            Body::Gzip { encoder, .. } => encoder.finish()?,
        };
        Ok((bytes, self.rows))
    }
}
