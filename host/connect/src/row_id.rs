//! Ids of rows for those who get a row a second time and have to tell: the same ones whenever the row comes again.

use wasmill_stream::checkpoint::Digest;
use wasmill_stream::{Batch, Pane};

/// Those of the rows of a batch of this job. A correction of a window has one of its own.
pub fn of(job: &str, batch: &Batch) -> Vec<String> {
    let mut ids = batch.row_ids();
    for (row, id) in ids.iter_mut().enumerate() {
        let is_correction = batch.firings.as_ref().is_some_and(|firings| firings[row].pane == Pane::Late);
        let correction = is_correction.then(|| format!("|{}", Digest::of(batch.values.get(row))));
        *id = format!("{job}|{id}{}", correction.unwrap_or_default());
    }
    ids
}
