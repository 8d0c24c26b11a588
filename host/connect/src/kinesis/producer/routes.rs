//! Which shard a hash belongs to, by the last list of shards. Pure.

use crate::kinesis::aggregate::Hashes;
use crate::kinesis::connection::Shard;
use std::collections::HashMap;
use wasmill_stream::{Error, Result};

/// A shard that can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its id.
    pub shard: String,
    /// The hashes of the keys that belong to it.
    pub hashes: Hashes,
}

/// The shards of a stream.
#[derive(Debug, Default)]
pub struct Routes {
    /// Those that can be written to, in the order of their hashes.
    open: Vec<Route>,
    /// The hashes of all, also of those that have been split or merged.
    all: HashMap<String, Hashes>,
}

impl Routes {
    /// Those of a list. An error if it does not say who takes what, as in the middle of a split.
    pub fn of(shards: &[Shard]) -> Result<Self> {
        let hashes = |shard: &Shard| shard.hashes.clone().map(|hashes| (shard.id.clone(), hashes));
        let all: HashMap<_, _> = shards.iter().filter_map(hashes).collect();
        // What was split or merged has children, and takes nothing any more.
        let is_parent = |id: &str| shards.iter().any(|shard| shard.parents.iter().any(|parent| parent == id));
        let mut open: Vec<_> = all
            .iter()
            .filter(|(id, _)| !is_parent(id))
            .map(|(shard, hashes)| Route { shard: shard.clone(), hashes: hashes.clone() })
            .collect();
        open.sort_by_key(|route| *route.hashes.start());
        let mut next = Some(0);
        for route in &open {
            if next != Some(*route.hashes.start()) {
                break;
            }
            next = route.hashes.end().checked_add(1);
        }
        match next {
            None => Ok(Self { open, all }),
            Some(hash) => Err(Error::unavailable(format!(
                "the list of shards has none, or more than one, for the hash key {hash}"
            ))),
        }
    }

    /// The shards that can be written to.
    pub fn open(&self) -> &[Route] {
        &self.open
    }

    /// The shard of a hash.
    pub fn home(&self, hash: u128) -> Option<&Route> {
        let behind = self.open.partition_point(|route| *route.hashes.start() <= hash);
        self.open.get(behind.checked_sub(1)?)
    }

    /// The hashes of a shard, open or not.
    pub fn hashes(&self, shard: &str) -> Option<&Hashes> {
        self.all.get(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], hashes: Hashes) -> Shard {
        let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
        Shard { id: id.to_owned(), parents, hashes: Some(hashes) }
    }

    /// A shard that was split, and one that is half way → the children take its hashes, or nobody knows.
    #[test]
    fn children_take_over() {
        let (middle, end) = (1 << 100, u128::MAX);
        let parent = shard("p", &[], 0..=end);
        let (low, high) = (shard("l", &["p"], 0..=middle - 1), shard("h", &["p"], middle..=end));
        let routes = Routes::of(&[high.clone(), parent.clone(), low.clone()]).expect("all hashes have a shard");
        let home = |hash| routes.home(hash).map(|route| route.shard.as_str());
        assert_eq!([0, middle - 1, middle, end].map(home), [Some("l"), Some("l"), Some("h"), Some("h")]);
        assert_eq!(routes.hashes("p"), Some(&(0..=end)));
        assert_eq!(Routes::of(std::slice::from_ref(&parent)).expect("one shard").open().len(), 1);
        assert!(Routes::of(&[parent, low]).is_err());
        assert!(Routes::of(&[]).is_err());
    }
}
