//! What the objects at one place of a stream's records look like: which member follows which. Records of one stream are
//! written by one program, so that all bytes between two values, `,"passenger_count":`, can be expected and compared
//! instead of being parsed. A wrong guess costs time, never correctness: what was learned had been parsed in the same
//! situation, so equal bytes mean the same.

use super::pointer::Place;
use std::collections::HashMap;
use std::hint::cold_path;

/// A member that was seen before.
pub(super) type MemberId = u32;

/// The situation after the opening brace.
pub(super) const START: MemberId = 0;

/// The situation after a member that is not worth remembering. Nothing is expected then.
const UNKNOWN: MemberId = MemberId::MAX;

/// Longer leads are not worth remembering.
const MAX_LEAD: usize = 128;
/// Objects with more different members than this use keys as data.
const MAX_MEMBERS: usize = 1_024;

/// All members seen at one place.
#[derive(Debug)]
pub(super) struct Shape {
    members: Vec<Member>,
    ids: HashMap<Box<[u8]>, MemberId>,
}

/// A member by its lead: the bytes from the end of the value before it to the start of its own.
#[derive(Debug)]
struct Member {
    lead: Lead,
    /// Where its value goes.
    place: Place,
    /// The member that came after it the last time; [`START`] if none did.
    next: MemberId,
}

impl Shape {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let start = Member { lead: Lead::new(&[]), place: Place::Unwanted, next: START };
        Self { members: vec![start], ids: HashMap::new() }
    }

    /// If the member that is expected after another one comes next: it, its place, and what is behind its lead.
    #[inline(always)]
    pub fn expected<'v>(&self, after: MemberId, rest: &'v [u8]) -> Option<(MemberId, Place, &'v [u8])> {
        let id = self.members.get(after as usize)?.next;
        let member = self.members.get(id as usize).filter(|_| id != START)?;
        Some((id, member.place, member.lead.strip(rest)?))
    }

    /// Remembers that the member with this lead came after another one.
    pub fn learn(&mut self, after: MemberId, lead: &[u8], place: Place) -> MemberId {
        let id = match self.ids.get(lead) {
            Some(id) => *id,
            None => self.add(lead, place),
        };
        if let Some(before) = self.members.get_mut(after as usize) {
            before.next = id;
        }
        id
    }

    fn add(&mut self, lead: &[u8], place: Place) -> MemberId {
        if lead.len() > MAX_LEAD || self.members.len() >= MAX_MEMBERS {
            return UNKNOWN;
        }
        let id = self.members.len() as MemberId;
        self.members.push(Member { lead: Lead::new(lead), place, next: START });
        self.ids.insert(lead.into(), id);
        id
    }
}

const WORDS: usize = 4;

/// Bytes to compare with others, fast if there are at most 32.
#[derive(Debug)]
struct Lead {
    bytes: Box<[u8]>,
    /// The bytes again, as words.
    words: [u64; WORDS],
    /// Which bits of the words count.
    mask: [u64; WORDS],
}

impl Lead {
    fn new(bytes: &[u8]) -> Self {
        let mut padded = [(0, 0); 8 * WORDS];
        padded.iter_mut().zip(bytes).for_each(|(to, byte)| *to = (*byte, 0xff));
        Self { bytes: bytes.into(), words: words(&padded.map(|pair| pair.0)), mask: words(&padded.map(|pair| pair.1)) }
    }

    /// What is behind these bytes.
    #[inline(always)]
    fn strip<'v>(&self, rest: &'v [u8]) -> Option<&'v [u8]> {
        match rest.first_chunk() {
            Some(window) if self.bytes.len() <= 8 * WORDS => {
                let window = words(window);
                let difference = (0..WORDS).fold(0, |all, at| all | ((window[at] ^ self.words[at]) & self.mask[at]));
                if difference != 0 {
                    // Makes this a branch: what follows need not wait for the comparison.
                    cold_path();
                    return None;
                }
                rest.get(self.bytes.len()..)
            }
            _ => rest.strip_prefix(&*self.bytes),
        }
    }
}

#[inline(always)]
fn words(bytes: &[u8; 8 * WORDS]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}
