//! What a guest returned, checked before it becomes a stream type: nothing behind this file has to distrust a row
//! number, a length or a time. Errors are fragments that name the column and say what was expected.

use crate::bindings::exports::wasmill::plugin::{aggregation, transformer};
use crate::bindings::wasmill::plugin::types::{BinaryResult, Reject as WireReject};
use crate::limits::Limits;
use crate::log::printable;
use std::ops::RangeInclusive;
use wasmill_stream::Binary;
use wasmill_stream::plugin::{Accumulated, Finished, Needs, Reject, Transformed};

/// The years 1 to 9999, which every calendar and every sink can write.
const TIMES: RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// The answer of `transform` to a batch of `rows` rows.
pub(crate) fn transformed(
    output: transformer::Output,
    rows: usize,
    needs: &Needs,
    limits: &Limits,
) -> Result<Transformed, String> {
    let origins = output.origins;
    let count = check_origins(origins.as_deref(), rows, limits)?;
    if let Some(times) = &output.times {
        check_length("times", times.len(), count)?;
        check_times(times)?;
    }
    match (&output.values, needs.writes_values) {
        (None, true) => return Err("it declared to write values, but `values` is left out".to_owned()),
        (Some(_), false) => return Err("`values` is there, but it did not declare to write values".to_owned()),
        _ => {}
    }
    let rejects = rejects(output.rejects, rows)?;
    let is_origin = |row| origins.as_ref().is_none_or(|origins| origins.binary_search(&row).is_ok());
    if let Some(both) = rejects.iter().find(|reject| is_origin(reject.row)) {
        return Err(format!("row {} is both in `rejects` and in `origins`", both.row));
    }
    Ok(Transformed {
        times: output.times,
        keys: output.keys.map(|column| binary("keys", column, count)).transpose()?,
        values: output.values.map(|column| binary("values", column, count)).transpose()?,
        origins,
        rejects,
    })
}

/// The answer of `accumulate` to `rows` rows of `accumulators` accumulators.
pub(crate) fn accumulated(
    output: aggregation::Accumulated,
    rows: usize,
    accumulators: usize,
) -> Result<Accumulated, String> {
    Ok(Accumulated {
        accumulators: binary("accumulators", output.accumulators, accumulators)?,
        rejects: rejects(output.rejects, rows)?,
    })
}

/// The answer of `merge` into `count` accumulators.
pub(crate) fn merged(output: BinaryResult, count: u32) -> Result<Binary, String> {
    binary("accumulators", output, count as usize)
}

/// The answer of `finish` for `accumulators` accumulators.
pub(crate) fn finished(
    output: aggregation::Finished,
    accumulators: usize,
    limits: &Limits,
) -> Result<Finished, String> {
    let count = check_origins(output.origins.as_deref(), accumulators, limits)?;
    Ok(Finished { values: binary("values", output.values, count)?, origins: output.origins })
}

/// How many rows come out of `rows` rows.
fn check_origins(origins: Option<&[u32]>, rows: usize, limits: &Limits) -> Result<usize, String> {
    let Some(origins) = origins else { return Ok(rows) };
    if origins.len() > limits.rows {
        return Err(format!("{} rows are returned, at most {} are possible in one call", origins.len(), limits.rows));
    }
    if let Some(at) = origins.windows(2).position(|pair| pair[0] > pair[1]) {
        let (before, after) = (origins[at], origins[at + 1]);
        return Err(format!("`origins` must ascend, but {after} follows {before} at row {}", at + 1));
    }
    match origins.last() {
        Some(&last) if last as usize >= rows => {
            Err(format!("`origins` names row {last}, but the input has {rows} rows, counted from 0"))
        }
        _ => Ok(origins.len()),
    }
}

fn check_times(times: &[i64]) -> Result<(), String> {
    // The bounds of all rows first: that loop has no branches.
    let (low, high) = times.iter().fold((i64::MAX, i64::MIN), |(low, high), &time| (low.min(time), high.max(time)));
    if times.is_empty() || (TIMES.contains(&low) && TIMES.contains(&high)) {
        return Ok(());
    }
    let bad = times.iter().enumerate().find(|(_, time)| !TIMES.contains(time));
    let (row, time) = bad.unwrap_or((0, &low));
    Err(format!("`times` holds {time} at row {row}, expected milliseconds since 1970 within the years 1 to 9999"))
}

fn check_length(column: &str, found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("`{column}` has {found} entries, expected {expected}"))
}

fn binary(column: &str, wire: BinaryResult, rows: usize) -> Result<Binary, String> {
    check_length(column, wire.ends.len(), rows)?;
    Binary::from_ends(wire.bytes, &wire.ends).map_err(|error| format!("`{column}`: {error}"))
}

/// The refused rows in row order, each once.
fn rejects(wire: Vec<WireReject>, rows: usize) -> Result<Vec<Reject>, String> {
    let mut rejects: Vec<_> =
        wire.into_iter().map(|reject| Reject { row: reject.row, reason: printable(&reject.reason) }).collect();
    rejects.sort_by_key(|reject| reject.row);
    if let Some(twice) = rejects.windows(2).find(|pair| pair[0].row == pair[1].row) {
        return Err(format!("`rejects` names row {} twice", twice[0].row));
    }
    match rejects.last() {
        Some(last) if last.row as usize >= rows => {
            Err(format!("`rejects` names row {}, but the input has {rows} rows, counted from 0", last.row))
        }
        _ => Ok(rejects),
    }
}

#[cfg(test)]
mod tests;
