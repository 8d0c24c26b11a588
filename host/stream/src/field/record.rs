//! One pass over one record: checks all of it and notes the values that pointers lead to. Converts nothing.

use super::pointer::{Node, NodeId, PointerTree, ROOT};
use super::scan::{Cursor, Raw};
use super::shape::{MemberId, START, Shape};

/// Reads records one after another.
#[derive(Debug)]
pub(super) struct RecordReader<'d, 'v> {
    nodes: &'d [Node],
    /// By [`NodeId`].
    shapes: &'d mut [Shape],
    scratch: Vec<u8>,
    cursor: Cursor<'v>,
    /// The values of the record that was read last, by slot.
    pub slots: Vec<Raw<'v>>,
}

impl<'d, 'v> RecordReader<'d, 'v> {
    /// A reader for the pointers of a tree, which learns into `shapes`.
    pub fn new(tree: &'d PointerTree, shapes: &'d mut [Shape]) -> Self {
        let (cursor, slots) = (Cursor { rest: &[] }, vec![Raw::Absent; tree.slots]);
        Self { nodes: &tree.nodes, shapes, scratch: Vec::new(), cursor, slots }
    }

    /// Reads one record. `None` if it is not one whole JSON object; the slots then mean nothing.
    #[inline]
    pub fn read(&mut self, record: &'v [u8]) -> Option<()> {
        self.slots.fill(Raw::Absent);
        self.cursor = Cursor { rest: record };
        if self.cursor.peek_token()? != b'{' {
            return None;
        }
        self.object(ROOT, 0)?;
        self.cursor.end()
    }

    fn object(&mut self, node: NodeId, depth: u32) -> Option<()> {
        self.cursor.open(depth)?;
        let mut before = Some(START);
        loop {
            let child = match self.expected_member(node, &mut before) {
                Some(child) => child,
                None => match self.next_member(node, &mut before)? {
                    Some(child) => child,
                    None => return Some(()),
                },
            };
            match child {
                Some(child) => self.wanted(child, depth + 1)?,
                None => {
                    self.cursor.value(depth + 1)?;
                }
            }
        }
    }

    /// Reads up to the value of the next member if it is the one that is expected.
    #[inline]
    fn expected_member(&mut self, node: NodeId, before: &mut Option<MemberId>) -> Option<Option<NodeId>> {
        let (id, member) = self.shapes.get(node)?.expected((*before)?)?;
        self.cursor.rest = self.cursor.rest.strip_prefix(&*member.lead)?;
        // This one may have more of it than the one that was learned.
        self.cursor.skip_space();
        *before = Some(id);
        Some(member.child)
    }

    /// Reads up to the value of the next member, or the closing brace, which is `Some(None)`.
    fn next_member(&mut self, node: NodeId, before: &mut Option<MemberId>) -> Option<Option<Option<NodeId>>> {
        let from = self.cursor.rest;
        let first = *before == Some(START);
        match self.cursor.peek_token()? {
            b'}' => return self.cursor.advance(1).map(|()| None),
            b',' if !first => self.cursor.advance(1)?,
            _ if first => {}
            _ => return None,
        }
        let key = self.cursor.key()?.resolve(&mut self.scratch);
        let child = std::str::from_utf8(key).ok().and_then(|key| self.nodes[node].member(key));
        let lead = from.get(..from.len() - self.cursor.rest.len())?;
        *before = self.shapes.get_mut(node)?.learn(*before, lead, child);
        Some(Some(child))
    }

    /// Reads the value at a place of the tree.
    #[inline]
    fn wanted(&mut self, node: NodeId, depth: u32) -> Option<()> {
        let Node { wanted, ref slots, .. } = self.nodes[node];
        let value = if self.nodes[node].is_inner() {
            // A repeated key replaces all that was below it.
            self.slots[slots.clone()].fill(Raw::Absent);
            self.inner(node, depth)?
        } else {
            self.cursor.value(depth)?
        };
        if wanted {
            self.slots[slots.start] = value;
        }
        Some(())
    }

    /// Reads the value at a place that pointers lead through.
    fn inner(&mut self, node: NodeId, depth: u32) -> Option<Raw<'v>> {
        match self.cursor.peek()? {
            b'{' => self.object(node, depth)?,
            b'[' => self.array(node, depth)?,
            _ => return self.cursor.value(depth),
        }
        Some(Raw::Nested)
    }

    fn array(&mut self, node: NodeId, depth: u32) -> Option<()> {
        self.cursor.open(depth)?;
        if self.cursor.peek_token()? == b']' {
            return self.cursor.advance(1);
        }
        for index in 0.. {
            self.cursor.skip_space();
            match self.nodes[node].element(index) {
                Some(child) => self.wanted(child, depth + 1)?,
                None => {
                    self.cursor.value(depth + 1)?;
                }
            }
            match self.cursor.peek_token()? {
                b',' => self.cursor.advance(1)?,
                b']' => return self.cursor.advance(1),
                _ => return None,
            }
        }
        None
    }
}
