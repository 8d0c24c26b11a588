//! What the objects at one place of a stream's records look like: which member follows which. Records of one stream are
//! written by one program, so that all bytes between two values, `,"passenger_count":`, can be expected and compared
//! instead of being parsed. A wrong guess costs time, never correctness: what was learned had been parsed in the same
//! situation, so equal bytes mean the same.

use super::pointer::NodeId;
use std::collections::HashMap;

/// A member that was seen before.
pub(super) type MemberId = u32;

/// The situation after the opening brace.
pub(super) const START: MemberId = 0;

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

/// A member by what comes before its value.
#[derive(Debug)]
pub(super) struct Member {
    /// The bytes from the end of the value before to the start of this one.
    pub lead: Box<[u8]>,
    /// The place that its key leads to, if a pointer leads there.
    pub child: Option<NodeId>,
    /// The member that came after it the last time; [`START`] if none did.
    next: MemberId,
}

impl Shape {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let start = Member { lead: Box::default(), child: None, next: START };
        Self { members: vec![start], ids: HashMap::new() }
    }

    /// The member that is expected after another one.
    #[inline]
    pub fn expected(&self, after: MemberId) -> Option<(MemberId, &Member)> {
        let next = self.members.get(after as usize)?.next;
        let member = self.members.get(next as usize)?;
        (next != START).then_some((next, member))
    }

    /// Remembers that the member with this lead came after another one. `None` if it is not worth remembering.
    pub fn learn(&mut self, after: Option<MemberId>, lead: &[u8], child: Option<NodeId>) -> Option<MemberId> {
        let id = match self.ids.get(lead) {
            Some(id) => *id,
            None => self.add(lead, child)?,
        };
        if let Some(before) = after.and_then(|after| self.members.get_mut(after as usize)) {
            before.next = id;
        }
        Some(id)
    }

    fn add(&mut self, lead: &[u8], child: Option<NodeId>) -> Option<MemberId> {
        if lead.len() > MAX_LEAD || self.members.len() >= MAX_MEMBERS {
            return None;
        }
        let id = self.members.len() as MemberId;
        self.members.push(Member { lead: lead.into(), child, next: START });
        self.ids.insert(lead.into(), id);
        Some(id)
    }
}
