//! One pass over one record: checks all of it and notes the values that pointers lead to. Converts nothing.

use super::pointer::{NodeId, Place, PointerTree, ROOT};
use super::scan::{self, Raw};
use super::shape::{MemberId, START, Shape};

/// Reads one record.
#[derive(Debug)]
pub(super) struct RecordReader<'d, 'v> {
    /// Where the pointers lead.
    pub tree: &'d PointerTree,
    /// What is known about objects, by [`NodeId`].
    pub shapes: &'d mut [Shape],
    /// Holds a key whose escapes were resolved.
    pub scratch: &'d mut Vec<u8>,
    /// Where the values go, as many as the tree has slots.
    pub slots: &'d mut [Raw<'v>],
}

/// How many bytes behind a record are of use for [`RecordReader::read`].
pub(super) const SLACK: usize = 32;

impl<'v> RecordReader<'_, 'v> {
    /// Reads the record that is the first `length` of `bytes`; a few more, whatever they are, save looking for the end at
    /// every step. If it is not one whole JSON object, all slots are [`Raw::Malformed`].
    #[inline]
    pub fn read(mut self, bytes: &'v [u8], length: usize) {
        self.slots.fill(Raw::Absent);
        if self.record(bytes, length).is_none() {
            self.slots.fill(Raw::Malformed);
        }
    }

    #[inline]
    fn record(&mut self, bytes: &'v [u8], length: usize) -> Option<()> {
        let start = scan::space(bytes);
        if start.first() != Some(&b'{') {
            return None;
        }
        let rest = self.object(start, ROOT, 0)?;
        // `None` if the object ends behind the record.
        let rest = bytes.get(bytes.len() - rest.len()..length)?;
        scan::space(rest).is_empty().then_some(())
    }

    /// The object at a place of the tree.
    fn object(&mut self, rest: &'v [u8], node: NodeId, depth: u32) -> Option<&'v [u8]> {
        let mut rest = scan::open(rest, depth)?;
        let mut before = START;
        loop {
            let next = match self.expected(&mut rest, node, &mut before, depth + 1)? {
                Some(next) => next,
                None => self.next(rest, node, before)?,
            };
            match next {
                Next::Member(id, place, at_value) => {
                    rest = self.member(at_value, place, depth + 1)?;
                    before = id;
                }
                Next::End(rest) => return Some(rest),
            }
        }
    }

    /// Reads members as long as they come as expected and no pointer leads through them.
    #[inline(always)]
    fn expected(
        &mut self,
        rest: &mut &'v [u8],
        node: NodeId,
        before: &mut MemberId,
        depth: u32,
    ) -> Option<Option<Next<'v>>> {
        let shape = &self.shapes[node];
        let mut id = shape.after(*before);
        while let Some((place, at_value, next)) = shape.matches(id, rest) {
            // It may have more white space than when it was learned.
            let at_value = scan::space(at_value);
            match place {
                Place::Unwanted => *rest = scan::value(at_value, depth)?.1,
                Place::Leaf(slot) => (self.slots[slot], *rest) = scan::value(at_value, depth)?,
                Place::Inner(_) => return Some(Some(Next::Member(id, place, at_value))),
            }
            (*before, id) = (id, next);
        }
        Some(None)
    }

    /// Parses up to the value of a member that was not expected, or the closing brace.
    #[inline(never)]
    fn next(&mut self, from: &'v [u8], node: NodeId, before: MemberId) -> Option<Next<'v>> {
        let mut rest = scan::space(from);
        match rest.split_first()? {
            (b'}', rest) => return Some(Next::End(rest)),
            (b',', behind) if before != START => rest = behind,
            _ if before == START => {}
            _ => return None,
        }
        let (key, rest) = scan::key(rest)?;
        let lead = from.get(..from.len() - rest.len())?;
        let shape = &mut self.shapes[node];
        if let Some((id, place)) = shape.find(before, lead) {
            return Some(Next::Member(id, place, rest));
        }
        let place = self.tree.member(node, key.resolve(self.scratch));
        Some(Next::Member(shape.add(before, lead, place), place, rest))
    }

    /// The value of a member or element.
    fn member(&mut self, rest: &'v [u8], place: Place, depth: u32) -> Option<&'v [u8]> {
        match place {
            Place::Unwanted => scan::value(rest, depth).map(|(_, rest)| rest),
            Place::Leaf(slot) => {
                let (value, rest) = scan::value(rest, depth)?;
                self.slots[slot] = value;
                Some(rest)
            }
            Place::Inner(node) => self.inner(rest, node, depth),
        }
    }

    /// The value at a place that pointers lead through.
    #[inline(never)]
    fn inner(&mut self, rest: &'v [u8], node: NodeId, depth: u32) -> Option<&'v [u8]> {
        let node_slots = self.tree.nodes[node].slots.clone();
        // A repeated key replaces all that was below it.
        self.slots[node_slots.clone()].fill(Raw::Absent);
        let (value, rest) = match rest.first()? {
            b'{' => (Raw::Nested, self.object(rest, node, depth)?),
            b'[' => (Raw::Nested, self.array(rest, node, depth)?),
            _ => scan::value(rest, depth)?,
        };
        if self.tree.nodes[node].wanted {
            self.slots[node_slots.start] = value;
        }
        Some(rest)
    }

    /// The array at a place of the tree.
    fn array(&mut self, rest: &'v [u8], node: NodeId, depth: u32) -> Option<&'v [u8]> {
        let mut rest = scan::space(scan::open(rest, depth)?);
        if let Some(rest) = scan::byte(rest, b']') {
            return Some(rest);
        }
        let mut index = 0;
        loop {
            rest = scan::space(self.member(scan::space(rest), self.tree.element(node, index), depth + 1)?);
            match rest.split_first()? {
                (b',', behind) => rest = behind,
                (b']', behind) => return Some(behind),
                _ => return None,
            }
            index += 1;
        }
    }
}

/// What comes next in an object.
enum Next<'v> {
    /// A member with its place; the rest begins with its value.
    Member(MemberId, Place, &'v [u8]),
    /// Nothing; the rest is behind the closing brace.
    End(&'v [u8]),
}
