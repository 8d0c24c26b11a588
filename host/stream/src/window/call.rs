//! Calls of user logic: what is passed is cut to sizes that a sandbox can hold, what comes back is checked against the
//! contract before anything is stored. An answer that breaks it is a guest error and changes nothing.

use crate::binary::BinaryBuilder;
use crate::plugin::{Accumulated, Aggregate, Finished, Fired, Reject, Selection, View};
use crate::{Binary, Error, GuestFault, Result};

/// About how many bytes of accumulators go into one call.
pub(super) const CALL_BYTES: usize = 16 << 20;

/// Accumulators on their way into calls: one column, or several if they are too large for one call.
#[derive(Default)]
pub(super) struct Parts {
    full: Vec<Binary>,
    open: BinaryBuilder,
}

impl Parts {
    /// Adds the accumulator of the next group.
    #[inline]
    pub(super) fn push(&mut self, accumulator: &[u8]) {
        if self.open.total_bytes() + accumulator.len() > CALL_BYTES && !self.open.is_empty() {
            self.full.push(std::mem::take(&mut self.open).finish());
        }
        self.open.push(accumulator);
    }

    fn finish(mut self) -> Vec<Binary> {
        self.full.push(self.open.finish());
        self.full
    }
}

/// Adds rows to the accumulators of their groups. The answers come back in the order of the parts.
pub(super) fn accumulate(
    logic: &mut dyn Aggregate,
    parts: Parts,
    groups: &[u32],
    view: &View<'_>,
) -> Result<(Vec<Binary>, Vec<Reject>)> {
    let mut parts = parts.finish();
    if let [only] = parts.as_mut_slice() {
        let answer = accumulate_part(logic, only, groups, view)?;
        *only = answer.accumulators;
        return Ok((parts, answer.rejects));
    }
    let (mut first, mut rejects) = (0, Vec::new());
    for part in &mut parts {
        let end = first + part.len() as u32;
        let rows: Vec<u32> =
            (0..groups.len() as u32).filter(|&row| (first..end).contains(&groups[row as usize])).collect();
        let groups: Vec<u32> = rows.iter().map(|&row| groups[row as usize] - first).collect();
        let selection = Selection::new(view, &rows);
        let answer = accumulate_part(logic, part, &groups, &selection.view())?;
        *part = answer.accumulators;
        rejects.extend(renumber(answer.rejects, &rows));
        first = end;
    }
    rejects.sort_by_key(|reject| reject.row);
    Ok((parts, rejects))
}

fn accumulate_part(
    logic: &mut dyn Aggregate,
    accumulators: &Binary,
    groups: &[u32],
    view: &View<'_>,
) -> Result<Accumulated> {
    let mut answer = logic.accumulate(accumulators, groups, view)?;
    check_count("accumulate", answer.accumulators.len(), accumulators.len())?;
    // Refusals may come in any order, and a row may be refused for several reasons: it still counts once.
    answer.rejects.sort_by_key(|reject| reject.row);
    answer.rejects.dedup_by_key(|reject| reject.row);
    match answer.rejects.last() {
        Some(last) if last.row as usize >= groups.len() => Err(Error::guest(
            GuestFault::Contract,
            format!("accumulate refused row {}, but the batch has {} rows, numbered from 0", last.row, groups.len()),
        )),
        _ => Ok(answer),
    }
}

/// Refused rows under the numbers that they have in the batch from which `rows` were selected.
pub(super) fn renumber(rejects: Vec<Reject>, rows: &[u32]) -> impl Iterator<Item = Reject> {
    rejects.into_iter().map(|reject| Reject { row: rows[reject.row as usize], ..reject })
}

/// A group that the logic fails to merge.
pub(super) struct Unmerged {
    /// Its number, how the logic fails and why.
    pub(super) reject: Reject,
    /// Its accumulators.
    pub(super) accumulators: Vec<Vec<u8>>,
}

/// Accumulators to be merged group by group.
#[derive(Default)]
pub(super) struct Merger {
    accumulators: BinaryBuilder,
    groups: Vec<u32>,
    count: u32,
}

impl Merger {
    /// Adds a group: accumulators of one key, in the order of their time. Tells whether there were any.
    pub(super) fn push<'a>(&mut self, accumulators: impl Iterator<Item = &'a [u8]>) -> bool {
        let before = self.groups.len();
        for accumulator in accumulators {
            self.accumulators.push(accumulator);
            self.groups.push(self.count);
        }
        let any = self.groups.len() > before;
        self.count += u32::from(any);
        any
    }

    /// How many accumulators wait.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// How many bytes wait.
    pub(super) fn total_bytes(&self) -> usize {
        self.accumulators.total_bytes()
    }

    /// One accumulator per group, and the groups that the logic fails on. If no group has more than one, nobody is called.
    pub(super) fn merge(&mut self, logic: &mut dyn Aggregate) -> Result<(Binary, Vec<Unmerged>)> {
        let Self { accumulators, groups, count } = std::mem::take(self);
        let accumulators = accumulators.finish();
        if groups.len() == count as usize {
            return Ok((accumulators, Vec::new()));
        }
        let merged = logic.merge(&accumulators, &groups, count)?;
        check_count("merge", merged.accumulators.len(), count as usize)?;
        let unmerged = merged.rejects.into_iter().map(|reject| {
            let members = groups.iter().zip(accumulators.iter()).filter(|(group, _)| **group == reject.row);
            Unmerged { accumulators: members.map(|(_, accumulator)| accumulator.to_vec()).collect(), reject }
        });
        Ok((merged.accumulators, unmerged.collect()))
    }
}

/// Turns the accumulators of fired windows into results.
pub(super) fn finish(logic: &mut dyn Aggregate, fired: &Fired<'_>) -> Result<Finished> {
    let finished = logic.finish(fired)?;
    let (given, results) = (fired.accumulators.len(), finished.values.len());
    if let Some(reject) = finished.rejects.iter().find(|reject| reject.row as usize >= given) {
        return Err(Error::guest(
            GuestFault::Contract,
            format!("finish refused accumulator {}, but was given {given}, numbered from 0", reject.row),
        ));
    }
    let Some(origins) = &finished.origins else {
        if results == given {
            return Ok(finished);
        }
        return Err(Error::guest(
            GuestFault::Contract,
            format!(
                "finish returned {results} results for {given} accumulators: without origins it must return one each"
            ),
        ));
    };
    if origins.len() != results {
        return Err(Error::guest(
            GuestFault::Contract,
            format!("finish returned {results} results, but {} origins", origins.len()),
        ));
    }
    if let Some(pair) = origins.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(Error::guest(
            GuestFault::Contract,
            format!("finish returned origin {} before origin {}: origins must ascend", pair[0], pair[1]),
        ));
    }
    match origins.last() {
        Some(&last) if last as usize >= given => Err(Error::guest(
            GuestFault::Contract,
            format!("finish returned origin {last}, but was given {given} accumulators, numbered from 0"),
        )),
        _ => Ok(finished),
    }
}

/// How many accumulators are migrated in one call.
pub(super) const MIGRATED: usize = 4_096;

/// Rewrites accumulators of an older version. Empty ones stay empty: they are fresh in every version.
pub(super) fn migrate(old: &Binary, rewrite: &mut dyn FnMut(&Binary) -> Result<Binary>) -> Result<Binary> {
    let rows: Vec<u32> = (0..old.len() as u32).filter(|&row| !old.get(row as usize).is_empty()).collect();
    let new = rewrite(&old.select(&rows))?;
    check_count("migrate", new.len(), rows.len())?;
    let mut rewritten = rows.iter().zip(new.iter()).peekable();
    let take = |row: u32| rewritten.next_if(|(at, _)| **at == row).map_or(&[][..], |(_, new)| new);
    Ok((0..old.len() as u32).map(take).collect())
}

fn check_count(call: &str, returned: usize, expected: usize) -> Result<()> {
    if returned == expected {
        return Ok(());
    }
    Err(Error::guest(
        GuestFault::Contract,
        format!("{call} returned {returned} accumulators where {expected} were expected"),
    ))
}
