//! Some rows of what a plugin sees. Made only when rows have to be left out of a call: because they are late, because the
//! plugin refused them, or because their accumulators are too large for one call.

use crate::plugin::View;
use crate::{Binary, Column};

/// Chosen rows, owned; byte columns still share the batch's buffer.
pub(super) struct Selection {
    times: Vec<i64>,
    keys: Option<Binary>,
    values: Option<Binary>,
    fields: Vec<Column>,
}

impl Selection {
    /// The chosen rows of a view, in the order given.
    pub(super) fn new(view: &View<'_>, rows: &[u32]) -> Self {
        Self {
            times: rows.iter().map(|&row| view.times[row as usize]).collect(),
            keys: view.keys.map(|keys| keys.select(rows)),
            values: view.values.map(|values| values.select(rows)),
            fields: view.fields.iter().map(|column| column.select(rows)).collect(),
        }
    }

    /// What a plugin sees of them.
    pub(super) fn view(&self) -> View<'_> {
        View {
            times: &self.times,
            keys: self.keys.as_ref(),
            values: self.values.as_ref(),
            fields: self.fields.iter().collect(),
        }
    }
}
