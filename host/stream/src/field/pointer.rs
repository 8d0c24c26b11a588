//! The JSON pointers of all fields as one tree, so that one pass over a record finds them all. Knows no records.

use std::ops::Range;

/// A node of the tree, which stands for a place in a record.
pub(super) type NodeId = usize;

/// The place of the whole record.
pub(super) const ROOT: NodeId = 0;

/// A place in a record that a pointer leads to or through.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The members or elements that pointers lead on to.
    children: Vec<(String, NodeId)>,
    /// Whether a pointer ends here. Its value then goes to the first of `slots`.
    pub wanted: bool,
    /// Where the values of this place and those below it go.
    pub slots: Range<usize>,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// No pointer leads there.
    Unwanted,
    /// To this slot; no pointer leads further.
    Leaf(usize),
    /// Pointers lead through it.
    Inner(NodeId),
}

/// An array index as RFC 6901 writes it: no sign, no leading zeros.
fn as_index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    if plain { token.parse().ok() } else { None }
}

/// The tree. Node [`ROOT`] always exists.
#[derive(Debug)]
pub(super) struct PointerTree {
    /// By [`NodeId`].
    pub nodes: Vec<Node>,
    /// How many different pointers there are.
    pub slots: usize,
}

impl PointerTree {
    /// The tree of these pointers.
    pub fn new<'a>(pointers: impl Iterator<Item = &'a [String]>) -> Self {
        let mut pointers: Vec<_> = pointers.collect();
        // Sorted, all pointers through a place are neighbours, so their slots are one range.
        pointers.sort_unstable();
        pointers.dedup();
        let mut tree = Self { nodes: vec![Node::default()], slots: pointers.len() };
        for (slot, pointer) in pointers.into_iter().enumerate() {
            let mut at = ROOT;
            for token in pointer {
                at = tree.child_or_new(at, token, slot);
                tree.nodes[at].slots.end = slot + 1;
            }
            tree.nodes[at].wanted = true;
        }
        tree
    }

    /// The place of a member of the object at a node.
    pub fn member(&self, node: NodeId, key: &[u8]) -> Place {
        self.place(self.child(node, |token| token.as_bytes() == key))
    }

    /// The place of an element of the array at a node.
    pub fn element(&self, node: NodeId, index: usize) -> Place {
        self.place(self.child(node, |token| as_index(token) == Some(index)))
    }

    fn place(&self, node: Option<NodeId>) -> Place {
        match node {
            None => Place::Unwanted,
            Some(node) if self.nodes[node].children.is_empty() => Place::Leaf(self.nodes[node].slots.start),
            Some(node) => Place::Inner(node),
        }
    }

    fn child(&self, parent: NodeId, is_it: impl Fn(&str) -> bool) -> Option<NodeId> {
        self.nodes[parent].children.iter().find(|(token, _)| is_it(token)).map(|(_, child)| *child)
    }

    /// The slot of one of the pointers that the tree was made of.
    pub fn slot(&self, pointer: &[String]) -> Option<usize> {
        let node = pointer.iter().try_fold(ROOT, |at, token| self.child(at, |key| key == token))?;
        self.nodes[node].wanted.then_some(self.nodes[node].slots.start)
    }

    /// The child for a token, which is made if there is none; its first slot is then `slot`.
    fn child_or_new(&mut self, parent: NodeId, token: &str, slot: usize) -> NodeId {
        if let Some(child) = self.child(parent, |key| key == token) {
            return child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node { slots: slot..slot, ..Node::default() });
        self.nodes[parent].children.push((token.to_owned(), child));
        child
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal pointers share a slot, and the slots of a place include those below it.
    #[test]
    fn slots() {
        let pointers: Vec<Vec<String>> = [&["a", "b"][..], &["c"], &["a"], &["a", "b"], &["a", "d", "e"]]
            .iter()
            .map(|pointer| pointer.iter().map(|token| (*token).to_owned()).collect())
            .collect();
        let tree = PointerTree::new(pointers.iter().map(Vec::as_slice));
        let slots: Vec<_> = pointers.iter().map(|pointer| tree.slot(pointer)).collect();
        assert_eq!(slots, [Some(1), Some(3), Some(0), Some(1), Some(2)]);
        let a = tree.child(ROOT, |token| token == "a").expect("a is in the tree");
        assert_eq!(tree.member(ROOT, b"a"), Place::Inner(a));
        assert_eq!(tree.nodes[a].slots, 0..3);
        assert_eq!(tree.member(a, b"b"), Place::Leaf(1));
        assert_eq!(tree.member(a, b"c"), Place::Unwanted);
        assert_eq!(tree.slot(&["a".to_owned(), "d".to_owned()]), None);
        assert_eq!(tree.slots, 4);
    }

    /// Only what RFC 6901 calls an index is one.
    #[test]
    fn indices() {
        let indices = ["0", "10", "01", "00", "+1", "-1", "-", "", "1a"].map(as_index);
        assert_eq!(indices, [Some(0), Some(10), None, None, None, None, None, None, None]);
    }
}
