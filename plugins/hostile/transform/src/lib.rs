//! A transform that does harm, for the tests of the host; see `plugins/hostile/README.md`.

mod answer;

use answer::Answer;
use hostile_deeds::{Deed, stamped};
use std::sync::LazyLock;
use wasmill::{Batch, BatchTransform, Columns, Failure, Needs, Rows, Settings, SideOutput};

#[derive(Settings)]
struct Hostile {
    /// What it does to bad rows, before it answers.
    #[setting(default = "nothing")]
    r#do: Deed,
    /// What is wrong with the answer to a batch with bad rows.
    #[setting(default = "honest")]
    answer: Answer,
    /// Rows whose `/id` is a multiple of this are bad; 1 makes all so.
    #[setting(default = 1000, minimum = 1)]
    every: i64,
    /// How much of it: rounds, lines, rows or bytes.
    #[setting(default = 1000000)]
    amount: usize,
}

/// What was written over the stamp of the component.
static STAMPED: LazyLock<Option<Hostile>> = LazyLock::new(stamped);

impl Hostile {
    /// Itself, unless the stamp says something else.
    fn chosen(&self) -> &Self {
        STAMPED.as_ref().unwrap_or(self)
    }
}

impl BatchTransform for Hostile {
    fn needs(&self) -> Result<Needs, String> {
        let this = self.chosen();
        this.r#do.in_configure(this.amount)?;
        Ok(Needs {
            fields: vec!["/id: s64".into()],
            reads_values: this.answer.writes_values(),
            writes_values: this.answer.writes_values(),
            side_outputs: vec![SideOutput { name: "aside".into(), writes_values: false }],
        })
    }

    fn transform(&self, batch: Batch) -> Result<Columns, Failure> {
        let this = self.chosen();
        let ids =
            batch.fields.first().and_then(|ids| ids.ints()).ok_or("the host sent no column of s64 for field /id")?;
        this.r#do.in_call(ids.len());
        let bad: Vec<u32> = (0..).zip(ids).filter(|(_, id)| *id % this.every == 0).map(|(row, _)| row).collect();
        bad.iter().for_each(|_| this.r#do.to_row(this.amount));
        match bad.first() {
            Some(&bad) => this.answer.to(batch, bad, this.amount),
            None => Ok(Rows { values: batch.values, ..Rows::default() }.into()),
        }
    }
}

wasmill::transform!(batch Hostile);

#[cfg(test)]
mod tests;
