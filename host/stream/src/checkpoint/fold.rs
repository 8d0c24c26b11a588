//! Logs of changes become runs: sorted, each name once.

use super::{Change, ChangeLog, Changes};
use crate::Result;

/// Brings logs together, the oldest first: of each name the last entry stays, sorted by key group and name, in parts of
/// about `size` bytes. If the logs are everything that is known of a state (`whole`), removed entries and those that have
/// expired at `watermark` are left out; otherwise they stay, for older logs may know their names.
pub fn fold(logs: &[&[u8]], watermark: i64, whole: bool, size: usize) -> Result<Vec<Changes>> {
    let mut folded = Folded::new(watermark, whole, size);
    folded.add(logs)?;
    Ok(folded.finish())
}

/// What logs that are brought together one stretch of names after the other have become.
pub(super) struct Folded {
    watermark: i64,
    whole: bool,
    size: usize,
    full: Vec<Changes>,
    part: Changes,
}

impl Folded {
    pub(super) fn new(watermark: i64, whole: bool, size: usize) -> Self {
        Self { watermark, whole, size, full: Vec::new(), part: Changes::default() }
    }

    /// Adds logs whose names all lie behind those of the ones before.
    pub(super) fn add(&mut self, logs: &[&[u8]]) -> Result<()> {
        let mut all: Vec<Change<'_>> = Vec::new();
        for log in logs {
            for change in Changes::read(log) {
                all.push(change?);
            }
        }
        // Stable: entries of one name stay in the order of their logs.
        all.sort_by(|a, b| (a.group, a.name).cmp(&(b.group, b.name)));
        for same in all.chunk_by(|a, b| (a.group, a.name) == (b.group, b.name)) {
            let Some(last) = same.last() else { continue };
            if self.whole && (last.value.is_none() || last.expires <= self.watermark) {
                continue;
            }
            self.part.push(*last);
            if self.part.bytes().len() >= self.size {
                self.full.push(std::mem::take(&mut self.part));
            }
        }
        Ok(())
    }

    /// The parts that have their size.
    pub(super) fn take_full(&mut self) -> Vec<Changes> {
        std::mem::take(&mut self.full)
    }

    /// All parts that were not taken.
    pub(super) fn finish(mut self) -> Vec<Changes> {
        if !self.part.is_empty() {
            self.full.push(self.part);
        }
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Entry = (u16, u8, i64, Option<u8>);

    fn log(entries: &[Entry]) -> Changes {
        let mut log = Changes::default();
        for (group, name, expires, value) in entries {
            let value = value.as_ref().map(std::slice::from_ref);
            log.push(Change { group: *group, name: &[*name], expires: *expires, value });
        }
        log
    }

    fn live(logs: &[&[u8]], watermark: i64) -> BTreeMap<(u16, Vec<u8>), (i64, Vec<u8>)> {
        let mut map = BTreeMap::new();
        for change in logs.iter().flat_map(|log| Changes::read(log)) {
            let change = change.expect("it was written");
            let key = (change.group, change.name.to_vec());
            match change.value {
                Some(value) => map.insert(key, (change.expires, value.to_vec())),
                None => map.remove(&key),
            };
        }
        map.retain(|_, (expires, _)| *expires > watermark);
        map
    }

    proptest! {
        /// Logs folded in any grouping hold the same live entries as the logs one after the other, sorted and each once,
        /// and a fold of all of them holds nothing else.
        #[test]
        fn nothing_is_lost(
            logs in proptest::collection::vec(
                proptest::collection::vec((0u16..3, 0u8..6, 0i64..20, proptest::option::of(any::<u8>())), 0..12), 1..6),
            cut: prop::sample::Index,
            watermark in 0i64..20,
            size in 1usize..200,
        ) {
            let logs: Vec<Changes> = logs.iter().map(|entries| log(entries)).collect();
            let bytes: Vec<&[u8]> = logs.iter().map(Changes::bytes).collect();
            let (older, newer) = bytes.split_at(cut.index(bytes.len()));
            let newer = fold(newer, watermark, older.is_empty(), size).expect("whole logs");
            let mut mixed = older.to_vec();
            mixed.extend(newer.iter().map(Changes::bytes));
            prop_assert_eq!(live(&mixed, watermark), live(&bytes, watermark));

            let all = fold(&bytes, watermark, true, size).expect("whole logs");
            let names: Vec<_> = all.iter().flat_map(Changes::iter).map(|c| (c.group, c.name.to_vec())).collect();
            prop_assert!(names.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(names, live(&bytes, watermark).into_keys().collect::<Vec<_>>());
        }
    }
}
