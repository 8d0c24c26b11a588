//! Whether what came out of a block is what its case expects.

use super::case::Block;
use super::json::Difference;
use super::output::{Output, Way};
use std::collections::BTreeSet;
use std::fmt;

/// The first output that is not as expected.
#[derive(Debug, PartialEq)]
pub struct Mismatch {
    /// By which way it leaves.
    pub way: Way,
    /// Which one of those that leave this way, from 1.
    pub number: usize,
    /// What should be there, if anything.
    pub expected: Option<Output>,
    /// What is there, if anything.
    pub found: Option<Output>,
    /// Where the two differ.
    pub differences: Vec<Difference>,
}

/// Compares way by way: how rows of different outputs mix means nothing.
pub fn judge(block: &Block, found: &[Output]) -> Option<Mismatch> {
    let ways: BTreeSet<&Way> = block.expected.iter().chain(found).map(|output| &output.way).collect();
    ways.into_iter().find_map(|way| {
        let of = |outputs: &[Output]| -> Vec<Output> {
            outputs.iter().filter(|output| output.way == *way).cloned().collect()
        };
        compare(way, &of(&block.expected), &of(found))
    })
}

fn compare(way: &Way, expected: &[Output], found: &[Output]) -> Option<Mismatch> {
    (0..expected.len().max(found.len())).find_map(|at| {
        let (expected, found) = (expected.get(at).cloned(), found.get(at).cloned());
        let differences = match (&expected, &found) {
            (Some(expected), Some(found)) => expected.differences(found),
            _ => Vec::new(),
        };
        let is_same = expected.is_some() && found.is_some() && differences.is_empty();
        (!is_same).then(|| Mismatch { way: way.clone(), number: at + 1, expected, found, differences })
    })
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, number, .. } = self;
        let way = way.title();
        match (&self.expected, &self.found) {
            (Some(_), None) => write!(f, "row {number} of {way} has not come out"),
            (None, _) => write!(f, "row {number} of {way} is not expected"),
            _ => write!(f, "row {number} of {way} is not the expected one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::row::Row;

    fn out(way: Way, value: &str) -> Output {
        Output::new(way, Row { value: Some(value.as_bytes().to_vec()), ..Row::default() })
    }

    fn side(name: &str) -> Way {
        Way::Side(name.to_owned())
    }

    /// The order within an output counts, the order between outputs does not.
    #[test]
    fn outputs_are_compared_one_by_one() {
        let expected = vec![out(Way::Main, "1"), out(side("a"), "2"), out(Way::Main, "3")];
        let block = Block { expected, ..Block::default() };
        let found = [out(side("a"), "2"), out(Way::Main, "1"), out(Way::Main, "3.0")];
        assert_eq!(judge(&block, &found), None);
        let swapped = [out(side("a"), "2"), out(Way::Main, "3"), out(Way::Main, "1")];
        let mismatch = judge(&block, &swapped).expect("another order");
        assert_eq!(mismatch.to_string(), "row 1 of `out` is not the expected one");
        assert_eq!(mismatch.differences.len(), 1);
    }

    /// What is missing and what is too much is said as such.
    #[test]
    fn too_few_and_too_many() {
        let block = Block { expected: vec![out(side("a"), "2")], ..Block::default() };
        let missing = judge(&block, &[]).map(|mismatch| mismatch.to_string());
        assert_eq!(missing.as_deref(), Some("row 1 of `out.a` has not come out"));
        let many = [out(side("a"), "2"), Output::rejected("why", Row::default())];
        let extra = judge(&block, &many).map(|mismatch| mismatch.to_string());
        assert_eq!(extra.as_deref(), Some("row 1 of `rejected` is not expected"));
    }
}
