//! The door of every step: rows that lack a field which the step cannot do without stay outside, each with its reason.

use crate::discards::Discards;
use wasmill_stream::field::{self, FieldSpec};
use wasmill_stream::{Batch, Cause};

/// The rows of `batch` that a step may see, if not all. `columns` says which of the batch's fields is which wanted one.
pub fn admit(batch: &Batch, wanted: &[FieldSpec], columns: &[usize], discards: &mut Discards) -> Option<Vec<u32>> {
    let refused = field::undecodable(wanted.iter().zip(columns.iter().map(|&at| &batch.fields[at])));
    if refused.is_empty() {
        return None;
    }
    for (&row, reason) in &refused {
        discards.row(batch, row as usize, Cause::Undecodable, reason);
    }
    Some((0..batch.len() as u32).filter(|row| !refused.contains_key(row)).collect())
}
