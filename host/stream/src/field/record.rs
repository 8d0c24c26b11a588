//! One pass over one record: checks all of it and notes the values that pointers lead to. Converts nothing.

use super::pointer::{NodeId, Place, PointerTree, ROOT};
use super::scan::{self, Raw};
use super::shape::{MemberId, START, Shape};

/// Reads records one after another.
#[derive(Debug)]
pub(super) struct RecordReader<'d, 'v> {
    tree: &'d PointerTree,
    /// By [`NodeId`].
    shapes: &'d mut [Shape],
    scratch: Vec<u8>,
    /// The values of the record that was read last, by slot.
    pub slots: Vec<Raw<'v>>,
}

/// What comes next in an object.
enum Next<'v> {
    /// A member with its place; the rest begins with its value.
    Member(MemberId, Place, &'v [u8]),
    /// Nothing; the rest is behind the closing brace.
    End(&'v [u8]),
}

impl<'d, 'v> RecordReader<'d, 'v> {
    /// A reader for the pointers of a tree, which learns into `shapes`.
    pub fn new(tree: &'d PointerTree, shapes: &'d mut [Shape]) -> Self {
        Self { tree, shapes, scratch: Vec::new(), slots: vec![Raw::Absent; tree.slots] }
    }

    /// Reads one record. `None` if it is not one whole JSON object; the slots then mean nothing.
    #[inline]
    pub fn read(&mut self, record: &'v [u8]) -> Option<()> {
        self.slots.fill(Raw::Absent);
        let record = scan::space(record);
        if record.first() != Some(&b'{') {
            return None;
        }
        let rest = self.object(record, ROOT, 0)?;
        scan::space(rest).is_empty().then_some(())
    }

    /// The object at a place of the tree.
    fn object(&mut self, rest: &'v [u8], node: NodeId, depth: u32) -> Option<&'v [u8]> {
        let mut rest = scan::open(rest, depth)?;
        let (mut before, mut first) = (START, true);
        loop {
            if !first && let Some(rest) = scan::byte(rest, b'}') {
                return Some(rest);
            }
            let next = match self.shapes[node].expected(before, rest) {
                Some((id, place, rest)) => Next::Member(id, place, rest),
                None => self.next(rest, node, before, first)?,
            };
            match next {
                Next::Member(id, place, at_value) => {
                    rest = self.member(at_value, place, depth + 1)?;
                    (before, first) = (id, false);
                }
                Next::End(rest) => return Some(rest),
            }
        }
    }

    /// Parses what was not expected.
    #[inline(never)]
    fn next(&mut self, from: &'v [u8], node: NodeId, before: MemberId, first: bool) -> Option<Next<'v>> {
        let mut rest = scan::space(from);
        match rest.split_first()? {
            (b'}', rest) => return Some(Next::End(rest)),
            (b',', behind) if !first => rest = behind,
            _ if first => {}
            _ => return None,
        }
        let (key, rest) = scan::key(rest)?;
        let key = std::str::from_utf8(key.resolve(&mut self.scratch)).ok()?;
        let place = self.tree.member(node, key);
        let lead = from.get(..from.len() - rest.len())?;
        let id = self.shapes[node].learn(before, lead, place);
        Some(Next::Member(id, place, rest))
    }

    /// The value of a member or element.
    #[inline(always)]
    fn member(&mut self, rest: &'v [u8], place: Place, depth: u32) -> Option<&'v [u8]> {
        // An expected lead may have been learned with less white space.
        let rest = scan::space(rest);
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
            rest = scan::space(self.member(rest, self.tree.element(node, index), depth + 1)?);
            match rest.split_first()? {
                (b',', behind) => rest = behind,
                (b']', behind) => return Some(behind),
                _ => return None,
            }
            index += 1;
        }
    }
}
