//! Output rows: which input rows they come from, and that every column that must be there is.

use super::column::{binary, check_length, check_times};
use crate::bindings::wasmill::plugin::types;
use crate::failure::Failure;
use crate::limits::Limits;
use wasmill_stream::plugin::{Needs, Reject, Rows};

/// What origins may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) rows: usize,
    /// How many keys may have had a timer fired; origins need not ascend then. `None`: there are no timers.
    pub(super) keys: Option<usize>,
}

impl Given {
    /// How many rows come out.
    pub(super) fn count(self, origins: Option<&[u32]>) -> Result<usize, Failure> {
        let Some(origins) = origins else { return Ok(self.rows) };
        let bound = self.rows.saturating_add(self.keys.unwrap_or(0));
        if self.keys.is_none()
            && let Some(at) = origins.windows(2).position(|pair| pair[0] > pair[1])
        {
            let (before, after) = (origins[at], origins[at + 1]);
            return Err(Failure::contract(format!(
                "`origins` must ascend, but {after} follows {before} at row {}",
                at + 1
            )));
        }
        match origins.iter().max() {
            Some(&last) if last as usize >= bound => {
                let keys = self.keys.map(|keys| format!(" and {keys} keys")).unwrap_or_default();
                Err(Failure::contract(format!(
                    "`origins` names row {last}, but the input has {} rows{keys}, counted from 0",
                    self.rows
                )))
            }
            _ => Ok(origins.len()),
        }
    }

    /// Refused rows must not come out, by any output.
    pub(super) fn check_rejects<'a>(
        self,
        rejects: &[Reject],
        outputs: impl IntoIterator<Item = Option<&'a [u32]>>,
    ) -> Result<(), Failure> {
        if rejects.is_empty() {
            return Ok(());
        }
        let mut refused = vec![false; self.rows];
        for reject in rejects {
            if let Some(refused) = refused.get_mut(reject.row as usize) {
                *refused = true;
            }
        }
        for origins in outputs {
            let both = match origins {
                // One output row for each input row.
                None => rejects.first().map(|reject| reject.row),
                Some(origins) => origins.iter().copied().find(|&row| refused.get(row as usize) == Some(&true)),
            };
            if let Some(row) = both {
                return Err(Failure::contract(format!("row {row} is both in `rejects` and in `origins`")));
            }
        }
        Ok(())
    }
}

/// All rows of an answer must fit into the limit together.
pub(super) fn check_total(total: usize, given: usize, limits: &Limits) -> Result<(), Failure> {
    let most = limits.rows(given);
    if total > most {
        return Err(Failure::output(format!(
            "returned {total} rows for {given}, at most {most} are possible in one call"
        )));
    }
    Ok(())
}

/// Checks the outputs of one answer.
pub(super) struct Outputs<'a> {
    given: Given,
    needs: &'a Needs,
    limits: &'a Limits,
    total: usize,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(given: Given, needs: &'a Needs, limits: &'a Limits) -> Self {
        Self { given, needs, limits, total: 0 }
    }

    /// The main output.
    pub(super) fn main(&mut self, wire: types::Rows) -> Result<Rows, Failure> {
        self.rows(wire, self.needs.writes_values)
    }

    /// The side outputs.
    pub(super) fn sides(&mut self, wire: Vec<types::SideRows>) -> Result<Vec<(u32, Rows)>, Failure> {
        let mut sides: Vec<(u32, Rows)> = Vec::with_capacity(wire.len().min(self.needs.sides.len()));
        for types::SideRows { side, rows } in wire {
            let Some(declared) = self.needs.sides.get(side as usize) else {
                let count = self.needs.sides.len();
                return Err(Failure::contract(format!(
                    "`sides` names output {side}, but it declared {count}, counted from 0"
                )));
            };
            if sides.iter().any(|(other, _)| *other == side) {
                return Err(Failure::contract(format!("`sides` holds output {side} (`{}`) twice", declared.name)));
            }
            let rows = self.rows(rows, declared.writes_values).map_err(|failure| Failure {
                words: format!("{}, in side output `{}`", failure.words, declared.name),
                ..failure
            })?;
            sides.push((side, rows));
        }
        Ok(sides)
    }

    /// See [`Given::check_rejects`].
    pub(super) fn check_rejects(&self, rejects: &[Reject], main: &Rows, sides: &[(u32, Rows)]) -> Result<(), Failure> {
        let outputs = std::iter::once(main).chain(sides.iter().map(|(_, rows)| rows));
        self.given.check_rejects(rejects, outputs.map(|rows| rows.origins.as_deref()))
    }

    fn rows(&mut self, wire: types::Rows, writes_values: bool) -> Result<Rows, Failure> {
        let types::Rows { origins, times, keys, values } = wire;
        let count = self.given.count(origins.as_deref())?;
        self.total = self.total.saturating_add(count);
        check_total(self.total, self.given.rows.max(self.given.keys.unwrap_or(0)), self.limits)?;
        match (&values, writes_values) {
            (None, true) => return Err(Failure::contract("it declared to write values, but `values` is left out")),
            (Some(_), false) => {
                return Err(Failure::contract("`values` is there, but it did not declare to write values"));
            }
            _ => {}
        }
        let first_timer = origins.iter().flatten().zip(0..).find(|(origin, _)| **origin as usize >= self.given.rows);
        if let Some((origin, row)) = first_timer
            && (times.is_none() || values.is_none())
        {
            let key = *origin as usize - self.given.rows;
            let missing = if times.is_none() { "`times` is left out" } else { "it did not declare to write values" };
            return Err(Failure::contract(format!("row {row} comes from a timer of key {key}, but {missing}")));
        }
        if let Some(times) = &times {
            check_length("times", times.len(), count)?;
            check_times(times)?;
        }
        Ok(Rows {
            times,
            keys: keys.map(|column| binary("keys", column, count)).transpose()?,
            values: values.map(|column| binary("values", column, count)).transpose()?,
            origins,
        })
    }
}
