//! What rows that wait carry, and how they are laid out anew when that changes.

use super::Held;
use crate::field::{Decoder, FieldSpec};
use crate::{Batch, Error, Result};
use std::sync::Arc;

/// What rows are held for: the fields and, if somebody reads them, the values. The fields of a batch stand in this order.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Wanted {
    /// The fields.
    pub fields: Vec<FieldSpec>,
    /// Whether the values are read.
    pub values: bool,
}

impl Wanted {
    /// Gives a batch the columns that are wanted now. `specs`: its fields as they were noted; nothing in the checkpoints of
    /// the first version, which could not be gone on from with other fields.
    pub(super) fn fit(&self, mut batch: Batch, specs: &[u8]) -> Result<Batch> {
        let unfit = |what: &str| {
            Error::invalid(format!("rows that wait for their event time were kept without {what}, which is wanted now"))
                .hint("go on with the plugins as they were until these rows are through, or start with --fresh")
        };
        if self.values && batch.values.is_empty() {
            return Err(unfit("their values"));
        }
        let specs: Vec<String> = match specs {
            [] => self.fields.iter().map(FieldSpec::to_string).collect(),
            specs => serde_json::from_slice(specs).unwrap_or_default(),
        };
        let mut fields = Vec::with_capacity(self.fields.len());
        for wanted in &self.fields {
            let name = wanted.to_string();
            let known = specs.iter().position(|spec| *spec == name).and_then(|at| batch.fields.get(at)).cloned();
            fields.extend(match known {
                Some(column) => vec![column],
                None if batch.values.is_empty() => return Err(unfit(&format!("the field `{name}`"))),
                None => Decoder::new(std::slice::from_ref(wanted)).decode(&batch.values),
            });
        }
        batch.fields = fields;
        if !self.values {
            batch.values = Default::default();
        }
        Ok(batch)
    }

    /// Gives a batch that waits the columns that are wanted now. `before`: what was wanted of it until now.
    pub(super) fn lay_out(&self, before: &Self, held: &mut Held) {
        let mut batch = Batch::clone(&held.batch);
        let mut lacks = Vec::new();
        let column = |field: &FieldSpec| {
            let known = before.fields.iter().position(|known| known == field).filter(|_| !held.lacks.contains(field));
            if let Some(column) = known.and_then(|at| batch.fields.get(at)) {
                return vec![column.clone()];
            }
            let mut decoder = Decoder::new(std::slice::from_ref(field));
            if !batch.values.is_empty() {
                return decoder.decode(&batch.values);
            }
            lacks.push(field.clone());
            decoder.decode(&std::iter::repeat_n("", batch.len()).collect())
        };
        let fields = self.fields.iter().flat_map(column).collect();
        batch.fields = fields;
        if !self.values {
            batch.values = Default::default();
        }
        (held.batch, held.lacks) = (Arc::new(batch), lacks);
    }
}
