//! The door of every step: rows that lack a field which the step cannot do without stay outside, each with its reason.

use crate::discards::Discards;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::{Batch, Cause, FaultKind};

/// The rows of `batch` that a step may see, if not all. `columns` says which of the batch's fields is which wanted one.
pub fn admit(batch: &Batch, wanted: &[FieldSpec], columns: &[usize], discards: &mut Discards) -> Option<Vec<u32>> {
    let clean = columns.iter().take(wanted.len()).all(|&at| batch.fields[at].faults.is_empty());
    if clean {
        return None;
    }
    let mut refused = vec![false; batch.len()];
    for (spec, &at) in wanted.iter().zip(columns) {
        for fault in &batch.fields[at].faults {
            let row = fault.row as usize;
            let tolerable = spec.optional && fault.kind == FaultKind::Missing;
            if !tolerable && !refused[row] {
                refused[row] = true;
                discards.row(batch, row, Cause::Undecodable, &reason(spec, fault.kind));
            }
        }
    }
    let kept: Vec<u32> = (0..batch.len() as u32).filter(|&row| !refused[row as usize]).collect();
    (kept.len() < batch.len()).then_some(kept)
}

/// Why a row without this field is refused.
pub fn reason(spec: &FieldSpec, kind: FaultKind) -> String {
    match kind {
        FaultKind::Malformed => "the record is not a whole JSON object".to_owned(),
        FaultKind::Missing | FaultKind::WrongType => format!("field `{spec}` {kind}"),
    }
}
