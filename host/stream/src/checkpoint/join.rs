//! Brings runs together without holding more of them than a segment each. Runs are sorted, so what lies before the first of
//! the ends of their present segments is complete, and can be folded and given away.

use super::Changes;
use super::fold::Folded;
use crate::Result;
use bytes::Bytes;

/// Runs that become one, the oldest first.
pub struct Join {
    inputs: Vec<Input>,
    folded: Folded,
}

/// What is left of a run.
#[derive(Default)]
struct Input {
    /// Of its present segment.
    bytes: Bytes,
    /// The last entry of that, by its group and name, if there are more segments.
    last: Option<(u16, Vec<u8>)>,
    /// Whether its last segment was given.
    ended: bool,
}

impl Join {
    /// Brings so many runs together. For the rest see [`fold`](super::fold).
    pub fn new(runs: usize, watermark: i64, whole: bool, size: usize) -> Self {
        let inputs = (0..runs).map(|_| Input::default()).collect();
        Self { inputs, folded: Folded::new(watermark, whole, size) }
    }

    /// The run whose next segment is needed before anything else.
    pub fn wants(&self) -> Option<usize> {
        self.inputs.iter().position(|input| !input.ended && input.bytes.is_empty())
    }

    /// Gives the next segment of a run, and tells whether more follow.
    pub fn give(&mut self, run: usize, segment: Bytes, more: bool) -> Result<()> {
        let last = match Changes::read(&segment).last().filter(|_| more) {
            Some(last) => last.map(|last| Some((last.group, last.name.to_vec())))?,
            None => None,
        };
        self.inputs[run] = Input { bytes: segment, last, ended: !more };
        Ok(())
    }

    /// Goes on as far as the segments reach, when none is wanted. Returns the parts that are full.
    pub fn go_on(&mut self) -> Result<Vec<Changes>> {
        let bound = self.inputs.iter().filter_map(|input| input.last.clone()).min();
        let mut logs = Vec::new();
        for input in &mut self.inputs {
            let reached = match &bound {
                Some((group, name)) => length_up_to(&input.bytes, (*group, name))?,
                None => input.bytes.len(),
            };
            logs.push(input.bytes.split_to(reached));
            if input.bytes.is_empty() {
                input.last = None;
            }
        }
        self.folded.add(&logs.iter().map(|log| &**log).collect::<Vec<_>>())?;
        Ok(self.folded.take_full())
    }

    /// Whether all segments of all runs were given and used.
    pub fn is_done(&self) -> bool {
        self.inputs.iter().all(|input| input.ended && input.bytes.is_empty())
    }

    /// The last part, when all is done.
    pub fn finish(self) -> Option<Changes> {
        self.folded.finish().pop()
    }
}

/// How many bytes of a sorted log its entries up to `bound` take.
fn length_up_to(log: &[u8], bound: (u16, &[u8])) -> Result<usize> {
    let mut length = 0;
    for change in Changes::read(log) {
        let change = change?;
        if (change.group, change.name) > bound {
            break;
        }
        length += change.length();
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Change, ChangeLog, fold};
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Runs of segments of any size, brought together piece by piece → the same as all at once; and of no run more than
        /// one segment is held.
        #[test]
        fn pieces_make_the_whole(
            logs in proptest::collection::vec(
                proptest::collection::vec((0u16..3, 0u8..20, 0i64..20, proptest::option::of(any::<u8>())), 0..40), 1..5),
            sizes in proptest::collection::vec(1usize..300, 5),
            (watermark, whole, size) in (0i64..20, any::<bool>(), 1usize..300),
        ) {
            let mut runs: Vec<VecDeque<Bytes>> = Vec::new();
            for (entries, size) in logs.iter().zip(sizes) {
                let mut log = Changes::default();
                for (group, name, expires, value) in entries {
                    let value = value.as_ref().map(std::slice::from_ref);
                    log.push(Change { group: *group, name: &[*name], expires: *expires, value });
                }
                let run = fold(&[log.bytes()], watermark, false, size).expect("whole logs");
                runs.push(run.into_iter().map(|part| part.into_bytes().into()).collect());
            }
            let all: Vec<Vec<u8>> = runs.iter().map(|run| run.iter().flatten().copied().collect()).collect();
            let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            let expected = fold(&all, watermark, whole, size).expect("whole logs");

            let mut join = Join::new(runs.len(), watermark, whole, size);
            let mut parts = Vec::new();
            while !join.is_done() {
                while let Some(run) = join.wants() {
                    let segment = runs[run].pop_front().unwrap_or_default();
                    join.give(run, segment, !runs[run].is_empty()).expect("whole segments");
                }
                parts.extend(join.go_on().expect("whole segments"));
            }
            parts.extend(join.finish());
            prop_assert_eq!(parts, expected);
        }
    }
}
