//! A transform whose failures are narrowed down to rows.

use super::{Guard, Joined, JoinedSides, behind, bisect, poisoned};
use std::ops::Range;
use wasmill_stream::plugin::{Selection, Transform, Transformed, View};
use wasmill_stream::{Error, Result};

/// A plugin and its guard.
pub struct IsolatedTransform {
    logic: Box<dyn Transform>,
    guard: Guard,
}

impl IsolatedTransform {
    /// Stands before a plugin.
    pub fn new(logic: Box<dyn Transform>, guard: Guard) -> Self {
        Self { logic, guard }
    }

    /// The guard, which knows whether a failed call is to be made again.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    fn isolate(&mut self, batch: &View<'_>, error: Error) -> Result<Transformed> {
        let (mut main, mut sides, mut rejects) = (Joined::default(), JoinedSides::default(), Vec::new());
        let (mut refused, logic) = (Vec::new(), &mut self.logic);
        let mut call = |range: Range<usize>| {
            let rows: Vec<u32> = (range.start as u32..range.end as u32).collect();
            let answer = logic.transform(&Selection::new(batch, &rows).view())?;
            let origin = |row: u32| row + range.start as u32;
            main.add(answer.main, rows.len(), origin);
            sides.add(answer.sides, rows.len(), origin);
            refused.extend(behind(answer.rejects, range.start));
            Ok(())
        };
        let mut poison = |row, cause, reason| rejects.push(poisoned(row, cause, reason));
        bisect(0..batch.times.len(), error, &mut self.guard, &mut call, &mut poison)?;
        rejects.append(&mut refused);
        rejects.sort_by_key(|reject| reject.row);
        let time = |row: u32| batch.times[row as usize];
        let key = |row: u32| batch.keys.map_or(&b""[..], |keys| keys.get(row as usize));
        Ok(Transformed { main: main.finish(time, key), sides: sides.finish(time, key), rejects })
    }
}

impl Transform for IsolatedTransform {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let answer = match self.logic.transform(batch).or_else(|_| self.logic.transform(batch)) {
            Ok(answer) => answer,
            Err(error) => {
                let error = self.guard.judge(error, batch.times.len())?;
                self.isolate(batch, error)?
            }
        };
        self.guard.passed(batch.times.len());
        Ok(answer)
    }
}
