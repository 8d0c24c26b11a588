//! Which shards are known, which of them have ended, and which wait for their parents. Pure.

use super::connection::Shard;
use std::collections::BTreeSet;

/// The shards of a stream while it is read, each with what is needed to read it.
pub struct Lineage<R> {
    /// Every shard that was ever announced or finished.
    known: BTreeSet<String>,
    /// Announced, and their end is not settled.
    open: BTreeSet<String>,
    /// Shards that somebody is a child of.
    parents: BTreeSet<String>,
    waiting: Vec<(Shard, R)>,
}

impl<R> Lineage<R> {
    /// A stream of which these shards are finished.
    pub fn new(finished: BTreeSet<String>) -> Self {
        Self { known: finished, open: BTreeSet::new(), parents: BTreeSet::new(), waiting: Vec::new() }
    }

    /// Whether a shard is known.
    pub fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// Whether a child of this shard is known. Children appear together.
    pub fn knows_children(&self, id: &str) -> bool {
        self.parents.contains(id)
    }

    /// A shard was announced. It is ready once its parents have ended.
    pub fn announce(&mut self, shard: Shard, reader: R) {
        self.known.insert(shard.id.clone());
        self.open.insert(shard.id.clone());
        self.parents.extend(shard.parents.iter().cloned());
        self.waiting.push((shard, reader));
    }

    /// A shard has ended, and no run to come will deny it.
    pub fn ended(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// Shards that can be read now. A parent that is not known any more is older than all that the stream keeps.
    pub fn take_ready(&mut self) -> Vec<(Shard, R)> {
        let (ready, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(shard, _)| !shard.parents.iter().any(|parent| self.open.contains(parent)));
        self.waiting = waiting;
        ready
    }

    /// All shards that wait, which are not waited for any more.
    pub fn take_waiting(&mut self) -> Vec<(Shard, R)> {
        std::mem::take(&mut self.waiting)
    }

    /// Shards whose ends are settled.
    pub fn ended_shards(&self) -> impl Iterator<Item = &str> {
        self.known.difference(&self.open).map(String::as_str)
    }

    /// The children of a shard that have not begun.
    pub fn children<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a str> {
        let is_child = move |shard: &Shard| shard.parents.iter().any(|parent| parent == id);
        self.waiting.iter().filter(move |(shard, _)| is_child(shard)).map(|(shard, _)| shard.id.as_str())
    }

    /// The shards that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(|(shard, _)| shard.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> Shard {
        Shard { id: id.to_owned(), parents: parents.iter().map(|id| (*id).to_owned()).collect(), hashes: None }
    }

    fn ready(lineage: &mut Lineage<()>) -> Vec<String> {
        lineage.take_ready().into_iter().map(|(shard, ())| shard.id).collect()
    }

    /// A shard of which a merge is made, and one that is split → children wait for all their parents, not for those that
    /// are finished or forgotten.
    #[test]
    fn children_wait_for_all_parents() {
        let mut lineage = Lineage::new(BTreeSet::from(["old".to_owned()]));
        for shard in [
            shard("a", &["forgotten"]),
            shard("b", &["old"]),
            shard("ab", &["a", "b"]),
            shard("c", &["ab"]),
            shard("d", &["ab"]),
        ] {
            lineage.announce(shard, ());
        }
        assert!(lineage.knows("old") && lineage.knows("ab") && !lineage.knows("e"));
        assert!(lineage.knows_children("a") && !lineage.knows_children("c"));
        assert_eq!(lineage.children("ab").collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(ready(&mut lineage), ["a", "b"]);
        lineage.ended("a");
        assert_eq!(ready(&mut lineage), [""; 0]);
        lineage.ended("b");
        assert_eq!(ready(&mut lineage), ["ab"]);
        assert_eq!(lineage.waiting().collect::<Vec<_>>(), ["c", "d"]);
        lineage.ended("ab");
        assert_eq!(ready(&mut lineage), ["c", "d"]);
    }
}
