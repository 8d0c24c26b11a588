//! Which rows a step may not see: those that lack a field which it cannot do without. Who sets them aside, and where, is not
//! known here.

use super::FieldSpec;
use crate::{Column, FaultKind};
use std::collections::BTreeMap;

/// The rows that lack one of these fields, each with its first reason in the order of the fields.
pub fn undecodable<'c>(fields: impl IntoIterator<Item = (&'c FieldSpec, &'c Column)>) -> BTreeMap<u32, String> {
    let mut refused = BTreeMap::new();
    for (spec, column) in fields {
        for fault in &column.faults {
            let is_tolerable = spec.optional && fault.kind == FaultKind::Missing;
            if !is_tolerable {
                refused.entry(fault.row).or_insert_with(|| spec.reason(fault.kind));
            }
        }
    }
    refused
}

impl FieldSpec {
    /// Why a row is refused that has no value for this field.
    pub fn reason(&self, kind: FaultKind) -> String {
        match kind {
            FaultKind::Malformed => "the record is not a whole JSON object".to_owned(),
            FaultKind::Missing | FaultKind::WrongType => format!("field `{self}` {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binary;
    use crate::field::Decoder;

    /// Rows that lack a field are named in their order, each once and with the reason of the first field; optional fields
    /// may be missing, but not wrong.
    #[test]
    fn undecodable_rows() {
        let fields = ["/a: s64", "/b: string?"].map(|field| field.parse().expect(field));
        let rows = ["{\"a\": 1, \"b\": 2}", "{\"a\": 1}", "{\"b\": 2}", "{\"a\": 1, \"b\": \"c\"}", "x"];
        let columns = Decoder::new(&fields).decode(&rows.into_iter().collect::<Binary>());
        let expected = [
            (0, "field `/b: string?` has the wrong type"),
            (2, "field `/a: s64` is missing"),
            (4, "the record is not a whole JSON object"),
        ];
        assert_eq!(undecodable(fields.iter().zip(&columns)), expected.map(|(row, why)| (row, why.to_owned())).into());
    }
}
