//! What is printed about cases.

use super::case::Case;
use super::json::Difference;
use super::output::Output;
use super::verdict::Mismatch;
use super::{Failure, Outcome};
use serde_json::Value;
use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

/// At most so many differences of a row are listed.
const DIFFERENCES: usize = 10;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// What suits standard output.
    pub fn of_stdout() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(std::io::stdout().is_terminal() && !no_colour)
    }

    /// No colours.
    pub const NONE: Self = Self(false);

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What there is to say about a case.
pub struct Report<'a> {
    /// The case.
    pub case: &'a Case,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Whether its expectations have been written anew.
    pub updated: bool,
    /// In which colours.
    pub paint: Paint,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, outcome, paint, .. } = self;
        let verdict = match (&outcome.failure, self.updated) {
            (_, true) => "updated".to_owned(),
            (None, false) => paint.green("ok     "),
            (Some(_), false) => paint.red("FAILED "),
        };
        let rows_in: usize = case.blocks.iter().map(|block| block.rows.len()).sum();
        let rows_out: usize = outcome.found.iter().map(Vec::len).sum();
        write!(f, "{verdict} {:20} {rows_in:>5} in {rows_out:>5} out   ", case.name)?;
        writeln!(f, "{}", Costs(outcome))?;
        if let (Some(about), Some(_), false) = (&case.about, &outcome.failure, self.updated) {
            writeln!(f, "  {about}")?;
        }
        match &outcome.failure {
            Some(Failure::Mismatch(line, mismatch)) if !self.updated => self.mismatch(f, *line, mismatch)?,
            Some(Failure::Call(line, error)) => {
                writeln!(f, "  {}:{line}: {}", case.path.display(), error.report())?;
            }
            _ => {}
        }
        match &outcome.waiting {
            Some(waiting) if self.updated || !outcome.passed() => {
                writeln!(f, "  note: {waiting}; a last line {{\"watermark\": \"end\"}} lets everything out")
            }
            _ => Ok(()),
        }
    }
}

impl Report<'_> {
    fn mismatch(&self, f: &mut fmt::Formatter<'_>, line: usize, mismatch: &Mismatch) -> fmt::Result {
        let (case, paint) = (self.case, self.paint);
        let block = case.blocks.iter().find(|block| block.line == line);
        let behind = match block.and_then(|block| block.event.as_ref()) {
            Some(event) => format!("behind {}", event.title()),
            None => "behind this row".to_owned(),
        };
        writeln!(f, "  {}:{line}: {behind}, {mismatch}", case.path.display())?;
        let text = |output: &Option<Output>| output.as_ref().map_or("nothing".to_owned(), Output::text);
        writeln!(f, "    {}", paint.red(&format!("- expected  {}", text(&mismatch.expected))))?;
        writeln!(f, "    {}", paint.green(&format!("+ found     {}", text(&mismatch.found))))?;
        for Difference { path, expected, found } in mismatch.differences.iter().take(DIFFERENCES) {
            let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
            let (expected, found) = (paint.red(&text(expected)), paint.green(&text(found)));
            writeln!(f, "      {path}: expected {expected}, found {found}")?;
        }
        match mismatch.differences.len().checked_sub(DIFFERENCES) {
            Some(more) if more > 0 => writeln!(f, "      and {more} more differences"),
            _ => Ok(()),
        }
    }
}

/// What the plugin has cost in a case.
struct Costs<'a>(&'a Outcome);

impl fmt::Display for Costs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.0.counts;
        let memory = counts.memory as f64 / f64::from(1 << 20);
        let calls = if counts.calls == 1 { "call" } else { "calls" };
        write!(f, "{} of CPU, {memory:.1} MiB, {} {calls}", millis(counts.cpu), counts.calls)?;
        if counts.slow_calls > 0 {
            write!(f, ", {} of them slow (the longest took {})", counts.slow_calls, millis(counts.longest))?;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}
