//! Compression of text. What was packed can be read when it was flushed, and packed streams may follow each other in a file.

use flate2::write::GzEncoder;
use std::io::{self, Write};

/// How text is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    #[default]
    None,
    /// With gzip.
    Gzip,
    /// With Zstandard.
    Zstd,
}

/// A stream that is being packed, in memory.
pub enum Packer {
    /// Not at all.
    Plain(Vec<u8>),
    /// With gzip.
    Gzip(GzEncoder<Vec<u8>>),
    /// With Zstandard.
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Packer {
    /// An empty stream.
    pub fn new(packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::None => Self::Plain(Vec::new()),
            Packing::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
            Packing::Zstd => Self::Zstd(zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?),
        })
    }

    /// What has come out so far; what is still inside is a little more.
    pub fn packed(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
        }
    }

    /// The same, to be taken away.
    pub fn packed_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    /// Ends the stream. Returns what was not taken away.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(bytes) => Ok(bytes),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(packed) => packed.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
