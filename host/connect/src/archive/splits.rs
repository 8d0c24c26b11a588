//! The splits of an archive that is read: which are announced, which wait for others, which have ended. Pure.

use super::catalog::Span;
use super::order::Order;
use std::collections::{BTreeMap, BTreeSet};
use wasmill_stream::Position;
use wasmill_stream::checkpoint::SplitMark;

/// What is known of the splits, each with what is needed to read it.
#[derive(Debug)]
pub struct Splits<R> {
    splits: BTreeMap<String, Split<R>>,
}

/// One split.
#[derive(Debug)]
pub struct Split<R> {
    /// The splits that it goes on after, as far as the archive has any of them.
    pub parents: Vec<String>,
    /// Whether it says so by itself. Otherwise they are the splits that had ended by then, and that no other goes on after: those
    /// of a stream that was deleted, or what is left of its family.
    pub is_child: bool,
    /// Splits that go on after it.
    pub children: Vec<String>,
    /// Its last record.
    pub last: (Order, Position),
    /// How far it is read.
    pub state: State<R>,
    /// The last record that was handed on, by this run or by one before.
    pub after: Option<Position>,
    /// The last record that this run has come by.
    pub seen: Option<Position>,
}

/// How far a split is read.
#[derive(Debug)]
pub enum State<R> {
    /// Not announced.
    Unknown,
    /// Announced; its first record has not come.
    Waits(R),
    /// Its records are handed on.
    Reads(R),
    /// It has ended.
    Ended,
}

impl<R> Splits<R> {
    /// Those of a catalog, with what the checkpoint knows.
    pub fn new(spans: BTreeMap<String, Span>, marks: &BTreeMap<String, SplitMark>) -> Self {
        let explicit: BTreeMap<String, Vec<String>> = spans
            .iter()
            .map(|(part, span)| {
                let known = span.parents.iter().filter(|parent| spans.contains_key(*parent) && *parent != part);
                (part.clone(), known.cloned().collect())
            })
            .collect();
        let has_children: BTreeSet<&String> = explicit.values().flatten().collect();
        let orphans = |part: &String, span: &Span| -> Vec<String> {
            let ended = spans.iter().filter(|(_, other)| other.last.0 < span.first);
            ended
                .map(|(other, _)| other)
                .filter(|other| *other != part && !has_children.contains(other))
                .cloned()
                .collect()
        };
        let mut splits: BTreeMap<String, Split<R>> = BTreeMap::new();
        for (part, span) in &spans {
            let own = explicit.get(part).cloned().unwrap_or_default();
            let is_child = !own.is_empty();
            let parents = if is_child { own } else { orphans(part, span) };
            let mark = marks.get(part).copied().unwrap_or_default();
            let state = if mark.done { State::Ended } else { State::Unknown };
            let (children, after) = (Vec::new(), mark.position);
            let split = Split { parents, is_child, children, last: span.last, state, after, seen: None };
            splits.insert(part.clone(), split);
        }
        let families: Vec<_> = splits
            .iter()
            .flat_map(|(part, split)| split.parents.iter().map(|parent| (parent.clone(), part.clone())))
            .collect();
        for (parent, part) in families {
            if let Some(parent) = splits.get_mut(&parent) {
                parent.children.push(part);
            }
        }
        Self { splits }
    }

    /// A split.
    pub fn get(&mut self, part: &str) -> Option<&mut Split<R>> {
        self.splits.get_mut(part)
    }

    /// The splits to announce at the start: those that go on after nobody, those that were announced before, and the children of
    /// those that have ended.
    pub fn first(&self, marks: &BTreeMap<String, SplitMark>) -> Vec<String> {
        let has_ended = |part: &String| matches!(self.splits.get(part), Some(Split { state: State::Ended, .. }));
        let is_due = |(part, split): &(&String, &Split<R>)| {
            matches!(split.state, State::Unknown)
                && (split.parents.is_empty() || marks.contains_key(*part) || split.parents.iter().any(has_ended))
        };
        self.splits.iter().filter(is_due).map(|(part, _)| part.clone()).collect()
    }

    /// The children of a split that are not announced.
    pub fn unknown_children(&self, part: &str) -> Vec<String> {
        let children = self.splits.get(part).map(|split| split.children.as_slice()).unwrap_or_default();
        let is_unknown = |child: &&String| matches!(self.splits.get(*child), Some(Split { state: State::Unknown, .. }));
        children.iter().filter(is_unknown).cloned().collect()
    }

    /// The splits that are announced and have no record behind a file.
    pub fn over(&self, order: Order) -> Vec<String> {
        let is_over =
            |split: &Split<R>| split.last.0 <= order && matches!(split.state, State::Waits(_) | State::Reads(_));
        self.splits.iter().filter(|(_, split)| is_over(split)).map(|(part, _)| part.clone()).collect()
    }

    /// The splits that are announced and have not ended.
    pub fn open(&self) -> Vec<String> {
        let is_open = |split: &Split<R>| matches!(split.state, State::Waits(_) | State::Reads(_));
        self.splits.iter().filter(|(_, split)| is_open(split)).map(|(part, _)| part.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: u64) -> Order {
        Order { run: 1, number }
    }

    /// Splits by name, parents, and the first and the last of their files.
    fn splits(spans: &[(&str, &[&str], u64, u64)], done: &[&str]) -> (Splits<()>, BTreeMap<String, SplitMark>) {
        let span = |&(part, parents, first, last): &(&str, &[&str], u64, u64)| {
            let parents = parents.iter().map(|&parent| parent.to_owned()).collect();
            let span = Span { parents, first: order(first), last: (order(last), Position::Number(last)) };
            (part.to_owned(), span)
        };
        let mark = |&part: &&str| (part.to_owned(), SplitMark { position: None, watermark: Some(7), done: true });
        let marks = done.iter().map(mark).collect();
        (Splits::new(spans.iter().map(span).collect(), &marks), marks)
    }

    const FAMILY: [(&str, &[&str], u64, u64); 4] =
        [("a", &[], 1, 3), ("b", &["a"], 5, 9), ("c", &["a", "x"], 6, 9), ("d", &["b", "c"], 10, 12)];

    /// A family → its roots come first, children with the end of the first parent; parents that the archive has nothing of count for
    /// nothing.
    #[test]
    fn families() {
        let (mut splits, marks) = splits(&FAMILY, &[]);
        assert_eq!(splits.first(&marks), ["a"]);
        assert_eq!(splits.unknown_children("a"), ["b", "c"]);
        assert_eq!(splits.get("c").expect("known").parents, ["a"]);
        assert_eq!(splits.unknown_children("b"), ["d"]);
        for part in ["a", "b", "c"] {
            splits.get(part).expect("known").state = State::Waits(());
        }
        assert_eq!((splits.over(order(2)), splits.over(order(3))), (vec![], vec!["a".to_owned()]));
        assert_eq!(splits.over(order(9)), ["a", "b", "c"]);
        assert_eq!(splits.unknown_children("a"), [""; 0]);
    }

    /// Going on when some have ended, or are announced → their children come first, and nobody who has ended.
    #[test]
    fn going_on() {
        let (splits, marks) = splits(&FAMILY, &["a"]);
        assert_eq!(splits.first(&marks), ["b", "c"]);
        let (splits, mut marks) = self::splits(&FAMILY, &[]);
        marks.insert("b".to_owned(), SplitMark::default());
        assert_eq!(splits.first(&marks), ["a", "b"]);
    }

    /// A split that names no parents and begins when others have ended without children → it goes on after them, as the shards of a
    /// stream that was created again; one that others go on after, or that is there at the same time, is not waited for.
    #[test]
    fn orphans() {
        let (mut splits, marks) = splits(
            &[("a", &[], 1, 3), ("b", &["a"], 5, 6), ("silent", &[], 1, 2), ("long", &[], 1, 20), ("a@1", &[], 7, 9)],
            &[],
        );
        assert_eq!(splits.first(&marks), ["a", "long", "silent"]);
        let orphan = splits.get("a@1").expect("known");
        assert_eq!((orphan.parents.clone(), orphan.is_child), (vec!["b".to_owned(), "silent".to_owned()], false));
        assert_eq!(splits.unknown_children("silent"), ["a@1"]);
    }
}
