//! What is known per key: a hash table over the hashes that the rows bring along. A key keeps its slot number until it is
//! removed, so that callers can remember slots instead of keys. A table can tell what has changed since it was last asked,
//! and how many bytes it holds.
//!
//! Two ways lead to a value. [`KeyTable::update`] is for what has to survive a crash; indexing is for what only the current
//! call needs.

use crate::blob::Blob;
use hashbrown::HashTable;
use std::ops::{Index, IndexMut};

/// A value of a table.
pub(crate) trait Value: Default {
    /// How many bytes it holds outside of itself.
    fn heap_bytes(&self) -> usize;
}

/// A key and what belongs to it.
#[derive(Debug, Default)]
pub(crate) struct Entry<V> {
    hash: u64,
    key: Blob,
    /// Changed since the last [`KeyTable::drain`].
    dirty: bool,
    /// Known to whoever drains the table.
    saved: bool,
    pub(crate) value: V,
}

impl<V> Entry<V> {
    /// The hash that the key was added with.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The key.
    pub(crate) fn key(&self) -> &[u8] {
        self.key.get()
    }

    #[inline]
    fn is(&self, hash: u64, key: &[u8]) -> bool {
        self.hash == hash && self.key.is(key)
    }
}

/// A value per key.
#[derive(Debug)]
pub(crate) struct KeyTable<V> {
    index: HashTable<u32>,
    entries: Vec<Entry<V>>,
    free: Vec<u32>,
    /// Heap bytes of keys and values.
    heap: usize,
    changes: Option<Noted>,
}

/// What has changed since the last [`KeyTable::drain`].
#[derive(Debug, Default)]
struct Noted {
    /// Slots that are or were dirty, each once per key that it had.
    dirty: Vec<u32>,
    /// Keys that were saved and are gone.
    removed: Vec<(u64, Blob)>,
}

impl<V> Default for KeyTable<V> {
    fn default() -> Self {
        Self { index: HashTable::new(), entries: Vec::new(), free: Vec::new(), heap: 0, changes: None }
    }
}

impl<V: Value> KeyTable<V> {
    /// Notes changes from now on.
    pub(crate) fn track(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// Changes a value.
    #[inline]
    pub(crate) fn update<R>(&mut self, slot: u32, change: impl FnOnce(&mut V) -> R) -> R {
        let entry = &mut self.entries[slot as usize];
        let before = entry.value.heap_bytes();
        let result = change(&mut entry.value);
        self.heap = self.heap + entry.value.heap_bytes() - before;
        if let Some(noted) = &mut self.changes
            && !entry.dirty
        {
            entry.dirty = true;
            noted.dirty.push(slot);
        }
        result
    }

    /// Adds a key as it was saved, or replaces its value.
    pub(crate) fn load(&mut self, hash: u64, key: &[u8], value: V) -> u32 {
        let slot = self.slot(hash, key);
        let entry = &mut self.entries[slot as usize];
        self.heap = self.heap + value.heap_bytes() - entry.value.heap_bytes();
        (entry.value, entry.saved) = (value, true);
        slot
    }

    /// Tells what has changed since the last time: keys that are gone first, with `None`. A key that is gone and came back
    /// is told twice. Keys that came and went in between are not told at all.
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(u64, &[u8], Option<&V>)) {
        let Some(noted) = &mut self.changes else { return };
        noted.removed.drain(..).for_each(|(hash, key)| tell(hash, key.get(), None));
        // In the order in which they lie in memory: sorting costs a tenth of the cache misses that it saves.
        noted.dirty.sort_unstable();
        for slot in noted.dirty.drain(..) {
            let entry = &mut self.entries[slot as usize];
            if std::mem::take(&mut entry.dirty) {
                entry.saved = true;
                tell(entry.hash, entry.key.get(), Some(&entry.value));
            }
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * (size_of::<Entry<V>>() + size_of::<u32>()) + self.heap
    }

    /// The slot of a key, which is added with a default value if it is new.
    #[inline]
    pub(crate) fn slot(&mut self, hash: u64, key: &[u8]) -> u32 {
        let entries = &self.entries;
        match self.index.find(spread(hash), |&slot| entries[slot as usize].is(hash, key)) {
            Some(&slot) => slot,
            None => self.add(hash, key),
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, key: &[u8]) -> u32 {
        let entry = Entry { hash, key: Blob::new(key), dirty: false, saved: false, value: V::default() };
        self.heap += entry.key.heap_bytes();
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let entries = &self.entries;
        self.index.insert_unique(spread(hash), slot, |&slot| spread(entries[slot as usize].hash));
        slot
    }

    /// Forgets a key. Its slot may be given to another one.
    pub(crate) fn remove(&mut self, slot: u32) {
        let hash = spread(self[slot].hash);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
            let gone = std::mem::take(&mut self.entries[slot as usize]);
            self.heap -= gone.key.heap_bytes() + gone.value.heap_bytes();
            self.free.push(slot);
            if let (true, Some(noted)) = (gone.saved, &mut self.changes) {
                noted.removed.push((gone.hash, gone.key));
            }
        }
    }
}

impl<V> KeyTable<V> {
    /// The slot of a key that is there.
    pub(crate) fn find_slot(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(spread(hash), |&slot| self[slot].is(hash, key)).copied()
    }

    /// The entry of a key.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry<V>> {
        Some(&self[self.find_slot(hash, key)?])
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The slots of all keys, in no particular order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.index.iter().copied()
    }

    /// All keys, in no particular order. Only for tables from which nothing was removed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<V>> {
        self.entries.iter()
    }
}

impl<V> Index<u32> for KeyTable<V> {
    type Output = Entry<V>;
    #[inline]
    fn index(&self, slot: u32) -> &Entry<V> {
        &self.entries[slot as usize]
    }
}

impl<V> IndexMut<u32> for KeyTable<V> {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Entry<V> {
        &mut self.entries[slot as usize]
    }
}

/// The table looks at the lowest and the seven highest bits. The highest ones choose the worker, so on one worker they
/// are all alike: bits from the middle take their place.
#[inline]
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Value for Vec<u8> {
        fn heap_bytes(&self) -> usize {
            self.len()
        }
    }

    proptest! {
        /// Whoever applies what a table tells, as often as it is asked, has the same keys and values; and the bytes are
        /// those of what is there.
        #[test]
        fn changes_are_complete(steps in proptest::collection::vec((0u8..12, 0u8..4, any::<u8>()), 0..200)) {
            let mut table = KeyTable::<Vec<u8>>::default();
            table.track();
            let (mut truth, mut copy) = (BTreeMap::new(), BTreeMap::new());
            for (key, action, byte) in steps {
                let key = if key % 2 == 0 { vec![key] } else { vec![key; 30] };
                match action {
                    0 | 1 => {
                        let slot = table.slot(7, &key);
                        table.update(slot, |value| value.push(byte));
                        truth.entry(key).or_insert_with(Vec::new).push(byte);
                    }
                    2 => {
                        if let Some(slot) = table.find_slot(7, &key) {
                            table.remove(slot);
                        }
                        truth.remove(&key);
                    }
                    _ => {
                        table.drain(|_, key, value| {
                            match value {
                                Some(value) => copy.insert(key.to_vec(), value.clone()),
                                None => copy.remove(key),
                            };
                        });
                        prop_assert_eq!(&copy, &truth);
                    }
                }
                let heap: usize = truth.iter().map(|(key, value): (&Vec<u8>, &Vec<u8>)| {
                    value.len() + if key.len() > 23 { key.len() } else { 0 }
                }).sum();
                prop_assert_eq!(table.heap, heap);
            }
        }
    }

    /// Keys of one and the same hash stay apart, keep their slots while others leave, and a freed slot starts afresh.
    #[test]
    fn equal_hashes_and_reused_slots() {
        let mut table = KeyTable::<Vec<u8>>::default();
        let (a, b, c) = (table.slot(7, b"a"), table.slot(7, b"b"), table.slot(7, b"a longer key than fits inline"));
        table[a].value.push(1);
        table[b].value.push(2);
        assert_eq!((table.slot(7, b"a"), table.slot(7, b"b"), table.len()), (a, b, 3));
        table.remove(a);
        assert!(table.find(7, b"a").is_none());
        assert_eq!(table.find(7, b"b").map(|entry| entry.value.as_slice()), Some(&[2][..]));
        assert_eq!(table.find(7, b"a longer key than fits inline").map(Entry::key), Some(table[c].key()));
        let d = table.slot(8, b"d");
        assert_eq!((d, table.len()), (a, 3));
        assert!(table[d].value.is_empty());
    }
}
