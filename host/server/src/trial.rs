//! Trying a plugin out on cases: files that say what goes in and what should come out. The plugin runs in the sandbox,
//! with the windows, states, limits and decoding of a job; only the sources, the sinks and the clock are the author's.
//!
//! `case` reads a file (`header`, `row`, `output` its lines), `stage` plays it (`rows` makes batches), `verdict`
//! compares, `report` prints.

mod case;
mod header;
mod json;
mod output;
mod report;
mod row;
mod rows;
mod stage;
mod verdict;

pub use case::Case;
pub use report::{Paint, Report};

use case::{Block, Event};
use output::Output;
use row::Row;
use stage::Stage;
use std::path::{Path, PathBuf};
use verdict::Mismatch;
use wasmill_plugin::{Component, Host};
use wasmill_stream::guest_ledger::GuestCounts;
use wasmill_stream::{Error, ErrorKind, Result};

/// The folder of a plugin's cases.
pub const FOLDER: &str = "cases";

/// What became of a case.
pub struct Outcome {
    /// What came out, block by block.
    found: Vec<Vec<Output>>,
    /// Why the case has failed.
    failure: Option<Failure>,
    /// What has gone in and not come out, for people.
    waiting: Option<String>,
    /// What the plugin has cost.
    counts: GuestCounts,
}

/// Why a case has failed.
enum Failure {
    /// Something else came out, first behind this line.
    Mismatch(usize, Box<Mismatch>),
    /// A call has failed, by the time of this line.
    Call(usize, Error),
}

impl Outcome {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// The text of the case with what came out in the place of what was expected; `None` if the plugin has failed.
    pub fn updated(&self, case: &Case) -> Option<String> {
        (!matches!(self.failure, Some(Failure::Call(..)))).then(|| case.updated(&self.found))
    }
}

/// The files with the cases in a folder, by name; only the one called `only`, if that is given.
pub fn find(folder: &Path, only: Option<&str>) -> Result<Vec<PathBuf>> {
    let unreadable = |error| {
        Error::invalid(format!(
            "read the cases in {}: {error}; a case is a file NAME.jsonl there, and `wasmill new` writes examples",
            folder.display()
        ))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<_> = files.iter().map(name).collect();
    if let Some(only) = only {
        files.retain(|file| name(file) == only);
    }
    match (files.is_empty(), only) {
        (false, _) => Ok(files),
        (true, Some(only)) if !names.is_empty() => {
            Err(Error::invalid(format!("no case `{only}` in {}; there are: {}", folder.display(), names.join(", "))))
        }
        _ => Err(Error::invalid(format!("no cases in {}; a case is a file NAME.jsonl", folder.display()))),
    }
}

/// Plays a case. The error says why it cannot be played at all.
pub fn play(host: &Host, component: &Component, case: &Case) -> Result<Outcome> {
    let of_case = |error: Error| {
        // The plugin refuses its settings, or the case does not suit it: for the author of the case.
        Error::new(ErrorKind::Invalid, error.report()).context(case.path.display())
    };
    let mut stage = Stage::new(host, component, &case.name, &case.header).map_err(of_case)?;
    let (mut found, mut failure) = (Vec::new(), None);
    for block in &case.blocks {
        match block_of(&mut stage, block) {
            Ok(outputs) => {
                let mismatch = verdict::judge(block, &outputs);
                failure = failure.or(mismatch.map(|found| Failure::Mismatch(block.line, Box::new(found))));
                found.push(outputs);
            }
            Err((line, error)) => {
                failure = Some(failure.unwrap_or(Failure::Call(line, error)));
                break;
            }
        }
    }
    Ok(Outcome { found, failure, waiting: stage.waiting(), counts: stage.ledger().counts() })
}

/// Plays a block. An error comes with the line that has led to it.
fn block_of(stage: &mut Stage, block: &Block) -> Result<Vec<Output>, (usize, Error)> {
    let rows: Vec<&Row> = block.rows.iter().map(|(_, row)| row).collect();
    let mut outputs = match stage.rows(&rows) {
        Ok(outputs) => outputs,
        Err(error) => return Err(culprit(stage, block).unwrap_or((block.line, error))),
    };
    let event = match &block.event {
        None => Ok(Vec::new()),
        Some(Event::Watermark(watermark)) => stage.watermark(*watermark),
        Some(Event::Migrate { from, states }) => stage.migrate(*from, states),
    };
    outputs.extend(event.map_err(|error| (block.line, error))?);
    Ok(outputs)
}

/// The first row that fails by itself, when rows have failed together: for the author, who has to know which.
fn culprit(stage: &mut Stage, block: &Block) -> Option<(usize, Error)> {
    block.rows.iter().find_map(|(line, row)| stage.rows(&[row]).err().map(|error| (*line, error)))
}

#[cfg(test)]
mod tests;
