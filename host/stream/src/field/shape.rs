//! What the objects at one place of a stream's records look like: which member follows which. Records of one stream are
//! written by one program, so that all bytes between two values, `,"passenger_count":`, can be expected and compared
//! instead of being parsed. A wrong guess costs time, never correctness: what was learned had been parsed in the same
//! situation, so equal bytes mean the same.

use super::pointer::Place;
use hashbrown::HashTable;
use std::hint::cold_path;
use xxhash_rust::xxh3::xxh3_64;

/// A member that was seen before.
pub(super) type MemberId = u32;

/// The situation after the opening brace.
pub(super) const START: MemberId = 0;

/// No member, or one that is not worth remembering. Nothing is expected after it.
const UNKNOWN: MemberId = MemberId::MAX;

/// Longer leads are not worth remembering.
const MAX_LEAD: usize = 128;
/// Objects with more different members than this use keys as data.
const MAX_MEMBERS: usize = 1_024;

/// All members seen at one place.
#[derive(Debug)]
pub(super) struct Shape {
    /// By [`MemberId`].
    members: Vec<Member>,
    /// All but [`START`], by the hash of their leads.
    ids: HashTable<MemberId>,
}

/// A member by its lead: the bytes from the end of the value before it to the start of its own.
#[derive(Debug)]
struct Member {
    lead: Lead,
    /// Where its value goes.
    place: Place,
    /// The member that came after it the last time.
    next: MemberId,
}

impl Shape {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let start = Member { lead: Lead::new(&[]), place: Place::Unwanted, next: UNKNOWN };
        Self { members: vec![start], ids: HashTable::new() }
    }

    /// The member that is expected after another one.
    #[inline(always)]
    pub fn after(&self, member: MemberId) -> MemberId {
        self.members.get(member as usize).map_or(UNKNOWN, |member| member.next)
    }

    /// If it is this member that comes next: its place, what is behind its lead, and the member expected after it.
    #[inline(always)]
    pub fn matches<'v>(&self, member: MemberId, rest: &'v [u8]) -> Option<(Place, &'v [u8], MemberId)> {
        let member = self.members.get(member as usize)?;
        Some((member.place, member.lead.strip(rest)?, member.next))
    }

    /// The member with this lead and its place, if it was seen before. It came after another one, and will be expected
    /// there.
    pub fn find(&mut self, after: MemberId, lead: &[u8]) -> Option<(MemberId, Place)> {
        let members = &self.members;
        let is_it = |id: &MemberId| members.get(*id as usize).is_some_and(|member| *member.lead.bytes == *lead);
        let id = *self.ids.find(xxh3_64(lead), is_it)?;
        self.expect(after, id);
        Some((id, self.members.get(id as usize)?.place))
    }

    /// Remembers a member that was not seen before and came after another one.
    pub fn add(&mut self, after: MemberId, lead: &[u8], place: Place) -> MemberId {
        if lead.len() > MAX_LEAD || self.members.len() >= MAX_MEMBERS {
            return UNKNOWN;
        }
        let id = self.members.len() as MemberId;
        self.members.push(Member { lead: Lead::new(lead), place, next: UNKNOWN });
        let members = &self.members;
        let hash = |id: &MemberId| members.get(*id as usize).map_or(0, |member| xxh3_64(&member.lead.bytes));
        self.ids.insert_unique(xxh3_64(lead), id, hash);
        self.expect(after, id);
        id
    }

    fn expect(&mut self, after: MemberId, next: MemberId) {
        if let Some(before) = self.members.get_mut(after as usize) {
            before.next = next;
        }
    }
}

const WORDS: usize = 4;

/// Bytes to compare with others, fast if there are at most 32.
#[derive(Debug)]
struct Lead {
    length: usize,
    /// The first bytes, as words.
    words: [u64; WORDS],
    /// Which bits of the words count.
    mask: [u64; WORDS],
    bytes: Box<[u8]>,
}

impl Lead {
    fn new(bytes: &[u8]) -> Self {
        let mut padded = [(0, 0); 8 * WORDS];
        padded.iter_mut().zip(bytes).for_each(|(to, byte)| *to = (*byte, 0xff));
        let (words, mask) = (as_words(&padded.map(|pair| pair.0)), as_words(&padded.map(|pair| pair.1)));
        Self { length: bytes.len(), words, mask, bytes: bytes.into() }
    }

    /// What is behind these bytes.
    #[inline(always)]
    fn strip<'v>(&self, rest: &'v [u8]) -> Option<&'v [u8]> {
        let Some(window) = rest.first_chunk() else {
            return rest.strip_prefix(&*self.bytes);
        };
        let window = as_words(window);
        let difference = (0..WORDS).fold(0, |all, at| all | ((window[at] ^ self.words[at]) & self.mask[at]));
        if difference != 0 || (self.length > 8 * WORDS && !rest.starts_with(&self.bytes)) {
            // Makes this a branch: what follows need not wait for the comparison.
            cold_path();
            return None;
        }
        rest.get(self.length..)
    }
}

#[inline(always)]
fn as_words(bytes: &[u8; 8 * WORDS]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}
