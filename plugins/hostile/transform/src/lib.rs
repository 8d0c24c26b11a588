//! A transform that does harm, for the tests of the host; see `plugins/hostile/README.md`.

mod answer;

use answer::Answer;
use hostile_deeds::Deed;
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

impl BatchTransform for Hostile {
    fn needs(&self) -> Result<Needs, String> {
        self.r#do.in_configure(self.amount)?;
        Ok(Needs {
            fields: vec!["/id: s64".into()],
            reads_values: self.answer.writes_values(),
            writes_values: self.answer.writes_values(),
            side_outputs: vec![SideOutput { name: "aside".into(), writes_values: false }],
        })
    }

    fn transform(&self, batch: Batch) -> Result<Columns, Failure> {
        let ids =
            batch.fields.first().and_then(|ids| ids.ints()).ok_or("the host sent no column of s64 for field /id")?;
        let bad: Vec<u32> = (0..).zip(ids).filter(|(_, id)| *id % self.every == 0).map(|(row, _)| row).collect();
        bad.iter().for_each(|_| self.r#do.to_row(self.amount));
        match bad.first() {
            Some(&bad) => self.answer.to(batch, bad, self.amount),
            None => Ok(Rows { values: batch.values, ..Rows::default() }.into()),
        }
    }
}

wasmill::transform!(batch Hostile);

#[cfg(test)]
mod tests;
