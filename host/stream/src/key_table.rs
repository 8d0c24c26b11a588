//! What is known per key: a hash table over the hashes that the rows bring along. A key keeps its slot number until it is
//! removed, so that callers can remember slots instead of keys.

use crate::blob::Blob;
use hashbrown::HashTable;
use std::ops::{Index, IndexMut};

/// A key and what belongs to it.
#[derive(Debug, Default)]
pub(crate) struct Entry<V> {
    hash: u64,
    key: Blob,
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
}

impl<V> Default for KeyTable<V> {
    fn default() -> Self {
        Self { index: HashTable::new(), entries: Vec::new(), free: Vec::new() }
    }
}

impl<V: Default> KeyTable<V> {
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
        let entry = Entry { hash, key: Blob::new(key), value: V::default() };
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
            self.entries[slot as usize] = Entry::default();
            self.free.push(slot);
        }
    }
}

impl<V> KeyTable<V> {
    /// The entry of a key.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry<V>> {
        let slot = self.index.find(spread(hash), |&slot| self[slot].is(hash, key))?;
        Some(&self[*slot])
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
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
