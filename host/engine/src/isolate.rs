//! Plugins fail: on a record, for a while, or altogether. What is here stands between a step and its plugin and takes the
//! same calls. A call that fails is made again on a fresh instance; if it fails again, it is cut in halves until the rows are
//! found that make it fail. Those come back as rejects, all others with their results, as if nothing had happened.
//! More failures than the step tolerates pause it: see [`Guard`].

mod aggregate;
mod guard;
mod process;
mod transform;

pub use aggregate::IsolatedAggregate;
pub use guard::{Guard, PATIENT_CALLS};
pub use process::{DroppedTimer, IsolatedProcess};
pub use transform::IsolatedTransform;

use crate::throttle;
use std::ops::Range;
use wasmill_stream::plugin::{Reject, Rows};
use wasmill_stream::{Binary, Cause, Error, ErrorKind, GuestFault, Result};

/// Makes `call` on ever smaller ranges until every item of `range`, on which it has just failed with `error`, is in a range
/// on which it succeeds or is known to make it fail. Items stay in order.
fn bisect(
    range: Range<usize>,
    error: Error,
    guard: &mut Guard,
    call: &mut dyn FnMut(Range<usize>) -> Result<()>,
    poison: &mut dyn FnMut(usize, Cause, String),
) -> Result<()> {
    let ErrorKind::Guest(fault) = error.kind() else { return Err(error) };
    // That is said of the job, not of a row.
    if fault == GuestFault::Fatal {
        return Err(error);
    }
    if range.len() == 1 {
        guard.poisoned(&error)?;
        poison(range.start, Cause::Guest(fault), error.report());
        return Ok(());
    }
    let middle = range.start + range.len() / 2;
    for half in [range.start..middle, middle..range.end] {
        // A batch may take thousands of calls, each as long as a call may take.
        throttle::wait()?;
        if let Err(error) = call(half.clone()) {
            bisect(half, error, guard, call, poison)?;
        }
    }
    Ok(())
}

/// A row that the plugin fails on.
fn poisoned(row: usize, cause: Cause, reason: String) -> Reject {
    Reject { row: row as u32, cause, reason, by: None }
}

/// Rejects of a call on rows from `first` on, as rows of the whole.
fn behind(rejects: Vec<Reject>, first: usize) -> impl Iterator<Item = Reject> {
    rejects.into_iter().map(move |reject| Reject { row: reject.row + first as u32, ..reject })
}

/// Output rows that were made in several calls, put together. The columns of each part that its call left out are filled
/// in from the input.
#[derive(Default)]
pub struct Joined {
    parts: Vec<Part>,
}

/// The output rows of one call, with origins as numbers of the whole input.
struct Part {
    origins: Vec<u32>,
    rows: Rows,
}

impl Joined {
    /// Adds the rows of a call. `origin` turns a row number of that call into one of the whole input; `count` rows went in.
    pub fn add(&mut self, mut rows: Rows, count: usize, origin: impl Fn(u32) -> u32) {
        let origins = match rows.origins.take() {
            Some(origins) => origins.into_iter().map(&origin).collect(),
            None => (0..count as u32).map(origin).collect(),
        };
        self.parts.push(Part { origins, rows });
    }

    /// All rows. `time` and `key` tell those of a row of the input.
    pub fn finish<'k>(self, time: impl Fn(u32) -> i64, key: impl Fn(u32) -> &'k [u8]) -> Rows {
        let any = |has: fn(&Rows) -> bool| self.parts.iter().any(|part| has(&part.rows));
        let times = any(|rows| rows.times.is_some()).then(|| {
            let times = |part: &Part| match &part.rows.times {
                Some(times) => times.clone(),
                None => part.origins.iter().map(|&origin| time(origin)).collect(),
            };
            self.parts.iter().flat_map(times).collect()
        });
        let keys = any(|rows| rows.keys.is_some()).then(|| {
            let keys = |part: &Part| -> Binary {
                match &part.rows.keys {
                    Some(keys) => keys.clone(),
                    None => part.origins.iter().map(|&origin| key(origin)).collect(),
                }
            };
            concat(self.parts.iter().map(keys))
        });
        // A plugin either writes values to an output or does not.
        let values = any(|rows| rows.values.is_some())
            .then(|| concat(self.parts.iter().filter_map(|part| part.rows.values.clone())));
        Rows { origins: Some(self.parts.into_iter().flat_map(|part| part.origins).collect()), times, keys, values }
    }
}

/// The side outputs of several calls.
#[derive(Default)]
pub struct JoinedSides(Vec<(u32, Joined)>);

impl JoinedSides {
    /// Adds the rows of a call, as [`Joined::add`] does.
    pub fn add(&mut self, sides: Vec<(u32, Rows)>, count: usize, origin: impl Fn(u32) -> u32) {
        for (side, rows) in sides {
            let at = match self.0.iter().position(|(number, _)| *number == side) {
                Some(at) => at,
                None => {
                    self.0.push((side, Joined::default()));
                    self.0.len() - 1
                }
            };
            self.0[at].1.add(rows, count, &origin);
        }
    }

    /// All rows, by output.
    pub fn finish<'k>(self, time: impl Fn(u32) -> i64, key: impl Fn(u32) -> &'k [u8]) -> Vec<(u32, Rows)> {
        self.0.into_iter().map(|(side, joined)| (side, joined.finish(&time, &key))).collect()
    }
}

fn concat(parts: impl Iterator<Item = Binary>) -> Binary {
    let parts: Vec<Binary> = parts.collect();
    parts.iter().flat_map(Binary::iter).collect()
}

#[cfg(test)]
mod tests;
