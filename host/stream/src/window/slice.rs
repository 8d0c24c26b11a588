//! One slice of tumbling or sliding windows that holds state: an accumulator per key.

use super::grid::{Grid, Slice};
use crate::blob::Blob;
use crate::checkpoint::{Change, ChangeLog};
use crate::key;
use crate::key_table::{Entry, KeyTable, Value};

/// The group of an accumulator that takes no part in the current call.
const NO_GROUP: u32 = u32::MAX;

/// The accumulators of a slice.
pub(super) struct OpenSlice {
    /// Where it lies.
    pub(super) slice: Slice,
    /// The end of the first window that it belongs to.
    pub(super) fires_at: i64,
    /// The watermark at which the last window that it belongs to takes no more rows.
    pub(super) drops_at: i64,
    cells: KeyTable<Cell>,
    live: usize,
    /// Slots whose accumulators changed after a window of theirs had fired, until the next firing.
    corrected: Vec<u32>,
}

/// What is kept of a key. An empty accumulator means that there is nothing: all rows of the key were refused.
#[derive(Debug)]
struct Cell {
    accumulator: Blob,
    group: u32,
    corrected: bool,
}

impl Default for Cell {
    fn default() -> Self {
        Self { accumulator: Blob::default(), group: NO_GROUP, corrected: false }
    }
}

impl Value for Cell {
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.accumulator.heap_bytes()
    }
}

impl OpenSlice {
    /// A slice without state.
    pub(super) fn new(slice: Slice, grid: &Grid, allowed_lateness: i64, tracked: bool) -> Self {
        let mut cells = KeyTable::default();
        if tracked {
            cells.track();
        }
        Self {
            slice,
            fires_at: grid.bounds(slice.oldest).1,
            drops_at: grid.bounds(slice.newest).1.saturating_add(allowed_lateness),
            cells,
            live: 0,
            corrected: Vec::new(),
        }
    }

    /// How many keys have an accumulator.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Whether it has an accumulator of a key, or of any.
    pub(super) fn holds(&self, key: Option<&[u8]>) -> bool {
        let holds = |key: &[u8]| {
            let slot = self.cells.find_slot(key::hash(key), key);
            slot.is_some_and(|slot| !self.cells[slot].value.accumulator.is_empty())
        };
        key.map_or(self.live > 0, holds)
    }

    /// The slot of a key, and its group in the current call, which is `next` if it has none yet.
    #[inline]
    pub(super) fn enlist(&mut self, hash: u64, key: &[u8], next: u32) -> (u32, u32) {
        let slot = self.cells.slot(hash, key);
        let group = &mut self.cells[slot].value.group;
        if *group == NO_GROUP {
            *group = next;
        }
        (slot, *group)
    }

    /// The accumulator of a slot for the current call. Its group is not needed any more.
    #[inline]
    pub(super) fn release(&mut self, slot: u32) -> &[u8] {
        let cell = &mut self.cells[slot].value;
        cell.group = NO_GROUP;
        cell.accumulator.get()
    }

    /// Replaces an accumulator.
    #[inline]
    pub(super) fn store(&mut self, slot: u32, accumulator: &[u8]) {
        self.live -= usize::from(!self.cells[slot].value.accumulator.is_empty());
        self.live += usize::from(!accumulator.is_empty());
        self.cells.update(slot, |cell| cell.accumulator.set(accumulator));
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.cells.bytes()
    }

    /// Starts to note changes.
    pub(super) fn track(&mut self) {
        self.cells.track();
    }

    /// Notes what has changed since the last time. An entry is named by the slice's first millisecond, big-endian, and the
    /// key; it goes with its slice, so nothing is ever removed.
    pub(super) fn changes(&mut self, log: &mut dyn ChangeLog) {
        let mut name = self.slice.first.to_be_bytes().to_vec();
        let expires = self.drops_at;
        self.cells.drain(|hash, key, cell| {
            name.truncate(size_of::<i64>());
            name.extend_from_slice(key);
            let value = cell.map(|cell| cell.accumulator.get());
            log.push(Change { group: key::group(hash) as u16, name: &name, expires, value });
        });
    }

    /// Every accumulator, empty ones too, in an order that stays until one is added or removed.
    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        self.cells.slots().map(|slot| self.cells[slot].value.accumulator.get())
    }

    /// Replaces every accumulator, in the order of [`OpenSlice::cells`].
    pub(super) fn replace<'n>(&mut self, new: &mut impl Iterator<Item = &'n [u8]>) {
        let slots: Vec<u32> = self.cells.slots().collect();
        slots.into_iter().zip(new).for_each(|(slot, accumulator)| self.store(slot, accumulator));
    }

    /// Puts an accumulator back that was noted.
    pub(super) fn load(&mut self, key: &[u8], accumulator: &[u8]) {
        let cell = Cell { accumulator: Blob::new(accumulator), ..Cell::default() };
        let before = self.accumulator(SliceKey { hash: key::hash(key), key }).is_some();
        self.cells.load(key::hash(key), key, cell);
        self.live -= usize::from(before);
        self.live += usize::from(!accumulator.is_empty());
    }

    /// Notes that a window that has fired must fire again for this key.
    pub(super) fn mark_corrected(&mut self, slot: u32) {
        let cell = &mut self.cells[slot].value;
        if !cell.corrected {
            cell.corrected = true;
            self.corrected.push(slot);
        }
    }

    /// Whether a window that has fired must fire again for some key.
    pub(super) fn is_corrected(&self) -> bool {
        !self.corrected.is_empty()
    }

    /// Forgets what was noted about corrections: they have been sent.
    pub(super) fn clear_corrected(&mut self) {
        for slot in self.corrected.drain(..) {
            self.cells[slot].value.corrected = false;
        }
    }

    /// The accumulator of a key.
    pub(super) fn accumulator(&self, key: SliceKey<'_>) -> Option<&[u8]> {
        let accumulator = self.cells.find(key.hash, key.key)?.value.accumulator.get();
        (!accumulator.is_empty()).then_some(accumulator)
    }

    /// The keys that have an accumulator, with it.
    pub(super) fn accumulators(&self) -> impl Iterator<Item = (SliceKey<'_>, &[u8])> {
        let entries = self.cells.iter().map(|entry| (SliceKey::of(entry), entry.value.accumulator.get()));
        entries.filter(|(_, accumulator)| !accumulator.is_empty())
    }

    /// The keys for which windows that have fired must fire again.
    pub(super) fn corrected_keys(&self) -> impl Iterator<Item = SliceKey<'_>> {
        self.corrected.iter().map(|&slot| SliceKey::of(&self.cells[slot]))
    }
}

/// A key with its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SliceKey<'a> {
    pub(super) hash: u64,
    pub(super) key: &'a [u8],
}

impl<'a> SliceKey<'a> {
    fn of(entry: &'a Entry<Cell>) -> Self {
        Self { hash: entry.hash(), key: entry.key() }
    }
}
