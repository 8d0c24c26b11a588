//! Two transforms. They have no state, so in a canary each sees its own rows only.

use super::{Chosen, ascending};
use crate::candidate::Mode;
use crate::candidate::both::Pair;
use crate::candidate::difference::{self, Difference, Given, text};
use crate::isolate::{Joined, JoinedSides};
use wasmill_stream::Result;
use wasmill_stream::plugin::{Reject, Rows, Selection, Transform, Transformed, View};

impl Transform for Pair<Box<dyn Transform>> {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        if !self.candidacy.is_on() {
            return self.incumbent(batch);
        }
        match self.candidacy.mode() {
            Mode::Shadow => {
                let answer = self.incumbent(batch)?;
                match self.candidate(batch) {
                    Ok(other) => self.compare(batch, &answer, &other),
                    Err(error) => self.candidacy.has_failed(&error),
                }
                Ok(answer)
            }
            Mode::Canary { .. } | Mode::Probation | Mode::Transition => self.split(batch),
        }
    }
}

impl Pair<Box<dyn Transform>> {
    fn incumbent(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let answer = self.incumbent.logic.transform(&self.incumbent.view(batch))?;
        Ok(self.incumbent.transformed(answer, batch.values))
    }

    fn candidate(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let answer = self.candidate.logic.transform(&self.candidate.view(batch))?;
        let rows = batch.times.len();
        self.candidacy.tally.rows(rows, answer.rejects.len());
        self.candidacy.tally.results(rows, answer.main.origins.as_ref().map_or(rows, Vec::len));
        Ok(self.candidate.transformed(answer, batch.values))
    }

    /// Each answers for its rows.
    fn split(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let count = batch.times.len();
        let chosen = Chosen::new(count, |row| self.candidacy.takes(name(batch, row)));
        if chosen.is_empty() {
            return self.incumbent(batch);
        }
        let answer = self.candidate(&Selection::new(batch, &chosen.numbers).view());
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let answer = self.incumbent(batch)?;
                self.candidacy.has_failed(&error);
                return Ok(answer);
            }
        };
        let rest = Chosen::new(count, |row| !chosen.has(row));
        let mut joined = Together::default();
        joined.add(answer, &chosen);
        if !rest.is_empty() {
            joined.add(self.incumbent(&Selection::new(batch, &rest.numbers).view())?, &rest);
        }
        Ok(joined.finish(batch))
    }

    fn compare(&self, batch: &View<'_>, incumbent: &Transformed, candidate: &Transformed) {
        let count = batch.times.len();
        self.candidacy.tally.compared(count);
        let key = |row: u32| batch.keys.map_or(&b""[..], |keys| keys.get(row as usize));
        let given = Given { time: &|row| batch.times[row as usize], key: &key };
        difference::rows(&self.candidacy, "row", count, &given, &incumbent.main, &candidate.main);
        sides(&incumbent.sides, &candidate.sides, |side, before, after| {
            difference::rows(&self.candidacy, &format!("side output {side}"), count, &given, before, after);
        });
        rejects(&incumbent.rejects, &candidate.rejects, |row, before, after| {
            self.candidacy.differ(|| Difference {
                of: format!("row of key {}", text(key(row))),
                incumbent: before.into_iter().collect(),
                candidate: after.into_iter().collect(),
            });
        });
    }
}

/// Decides who answers for a row: its key, or else the row itself.
fn name<'a>(batch: &View<'a>, row: usize) -> &'a [u8] {
    batch.keys.or(batch.values).map_or(&[], |column| column.get(row))
}

/// The same side outputs of two answers.
pub fn sides(before: &[(u32, Rows)], after: &[(u32, Rows)], mut compare: impl FnMut(u32, &Rows, &Rows)) {
    let nothing = Rows { origins: Some(Vec::new()), ..Rows::default() };
    let numbers = before.iter().chain(after).map(|(side, _)| *side);
    let numbers: std::collections::BTreeSet<u32> = numbers.collect();
    let of = |sides: &[(u32, Rows)], number: u32| {
        sides.iter().find(|(side, _)| *side == number).map_or(nothing.clone(), |(_, rows)| rows.clone())
    };
    numbers.into_iter().for_each(|side| compare(side, &of(before, side), &of(after, side)));
}

/// Rows that only one of them refuses, or for another reason.
pub fn rejects(before: &[Reject], after: &[Reject], mut differ: impl FnMut(u32, Option<String>, Option<String>)) {
    let rows: std::collections::BTreeSet<u32> = before.iter().chain(after).map(|reject| reject.row).collect();
    for row in rows {
        let of = |rejects: &[Reject]| {
            let found = rejects.iter().find(|reject| reject.row == row);
            found.map(|reject| format!("refused: {}", reject.reason))
        };
        let (before, after) = (of(before), of(after));
        if before != after {
            differ(row, before, after);
        }
    }
}

/// Answers about some rows each, together about all.
#[derive(Default)]
struct Together {
    main: Joined,
    sides: JoinedSides,
    rejects: Vec<Reject>,
}

impl Together {
    fn add(&mut self, answer: Transformed, rows: &Chosen) {
        let (count, origin) = (rows.numbers.len(), |row: u32| rows.numbers[row as usize]);
        self.main.add(answer.main, count, origin);
        self.sides.add(answer.sides, count, origin);
        let own = |reject: Reject| Reject { row: origin(reject.row), ..reject };
        self.rejects.extend(answer.rejects.into_iter().map(own));
    }

    fn finish(mut self, batch: &View<'_>) -> Transformed {
        let time = |row: u32| batch.times[row as usize];
        let key = |row: u32| batch.keys.map_or(&b""[..], |keys| keys.get(row as usize));
        self.rejects.sort_by_key(|reject| reject.row);
        let sides = self.sides.finish(time, key).into_iter().map(|(side, rows)| (side, ascending(rows))).collect();
        Transformed { main: ascending(self.main.finish(time, key)), sides, rejects: self.rejects }
    }
}
