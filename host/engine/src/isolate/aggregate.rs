//! An aggregator whose failures are narrowed down to rows, or to windows when these are merged and finished.

use super::{Guard, behind, bisect, poisoned};
use std::ops::Range;
use wasmill_stream::plugin::{Accumulated, Aggregate, Finished, Fired, Merged, Selection, View};
use wasmill_stream::{Binary, Error, Result};

/// A plugin and its guard.
pub struct IsolatedAggregate {
    logic: Box<dyn Aggregate>,
    guard: Guard,
}

impl IsolatedAggregate {
    /// Stands before a plugin.
    pub fn new(logic: Box<dyn Aggregate>, guard: Guard) -> Self {
        Self { logic, guard }
    }

    /// The guard, which knows whether a failed call is to be made again.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Rows go in bit by bit: each call takes the accumulators that the one before left.
    fn isolate_rows(
        &mut self,
        accumulators: &Binary,
        groups: &[u32],
        batch: &View<'_>,
        error: Error,
    ) -> Result<Accumulated> {
        let mut accumulators = accumulators.clone();
        let (mut refused, mut rejects, logic) = (Vec::new(), Vec::new(), &mut self.logic);
        let mut call = |range: Range<usize>| {
            let rows: Vec<u32> = (range.start as u32..range.end as u32).collect();
            let answer =
                logic.accumulate(&accumulators, &groups[range.clone()], &Selection::new(batch, &rows).view())?;
            accumulators = answer.accumulators;
            refused.extend(behind(answer.rejects, range.start));
            Ok(())
        };
        let mut poison = |row, cause, reason| rejects.push(poisoned(row, cause, reason));
        bisect(0..groups.len(), error, &mut self.guard, &mut call, &mut poison)?;
        rejects.append(&mut refused);
        rejects.sort_by_key(|reject| reject.row);
        Ok(Accumulated { accumulators, rejects })
    }

    fn isolate_results(&mut self, accumulators: &Binary, groups: &[u32], count: u32, error: Error) -> Result<Merged> {
        let mut results = vec![Vec::new(); count as usize];
        let (mut refused, mut rejects, logic) = (Vec::new(), Vec::new(), &mut self.logic);
        let mut call = |range: Range<usize>| {
            let is_in = |at: &u32| range.contains(&(groups[*at as usize] as usize));
            let picked: Vec<u32> = (0..groups.len() as u32).filter(is_in).collect();
            let part = accumulators.select(&picked);
            let of: Vec<u32> = picked.iter().map(|&at| groups[at as usize] - range.start as u32).collect();
            // A result of one accumulator is that accumulator.
            let answer = match of.len() == range.len() {
                true => Merged::from(part),
                false => logic.merge(&part, &of, range.len() as u32)?,
            };
            results[range.clone()]
                .iter_mut()
                .zip(answer.accumulators.iter())
                .for_each(|(to, from)| *to = from.to_vec());
            refused.extend(behind(answer.rejects, range.start));
            Ok(())
        };
        let mut poison = |result, cause, reason| rejects.push(poisoned(result, cause, reason));
        bisect(0..count as usize, error, &mut self.guard, &mut call, &mut poison)?;
        rejects.append(&mut refused);
        rejects.sort_by_key(|reject| reject.row);
        Ok(Merged { accumulators: results.iter().collect(), rejects })
    }

    fn isolate_windows(&mut self, fired: &Fired<'_>, error: Error) -> Result<Finished> {
        let (mut origins, mut values) = (Vec::new(), Vec::new());
        let (mut refused, mut rejects, logic) = (Vec::new(), Vec::new(), &mut self.logic);
        let mut call = |range: Range<usize>| {
            let rows: Vec<u32> = (range.start as u32..range.end as u32).collect();
            let (keys, accumulators) = (fired.keys.select(&rows), fired.accumulators.select(&rows));
            let part = Fired { windows: &fired.windows[range.clone()], keys: &keys, accumulators: &accumulators };
            let answer = logic.finish(&part)?;
            match answer.origins {
                Some(of) => origins.extend(of.into_iter().map(|origin| origin + range.start as u32)),
                None => origins.extend(rows),
            }
            values.push(answer.values);
            refused.extend(behind(answer.rejects, range.start));
            Ok(())
        };
        let mut poison = |row, cause, reason| rejects.push(poisoned(row, cause, reason));
        bisect(0..fired.windows.len(), error, &mut self.guard, &mut call, &mut poison)?;
        rejects.append(&mut refused);
        rejects.sort_by_key(|reject| reject.row);
        Ok(Finished { origins: Some(origins), values: super::concat(values.into_iter()), rejects })
    }
}

impl Aggregate for IsolatedAggregate {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        let mut call = || self.logic.accumulate(accumulators, groups, batch);
        let answer = match call().or_else(|_| call()) {
            Ok(answer) => answer,
            Err(error) => {
                let error = self.guard.judge(error, groups.len())?;
                self.isolate_rows(accumulators, groups, batch, error)?
            }
        };
        self.guard.passed(groups.len());
        Ok(answer)
    }

    /// Which of the accumulators of a result is at fault cannot be told, and a result without one of them would be wrong:
    /// there is none.
    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let mut call = || self.logic.merge(accumulators, groups, count);
        let answer = match call().or_else(|_| call()) {
            Ok(answer) => answer,
            Err(error) => {
                let error = self.guard.judge(error, count as usize)?;
                self.isolate_results(accumulators, groups, count, error)?
            }
        };
        self.guard.passed(count as usize);
        Ok(answer)
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let mut call = || self.logic.finish(fired);
        let answer = match call().or_else(|_| call()) {
            Ok(answer) => answer,
            Err(error) => {
                let error = self.guard.judge(error, fired.windows.len())?;
                self.isolate_windows(fired, error)?
            }
        };
        self.guard.passed(fired.windows.len());
        Ok(answer)
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        self.logic.migrate(from, accumulators)
    }
}
