//! Splits bytes into lines without copying them: a block is read, its line ends are found, and its lines become one
//! column over the block. Used by the sources that read JSON lines; it does not look inside a line.

mod block;
mod run;

use block::Blocks;
use memchr::{memchr, memchr_iter};
use std::io::{self, Read};
use std::ops::Range;
use wasmill_stream::Result;

pub use run::Run;
pub(crate) use run::Runs;

/// The longest record, as in Kinesis. Of a longer one only so much is read: cut off, it is no valid JSON any more, so that
/// it is rejected and counted where it is decoded, with its position.
pub const RECORD_LIMIT: usize = 1 << 20;

/// How much is read at once: enough to make the hand-over between threads cheap, little enough to stay in the cache.
pub(crate) const BLOCK: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// When a block is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// When it is full: for files.
    Whole,
    /// As soon as it has a line: for pipes and terminals.
    Prompt,
}

/// Reads lines. Line ends are `\n` or `\r\n`; blank lines are counted but are no records.
pub struct LineReader<R> {
    input: R,
    fill: Fill,
    blocks: Blocks,
    /// The beginning of a line whose end has not been read yet.
    carry: Vec<u8>,
    /// The number of the next line.
    line: u64,
    /// Whether what comes next is the rest of a line that was cut off.
    skipping: bool,
    /// Met while there were lines to hand over first.
    failure: Option<io::Error>,
    ended: bool,
}

impl<R: Read> LineReader<R> {
    /// A reader at the beginning of its input.
    pub fn new(input: R, fill: Fill) -> Self {
        Self {
            input,
            fill,
            blocks: Blocks::new(BLOCK),
            carry: Vec::new(),
            line: 1,
            skipping: false,
            failure: None,
            ended: false,
        }
    }

    /// The next lines; none at the end. What was read before a failure is handed over before the failure.
    pub fn read(&mut self) -> io::Result<Vec<Run>> {
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if self.ended {
                return Ok(Vec::new());
            }
            // A line may take the whole limit, so a carried one must have room to grow.
            let mut block = self.blocks.take((self.carry.len() * 2).min(RECORD_LIMIT));
            let filled = self.fill_block(&mut block);
            let runs = self.split(block, filled).map_err(io::Error::other)?;
            if !runs.is_empty() {
                return Ok(runs);
            }
        }
    }

    /// Reads until the block is full and holds a line end, or the input or the limit ends. Returns how much is filled.
    fn fill_block(&mut self, block: &mut Vec<u8>) -> usize {
        let mut filled = self.carry.len();
        block[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        let mut has_line = false;
        loop {
            if filled == block.len() {
                if has_line || filled >= RECORD_LIMIT {
                    return filled;
                }
                block.resize((filled * 2).min(RECORD_LIMIT), 0);
            }
            match self.input.read(&mut block[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    return filled;
                }
                Ok(read) => {
                    has_line = has_line || memchr(b'\n', &block[filled..filled + read]).is_some();
                    filled += read;
                    if has_line && self.fill == Fill::Prompt {
                        return filled;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                    return filled;
                }
            }
        }
    }

    fn split(&mut self, block: Vec<u8>, filled: usize) -> Result<Vec<Run>> {
        let bytes = &block[..filled];
        let mut runs = Runs::default();
        let origin = self.skip_prefix(bytes);
        let mut start = origin;
        for length in memchr_iter(b'\n', &bytes[origin..]) {
            let end = origin + length;
            self.take_line(bytes, start..end, &mut runs);
            start = end + 1;
        }
        let rest = &bytes[start..];
        let cut = rest.len() >= RECORD_LIMIT;
        if cut || (self.ended && self.failure.is_none() && !rest.is_empty()) {
            self.take_line(bytes, start..filled, &mut runs);
            self.skipping = cut;
        } else {
            self.carry.extend_from_slice(rest);
        }
        runs.finish(self.blocks.share(block, filled))
    }

    /// How much of a block is no line of its own: the rest of one that was cut off, or a byte order mark.
    fn skip_prefix(&mut self, bytes: &[u8]) -> usize {
        if self.skipping {
            let end = memchr(b'\n', bytes);
            self.skipping = end.is_none();
            return end.map_or(bytes.len(), |end| end + 1);
        }
        if self.line == 1 && bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
    }

    #[inline]
    fn take_line(&mut self, bytes: &[u8], line: Range<usize>, runs: &mut Runs) {
        let text = &bytes[line.clone()];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let blank = text.first().is_none_or(|first| *first <= b' ') && text.trim_ascii().is_empty();
        if !blank {
            runs.push(self.line, line.start, line.start + text.len());
        }
        self.line += 1;
    }
}

#[cfg(test)]
mod tests;
