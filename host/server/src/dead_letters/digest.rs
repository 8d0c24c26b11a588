//! Letters counted by cause, step and reason.

use super::replay::Origin;
use std::collections::BTreeMap;
use std::fmt;
use wasmill_stream::dead_letter::DeadLetter;

/// How many groups are kept apart: a reason may name the row, so that each is another one.
const GROUPS: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    cause: String,
    step: String,
    /// `None`: all reasons for which there was no room.
    reason: Option<String>,
}

#[derive(Debug, Default)]
struct Count {
    letters: u64,
    first: String,
    last: String,
}

/// What some letters are about.
#[derive(Debug, Default)]
pub struct Digest {
    groups: BTreeMap<Group, Count>,
    letters: u64,
    replayable: u64,
}

impl Digest {
    /// Adds a letter.
    pub fn add(&mut self, letter: &DeadLetter) {
        self.letters += 1;
        self.replayable += u64::from(Origin::of(letter).is_ok());
        let (cause, step) = (letter.cause.clone(), letter.step.clone());
        let mut group = Group { cause, step, reason: Some(letter.reason.clone()) };
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&group) {
            group.reason = None;
        }
        let count = self.groups.entry(group).or_default();
        count.letters += 1;
        // Times of one form are ordered as texts.
        if count.first.is_empty() || letter.at < count.first {
            count.first.clone_from(&letter.at);
        }
        if letter.at > count.last {
            count.last.clone_from(&letter.at);
        }
    }

    /// As a table of at most so many groups, the largest first.
    pub fn table(&self, limit: usize) -> impl fmt::Display {
        Table { digest: self, limit }
    }
}

struct Table<'a> {
    digest: &'a Digest,
    limit: usize,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Digest { groups, letters, replayable } = self.digest;
        let mut groups: Vec<_> = groups.iter().collect();
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(count.letters));
        let shown = &groups[..groups.len().min(self.limit)];
        let width = |title: &str, text: fn(&Group) -> &str| {
            shown.iter().map(|(group, _)| text(group).chars().count()).chain([title.len()]).max().unwrap_or(0)
        };
        let (cause, step) = (width("cause", |group| &group.cause), width("step", |group| &group.step));
        let time = "0000-00-00T00:00:00.000Z".len();
        if !shown.is_empty() {
            let (first, last) = ("first", "last");
            writeln!(f, "{:>9}  {:cause$}  {:step$}  {first:time$}  {last:time$}  reason", "letters", "cause", "step")?;
        }
        for (group, count) in shown {
            let Count { letters, first, last } = count;
            let reason = group.reason.as_deref().map_or("(other reasons)".to_owned(), one_line);
            let (of_cause, of_step) = (&group.cause, &group.step);
            writeln!(f, "{letters:>9}  {of_cause:cause$}  {of_step:step$}  {first:time$}  {last:time$}  {reason}")?;
        }
        if let Some(rest) = groups.get(shown.len()..).filter(|rest| !rest.is_empty()) {
            let letters: u64 = rest.iter().map(|(_, count)| count.letters).sum();
            writeln!(f, "{letters:>9}  in {} smaller groups", rest.len())?;
        }
        let are = if *letters == 1 { "letter" } else { "letters" };
        writeln!(f, "{letters:>9}  {are} in all; {replayable} can be replayed")
    }
}

/// Words from outside: on one line, and nothing that a terminal obeys.
pub fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
