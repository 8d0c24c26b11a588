//! Unpacking by content: what a file is called says nothing for certain. gzip, snappy (framed, and as Java's
//! SnappyOutputStream writes it) and lz4 frames; anything else is read as it is.

use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4;
use snap::raw::{Decoder as RawSnappy, decompress_len};
use snap::read::FrameDecoder as Snappy;
use std::fmt;
use std::io::{self, BufReader, Cursor, Read};

const GZIP: &[u8] = b"\x1F\x8B";
const SNAPPY: &[u8] = b"\xFF\x06\x00\x00sNaPpY";
const XERIAL: &[u8] = b"\x82SNAPPY\x00";
const LZ4: &[u8] = b"\x04\x22\x4D\x18";
/// Version numbers behind the magic bytes of [`XERIAL`].
const XERIAL_VERSIONS: usize = 8;
/// No writer makes larger blocks; lengths are hostile.
const BLOCK: usize = 64 << 20;

/// How data is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// snappy, framed.
    Snappy,
    /// snappy, as Java writes it.
    Xerial,
    /// An lz4 frame.
    Lz4,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Snappy | Self::Xerial => "snappy",
            Self::Lz4 => "lz4",
        })
    }
}

/// What is in the input, and how it was packed.
pub fn unpack(mut input: impl Read + Send + 'static) -> io::Result<(Packing, Box<dyn Read + Send>)> {
    let mut head = Vec::new();
    input.by_ref().take(SNAPPY.len() as u64).read_to_end(&mut head)?;
    let packing = match head.as_slice() {
        head if head.starts_with(GZIP) => Packing::Gzip,
        head if head.starts_with(SNAPPY) => Packing::Snappy,
        head if head.starts_with(XERIAL) => Packing::Xerial,
        head if head.starts_with(LZ4) => Packing::Lz4,
        _ => Packing::None,
    };
    let whole = Cursor::new(head).chain(input);
    let buffered = |input| BufReader::with_capacity(64 << 10, input);
    Ok((
        packing,
        match packing {
            Packing::None => Box::new(whole),
            Packing::Gzip => Box::new(MultiGzDecoder::new(buffered(whole))),
            Packing::Snappy => Box::new(Named(Snappy::new(buffered(whole)))),
            Packing::Lz4 => Box::new(Named(Lz4::new(buffered(whole)))),
            Packing::Xerial => Box::new(Xerial::new(buffered(whole))?),
        },
    ))
}

/// An unpacker whose complaints about the data have a kind of their own.
struct Named<R>(R);

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
            _ => error,
        })
    }
}

/// Blocks of raw snappy, each behind its length.
struct Xerial<R> {
    input: R,
    block: Cursor<Vec<u8>>,
}

impl<R: Read> Xerial<R> {
    fn new(mut input: R) -> io::Result<Self> {
        input.read_exact(&mut vec![0; XERIAL.len() + XERIAL_VERSIONS])?;
        Ok(Self { input, block: Cursor::default() })
    }

    /// The next block; `false` at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        match self.input.read(&mut length)? {
            0 => return Ok(false),
            read => self.input.read_exact(&mut length[read..])?,
        }
        let length = bounded(u32::from_be_bytes(length) as usize)?;
        let mut packed = Vec::new();
        if self.input.by_ref().take(length as u64).read_to_end(&mut packed)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        bounded(decompress_len(&packed).map_err(damaged)?)?;
        self.block = Cursor::new(RawSnappy::new().decompress_vec(&packed).map_err(damaged)?);
        Ok(true)
    }
}

fn bounded(length: usize) -> io::Result<usize> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, format!("a block of {length} bytes"));
    if length <= BLOCK { Ok(length) } else { Err(too_long()) }
}

impl<R: Read> Read for Xerial<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buffer)?;
            if read > 0 || buffer.is_empty() || !self.next_block()? {
                return Ok(read);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text() -> Vec<u8> {
        (0..20_000).flat_map(|line| format!("line {line}\n").into_bytes()).collect()
    }

    fn packed(packing: Packing, text: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        match packing {
            Packing::None => packed.extend_from_slice(text),
            Packing::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
                encoder.write_all(text).and_then(|()| encoder.finish().map(drop)).expect("memory");
            }
            Packing::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(&mut packed);
                encoder.write_all(text).and_then(|()| encoder.flush()).expect("memory");
            }
            // What the Java library writes: magic, two versions, blocks of 32 KiB.
            Packing::Xerial => {
                packed.extend_from_slice(XERIAL);
                packed.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
                for block in text.chunks(32 << 10) {
                    let block = snap::raw::Encoder::new().compress_vec(block).expect("memory");
                    packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
                    packed.extend_from_slice(&block);
                }
            }
            // A frame of blocks that were not made smaller, by the description of the format: version 1, blocks independent,
            // of at most 64 KiB, the checksum of the header as its tools give it for these two bytes.
            Packing::Lz4 => {
                packed.extend_from_slice(LZ4);
                packed.extend_from_slice(&[0x60, 0x40, 0x82]);
                for block in text.chunks(64 << 10) {
                    packed.extend_from_slice(&(block.len() as u32 | 1 << 31).to_le_bytes());
                    packed.extend_from_slice(block);
                }
                packed.extend_from_slice(&[0; 4]);
            }
        }
        packed
    }

    /// Every packing, known by its first bytes → what was packed; cut in the middle → an error, not less text.
    #[test]
    fn content_says_how_it_is_packed() {
        let text = text();
        for packing in [Packing::None, Packing::Gzip, Packing::Snappy, Packing::Xerial, Packing::Lz4] {
            let packed = packed(packing, &text);
            let (found, mut input) = unpack(Cursor::new(packed.clone())).expect("a beginning");
            let mut read = Vec::new();
            input.read_to_end(&mut read).unwrap_or_else(|error| panic!("{packing}: {error}"));
            assert!(found == packing && read == text, "{packing}: {} bytes", read.len());
            if packing != Packing::None {
                let (_, mut input) = unpack(Cursor::new(packed[..packed.len() / 2].to_vec())).expect("a beginning");
                assert!(input.read_to_end(&mut Vec::new()).is_err(), "{packing}");
            }
        }
    }

    /// A block that says that it is larger than any → an error, and no memory is taken.
    #[test]
    fn lengths_are_not_believed() {
        let mut packed = packed(Packing::Xerial, b"");
        packed.extend_from_slice(&[0xFF; 4]);
        let (_, mut input) = unpack(Cursor::new(packed)).expect("a beginning");
        let error = input.read_to_end(&mut Vec::new()).expect_err("nobody has so much");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
