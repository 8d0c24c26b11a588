//! Single columns: lengths, byte strings, times, rejects.

use crate::bindings::wasmill::plugin::types::{BinaryResult, Reject as WireReject};
use crate::failure::Failure;
use crate::log::printable;
use std::ops::RangeInclusive;
use wasmill_stream::Binary;
use wasmill_stream::plugin::Reject;

/// The years 1 to 9999, which every calendar and every sink can write.
const TIMES: RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

pub(super) fn check_length(column: &str, found: usize, expected: usize) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::contract(format!("`{column}` has {found} entries, expected {expected}")))
}

pub(super) fn check_times(times: &[i64]) -> Result<(), Failure> {
    // The bounds of all rows first: that loop has no branches.
    let (low, high) = times.iter().fold((i64::MAX, i64::MIN), |(low, high), &time| (low.min(time), high.max(time)));
    if times.is_empty() || (TIMES.contains(&low) && TIMES.contains(&high)) {
        return Ok(());
    }
    let bad = times.iter().enumerate().find(|(_, time)| !TIMES.contains(time));
    let (row, time) = bad.unwrap_or((0, &low));
    Err(Failure::contract(format!(
        "`times` holds {time} at row {row}, expected milliseconds since 1970 within the years 1 to 9999"
    )))
}

pub(super) fn binary(column: &str, wire: BinaryResult, rows: usize) -> Result<Binary, Failure> {
    check_length(column, wire.ends.len(), rows)?;
    Binary::from_ends(wire.bytes, &wire.ends).map_err(|error| Failure::contract(format!("`{column}`: {error}")))
}

/// The refused rows in row order, each once.
pub(super) fn rejects(wire: Vec<WireReject>, rows: usize) -> Result<Vec<Reject>, Failure> {
    let mut rejects: Vec<_> =
        wire.into_iter().map(|reject| Reject::new(reject.row, printable(&reject.reason))).collect();
    rejects.sort_by_key(|reject| reject.row);
    if let Some(twice) = rejects.windows(2).find(|pair| pair[0].row == pair[1].row) {
        return Err(Failure::contract(format!("`rejects` names row {} twice", twice[0].row)));
    }
    match rejects.last() {
        Some(last) if last.row as usize >= rows => Err(Failure::contract(format!(
            "`rejects` names row {}, but the input has {rows} rows, counted from 0",
            last.row
        ))),
        _ => Ok(rejects),
    }
}
