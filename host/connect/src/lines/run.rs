//! Records whose line numbers follow each other, and building them: a chunk names only its first position, so a gap starts
//! a new run.

use bytes::Bytes;
use wasmill_stream::binary::Span;
use wasmill_stream::{Binary, Result};

/// Records without a gap in their line numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The line of the first record, counted from 1.
    pub first: u64,
    /// The records.
    pub values: Binary,
}

/// Runs over one buffer, being built.
#[derive(Default)]
pub(crate) struct Runs {
    runs: Vec<(u64, Vec<Span>)>,
    /// The line that would continue the last run.
    next: u64,
}

impl Runs {
    /// Adds the record of a line, which lies at `start..end` of the buffer. Lines come in ascending order.
    #[inline]
    pub(crate) fn push(&mut self, line: u64, start: usize, end: usize) {
        let span = Span { start: start as u32, end: end as u32 };
        match self.runs.last_mut() {
            Some((_, spans)) if self.next == line => spans.push(span),
            _ => self.runs.push((line, vec![span])),
        }
        self.next = line + 1;
    }

    /// The runs over their buffer.
    pub(crate) fn finish(self, bytes: Bytes) -> Result<Vec<Run>> {
        let run = |(first, spans)| Ok(Run { first, values: Binary::from_spans(bytes.clone(), spans)? });
        self.runs.into_iter().map(run).collect()
    }
}
