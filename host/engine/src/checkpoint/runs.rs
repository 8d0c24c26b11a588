//! The stored state of a step: runs of sorted entries, the newer replacing the older. A checkpoint adds a run with what has
//! changed; when it is as large as half of the run before, the two become one, and so on. So there are never more runs than
//! the logarithm of the state's size, the store holds at most about twice the state, and a checkpoint costs what has changed,
//! times a logarithm.

use super::journal::{Fence, patiently, state_name};
use bytes::Bytes;
use std::collections::VecDeque;
use wasmill_stream::checkpoint::{Changes, Digest, Join, Run, Segment, Store, fold};
use wasmill_stream::{Error, ErrorKind, Result};

/// About how many bytes one object has.
const SEGMENT: usize = 32 << 20;

/// A run is brought together with the one before it, if that has fewer than so many times its bytes.
const RATIO: u64 = 2;

/// Reads a segment and proves that it is what was written.
pub async fn read(store: &dyn Store, segment: &Segment) -> Result<Bytes> {
    let damaged = |how: String| {
        Error::new(ErrorKind::Corrupt, format!("{} in {} is damaged: {how}", segment.name, store.place()))
    };
    let Some(bytes) = store.get(&segment.name).await? else {
        return Err(damaged("it is missing".to_owned()));
    };
    if bytes.len() as u64 != segment.bytes {
        return Err(damaged(format!("it has {} bytes instead of {}", bytes.len(), segment.bytes)));
    }
    if Digest::of(&bytes) != segment.digest {
        return Err(damaged("its digest does not fit its bytes".to_owned()));
    }
    Ok(bytes)
}

/// A part of a sorted run.
enum Piece {
    Stored(Segment),
    Fresh(Changes),
}

/// Writes states for one manifest.
pub struct StateWriter<'a> {
    store: &'a dyn Store,
    fence: &'a Fence,
    number: u64,
    /// How many objects it has written.
    parts: usize,
    /// How many bytes those have.
    pub written: u64,
}

impl<'a> StateWriter<'a> {
    /// For the manifest `number`.
    pub fn new(store: &'a dyn Store, fence: &'a Fence, number: u64) -> Self {
        Self { store, fence, number, parts: 0, written: 0 }
    }

    /// Adds what has changed on all workers to the runs of a step. Of the runs that become one it holds one segment each.
    pub async fn add(&mut self, runs: &mut Vec<Run>, changes: Vec<Changes>, watermark: i64) -> Result<()> {
        let fresh: u64 = changes.iter().map(|log| log.bytes().len() as u64).sum();
        if fresh == 0 {
            return Ok(());
        }
        let first = first_to_merge(&runs.iter().map(Run::bytes).collect::<Vec<_>>(), fresh);
        let whole = first == 0;
        let alone = first == runs.len();
        let sorted = sorting(move || {
            let logs: Vec<&[u8]> = changes.iter().map(Changes::bytes).collect();
            fold(&logs, watermark, whole && alone, SEGMENT)
        });
        let mut run = Run::default();
        if alone {
            for part in sorted.await? {
                run.segments.push(self.write(part).await?);
            }
        } else {
            let stored = runs[first..].iter().map(|run| run.segments.iter().cloned().map(Piece::Stored).collect());
            let fresh = sorted.await?.into_iter().map(Piece::Fresh).collect();
            let inputs = stored.chain([fresh]).collect();
            self.join(inputs, watermark, whole, &mut run).await?;
        }
        runs.truncate(first);
        if !run.segments.is_empty() {
            runs.push(run);
        }
        Ok(())
    }

    /// Brings sorted pieces together, the oldest first.
    async fn join(
        &mut self,
        mut inputs: Vec<VecDeque<Piece>>,
        watermark: i64,
        whole: bool,
        run: &mut Run,
    ) -> Result<()> {
        let mut join = Join::new(inputs.len(), watermark, whole, SEGMENT);
        while !join.is_done() {
            while let Some(input) = join.wants() {
                let bytes = match inputs[input].pop_front() {
                    Some(Piece::Stored(segment)) => {
                        patiently(self.store.place(), || read(self.store, &segment)).await?
                    }
                    Some(Piece::Fresh(part)) => part.into_bytes().into(),
                    None => Bytes::new(),
                };
                join.give(input, bytes, !inputs[input].is_empty())?;
            }
            let parts;
            (join, parts) = sorting(move || join.go_on().map(|parts| (join, parts))).await?;
            for part in parts {
                run.segments.push(self.write(part).await?);
            }
        }
        if let Some(part) = join.finish() {
            run.segments.push(self.write(part).await?);
        }
        Ok(())
    }

    async fn write(&mut self, part: Changes) -> Result<Segment> {
        let name = state_name(self.fence, self.number, self.parts);
        let entries = part.len();
        let bytes = Bytes::from(part.into_bytes());
        patiently(self.store.place(), || self.store.put(&name, bytes.clone())).await?;
        self.parts += 1;
        self.written += bytes.len() as u64;
        Ok(Segment { name, bytes: bytes.len() as u64, entries, digest: Digest::of(&bytes) })
    }
}

/// Sorts on a thread that may be busy for a while.
async fn sorting<T: Send + 'static>(sort: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let sorted = tokio::task::spawn_blocking(sort).await;
    sorted.map_err(|error| Error::internal(format!("sort a state: {error}")))?
}

/// The first of the runs, whose sizes are given, that has to be brought together with `fresh` bytes.
fn first_to_merge(runs: &[u64], fresh: u64) -> usize {
    let mut size = fresh;
    let mut first = runs.len();
    while let Some(before) = first.checked_sub(1).map(|before| runs[before])
        && before < RATIO * size
    {
        size += before;
        first -= 1;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand checkpoints of any sizes → few runs, each at least twice the next, and every byte was written about as
    /// often as there are runs.
    #[test]
    fn runs_stay_few() {
        let (mut runs, mut written, mut seed) = (Vec::new(), 0u64, 7u64);
        let mut total = 0;
        for _ in 0..1_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let fresh = 1 + (seed >> 33) % 1_000;
            let first = first_to_merge(&runs, fresh);
            let size = fresh + runs.drain(first..).sum::<u64>();
            runs.push(size);
            written += size;
            total += fresh;
            assert!(runs.windows(2).all(|pair| pair[0] >= RATIO * pair[1]), "{runs:?}");
            assert!(runs.len() <= 20, "{runs:?}");
        }
        assert!(written < 12 * total, "{written} of {total}");
    }
}
