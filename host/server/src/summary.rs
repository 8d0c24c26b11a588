//! The last words about a job: what became of every row, step by step, and why rows were refused.

use crate::progress::grouped;
use std::fmt;
use wasmill_stream::ledger::{Counts, Ledger, StepLedger};

/// How many reasons of a step are shown.
const REASONS: usize = 5;

/// A title and what stands below it.
type Column = (&'static str, fn(&Counts) -> i64);

const COLUMNS: [Column; 9] = [
    ("read", |counts| counts.read as i64),
    ("= emitted", |counts| counts.emitted as i64),
    ("+ filtered", |counts| counts.filtered as i64),
    ("+ late", |counts| counts.late as i64),
    ("+ rejected", |counts| counts.rejected as i64),
    ("+ control", |counts| counts.control as i64),
    ("+ in flight", |counts| counts.in_flight()),
    ("rows out", |counts| counts.written as i64),
    ("fired", |counts| counts.fired as i64),
];

/// The balance of a job.
pub struct Summary<'a>(pub &'a Ledger);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.steps.iter().map(|step| (step.name.as_str(), step.counts())).collect();
        let name_width = counts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        // A column that is zero everywhere says nothing; the first two always do.
        let shown: Vec<_> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(at, (_, value))| *at < 2 || counts.iter().any(|(_, counts)| value(counts) != 0))
            .map(|(_, (title, value))| {
                let cells: Vec<_> = counts.iter().map(|(_, counts)| cell(value(counts))).collect();
                let width = cells.iter().map(String::len).chain([title.len()]).max().unwrap_or(0);
                (*title, cells, width)
            })
            .collect();
        write!(f, "{:name_width$}", "")?;
        for (title, _, width) in &shown {
            write!(f, "  {title:>width$}")?;
        }
        writeln!(f)?;
        for (row, (name, _)) in counts.iter().enumerate() {
            write!(f, "{name:name_width$}")?;
            for (_, cells, width) in &shown {
                write!(f, "  {:>width$}", cells[row])?;
            }
            writeln!(f)?;
        }
        self.0.steps.iter().try_for_each(|step| rejects(f, step))
    }
}

fn cell(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(value.unsigned_abs()))
}

fn rejects(f: &mut fmt::Formatter<'_>, step: &StepLedger) -> fmt::Result {
    let rejects = step.rejects();
    if rejects.reasons.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nrejected by {}:", step.name)?;
    let mut reasons: Vec<_> = rejects.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in reasons.iter().take(REASONS) {
        writeln!(f, "{:>11}  {reason}", grouped(**count))?;
    }
    if let Some(rest) = reasons.get(REASONS..).filter(|rest| !rest.is_empty()) {
        let rows = rest.iter().map(|(_, count)| **count).sum();
        writeln!(f, "{:>11}  for {} other reasons", grouped(rows), rest.len())?;
    }
    for example in &rejects.examples {
        writeln!(f, "       e.g.  {example}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Every row of a step is found in one of the columns, empty columns are left out, and rejects come with reasons.
    #[test]
    fn balance_and_reasons() {
        let (source, step) = (StepLedger::new("trips"), StepLedger::new("cell"));
        StepLedger::add(&source.read, 12_345);
        StepLedger::add(&source.emitted, 12_345);
        StepLedger::add(&step.read, 12_345);
        StepLedger::add(&step.emitted, 12_340);
        StepLedger::add(&step.filtered, 3);
        for row in [7, 9] {
            step.reject_at(|| format!("trips/0 {row}"), "no pickup");
        }
        let text = Summary(&Ledger { steps: vec![Arc::new(source), Arc::new(step)] }).to_string();
        let expected = "         read  = emitted  + filtered  + rejected
trips  12,345     12,345           0           0
cell   12,345     12,340           3           2

rejected by cell:
          2  no pickup
       e.g.  trips/0 7: no pickup
       e.g.  trips/0 9: no pickup
";
        assert_eq!(text, expected);
    }
}
