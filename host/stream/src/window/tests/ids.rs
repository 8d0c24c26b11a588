//! Logic whose accumulator is the sorted list of the ids of all rows, so that a result tells exactly which rows it is made
//! of. It checks the host's side of the contract on the way.

use crate::plugin::{Accumulated, Aggregate, Finished, Fired, Merged, Reject, View};
use crate::{Binary, Cells, Error, Firing, GuestFault, Result};

/// The ids in an accumulator.
pub(super) fn parse(accumulator: &[u8]) -> Vec<u32> {
    assert_eq!(accumulator.len() % 4, 0);
    accumulator.chunks_exact(4).map(|id| u32::from_le_bytes(id.try_into().expect("four bytes"))).collect()
}

fn print(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

/// Counts its calls.
#[derive(Default)]
pub(in crate::window) struct Ids {
    /// How often `accumulate` was called, and with how many rows the last time.
    pub(super) accumulated: (usize, usize),
    /// How often `merge` was called.
    pub(super) merged: usize,
    /// How many accumulators each `finish` got.
    pub(super) finished: Vec<usize>,
}

impl Aggregate for Ids {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        self.accumulated = (self.accumulated.0 + 1, groups.len());
        let (keys, values) = (batch.keys.expect("keys"), batch.values.expect("values"));
        let Some(Cells::Bool(bad)) = batch.fields.first().map(|column| &column.cells) else {
            return Err(Error::guest(GuestFault::Trap, "the field is missing"));
        };
        assert_eq!([groups.len(); 4], [batch.times.len(), keys.len(), values.len(), bad.len()]);
        let mut lists: Vec<Vec<u32>> = accumulators.iter().map(parse).collect();
        let mut key_of = vec![None; lists.len()];
        let mut rejects = Vec::new();
        for (at, &group) in groups.iter().enumerate() {
            let key = key_of[group as usize].get_or_insert(keys.get(at));
            assert_eq!(*key, keys.get(at), "rows of two keys in one group");
            if bad[at] {
                rejects.push(Reject::new(at as u32, "bad"));
            } else {
                let list = &mut lists[group as usize];
                list.extend(parse(values.get(at)));
                list.sort_unstable();
            }
        }
        assert!(key_of.iter().all(Option::is_some), "an accumulator without rows");
        // The host puts refusals in order.
        rejects.reverse();
        Ok(Accumulated { accumulators: lists.iter().map(|list| print(list)).collect(), rejects })
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        self.merged += 1;
        assert_eq!(accumulators.len(), groups.len());
        let mut lists = vec![Vec::new(); count as usize];
        for (accumulator, &group) in accumulators.iter().zip(groups) {
            assert!(!accumulator.is_empty(), "a key without state takes part");
            lists[group as usize].extend(parse(accumulator));
        }
        for list in &mut lists {
            assert!(!list.is_empty(), "a result without accumulators");
            list.sort_unstable();
        }
        Ok(lists.iter().map(|list| print(list)).collect::<Binary>().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let order = |at: usize| {
            let Firing { start, end, .. } = fired.windows[at];
            (end, start, fired.keys.get(at))
        };
        assert!((1..fired.windows.len()).all(|at| order(at - 1) < order(at)), "windows out of order");
        assert!(fired.accumulators.iter().all(|accumulator| !accumulator.is_empty()), "an empty window fires");
        self.finished.push(fired.accumulators.len());
        Ok(Finished { values: fired.accumulators.clone(), ..Finished::default() })
    }
}
