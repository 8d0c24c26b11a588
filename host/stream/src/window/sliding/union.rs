//! The accumulators of one window that fires: the union of its slices, key by key.

use crate::window::slice::{OpenSlice, SliceKey};
use hashbrown::HashTable;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// Keys, each with a chain of accumulators in the order of time.
#[derive(Default)]
pub(super) struct Union<'a> {
    numbers: HashTable<u32>,
    keys: Vec<Chain<'a>>,
    links: Vec<(&'a [u8], u32)>,
}

struct Chain<'a> {
    key: SliceKey<'a>,
    first: u32,
    last: u32,
}

impl<'a> Union<'a> {
    /// Every key of every slice.
    pub(super) fn of_all_keys(slices: &'a [OpenSlice]) -> Self {
        let mut union = Self::default();
        if let [only] = slices {
            union.keys.extend(only.accumulators().zip(0..).map(|((key, _), at)| Chain { key, first: at, last: at }));
            union.links.extend(only.accumulators().map(|(_, accumulator)| (accumulator, NONE)));
            return union;
        }
        for (key, accumulator) in slices.iter().flat_map(OpenSlice::accumulators) {
            let number = union.number(key);
            union.append(number, accumulator);
        }
        union
    }

    /// The keys that were corrected in some slice.
    pub(super) fn of_corrected_keys(slices: &'a [OpenSlice]) -> Self {
        let mut union = Self::default();
        for key in slices.iter().flat_map(OpenSlice::corrected_keys) {
            union.number(key);
        }
        for number in 0..union.keys.len() {
            let key = union.keys[number].key;
            for accumulator in slices.iter().filter_map(|open| open.accumulator(key)) {
                union.append(number, accumulator);
            }
        }
        union
    }

    /// Sorts the keys.
    pub(super) fn sort(&mut self) {
        self.keys.sort_unstable_by_key(|chain| chain.key.key);
        // Numbers mean nothing any more.
        self.numbers.clear();
    }

    /// The keys, each with its accumulators in the order of time.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = &'a [u8]>)> {
        self.keys.iter().map(|chain| {
            let link = |at: u32| self.links.get(at as usize);
            let links = std::iter::successors(link(chain.first), move |&&(_, next)| link(next));
            (chain.key.key, links.map(|&(accumulator, _)| accumulator))
        })
    }

    fn number(&mut self, key: SliceKey<'a>) -> usize {
        let keys = &self.keys;
        if let Some(&number) = self.numbers.find(key.hash, |&number| keys[number as usize].key == key) {
            return number as usize;
        }
        let number = keys.len();
        self.keys.push(Chain { key, first: NONE, last: NONE });
        let keys = &self.keys;
        self.numbers.insert_unique(key.hash, number as u32, |&number| keys[number as usize].key.hash);
        number
    }

    fn append(&mut self, number: usize, accumulator: &'a [u8]) {
        let link = self.links.len() as u32;
        self.links.push((accumulator, NONE));
        let chain = &mut self.keys[number];
        match self.links.get_mut(chain.last as usize) {
            Some((_, next)) => *next = link,
            None => chain.first = link,
        }
        chain.last = link;
    }
}
