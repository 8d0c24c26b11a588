//! Which worker owns a key. Keys hash to 1,024 key groups and groups are dealt to workers in ranges, so that any number of
//! workers can take over the state of any other number. The hash (XXH3, 64 bits, seed 0) is part of the state format.

use crate::Binary;
use xxhash_rust::xxh3::xxh3_64;

/// How many key groups there are, whatever the number of workers.
pub const KEY_GROUPS: u64 = 1024;

/// The hash of a key.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The hashes of a column of keys.
pub fn hashes(keys: &Binary) -> Vec<u64> {
    keys.iter().map(hash).collect()
}

/// The key group of a hash. It uses the high bits: hash tables use the low ones.
#[inline]
pub fn group(hash: u64) -> u64 {
    hash >> (64 - KEY_GROUPS.trailing_zeros())
}

/// The worker that owns a key group among `workers` of them.
#[inline]
pub fn worker(group: u64, workers: usize) -> usize {
    (group * workers as u64 / KEY_GROUPS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every worker count deals every group to an existing worker, in ranges, and leaves none idle.
    #[test]
    fn groups_are_dealt_in_ranges() {
        for workers in [1, 2, 3, 4, 7, 64, 1024] {
            let owners: Vec<_> = (0..KEY_GROUPS).map(|group| worker(group, workers)).collect();
            assert!(owners.is_sorted());
            assert_eq!(owners.first(), Some(&0));
            assert_eq!(owners.last(), Some(&(workers - 1)));
        }
        assert_eq!(group(u64::MAX), KEY_GROUPS - 1);
    }
}
