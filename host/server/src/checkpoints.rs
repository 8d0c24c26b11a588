//! The checkpoints of a job after the fact: which there are, whether they are whole, names for those to keep. For the command
//! line and the API.

mod summary;

pub use summary::{Checkpoint, Listed, Summary, Verdict};

use crate::job::{self, CheckpointSettings, JobFile, Parameters};
use wasmill_engine::Journal;
use wasmill_stream::checkpoint::Manifest;
use wasmill_stream::config::Problem;
use wasmill_stream::{Error, Result};

/// Where a job keeps its checkpoints, or what is wrong with its file.
pub fn settings(
    file: &JobFile,
    parameters: &Parameters,
) -> Result<std::result::Result<CheckpointSettings, Vec<Problem>>> {
    let (settings, problems) = job::checkpoint_settings(file, parameters);
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let none = || {
        Error::invalid(format!("{} has no [checkpoint]", file.path().display()))
            .hint("add the table, and the job remembers where it was; see README.md")
    };
    settings.map(Ok).ok_or_else(none)
}

/// The newest one.
pub async fn newest(journal: &Journal) -> Result<Manifest> {
    let none = || Error::invalid(format!("there is no checkpoint in {}", journal.place()));
    journal.newest().await?.ok_or_else(none)
}

/// The one of a number or a name; the newest if none is given.
pub async fn find(journal: &Journal, which: Option<&str>) -> Result<Manifest> {
    let Some(which) = which else { return newest(journal).await };
    let mut found = None;
    if let Ok(number) = which.parse() {
        found = journal.manifest(number).await?;
    }
    // Earlier versions let savepoints have digits for names. What could lead to another file is no name.
    let is_name = !which.starts_with('.') && !which.contains(['/', '\\']);
    if found.is_none() && is_name {
        found = journal.savepoint(which).await?;
    }
    found.ok_or_else(|| {
        Error::invalid(format!("there is no checkpoint or savepoint \"{which}\" in {}", journal.place()))
            .hint("`wasmill checkpoint list JOB` lists what there is")
    })
}

/// All of them, the oldest first, then those with names; each with what it is called. One that is gone by now is none.
pub async fn all(journal: &Journal) -> Result<Vec<(String, Result<Option<Manifest>>)>> {
    let mut found = Vec::new();
    for number in journal.numbers().await? {
        found.push((number.to_string(), journal.manifest(number).await));
    }
    for name in journal.savepoints().await? {
        let savepoint = journal.savepoint(&name).await;
        found.push((name, savepoint));
    }
    Ok(found)
}

/// What is wrong with those that there are, or with one of them; nothing: they are whole.
pub async fn verify(journal: &Journal, which: Option<&str>) -> Result<Vec<Verdict>> {
    let found = match which {
        Some(which) => vec![(which.to_owned(), find(journal, Some(which)).await.map(Some))],
        None => all(journal).await?,
    };
    let mut verdicts = Vec::new();
    for (name, found) in found {
        match found {
            Ok(Some(manifest)) => verdicts.push(Verdict::of(name, &journal.verify(&manifest).await)),
            // A running job has removed it meanwhile.
            Ok(None) => {}
            Err(error) => verdicts.push(Verdict::of(name, &[error])),
        }
    }
    Ok(verdicts)
}

/// An error if it is not whole.
pub async fn require_whole(journal: &Journal, manifest: &Manifest) -> Result<()> {
    match journal.verify(manifest).await.into_iter().next() {
        Some(problem) => Err(problem.context(format!("checkpoint {}", manifest.number))),
        None => Ok(()),
    }
}

/// Keeps the newest one under a name, if it is whole.
pub async fn keep_newest(journal: &Journal, name: &str) -> Result<Manifest> {
    let newest = newest(journal).await?;
    require_whole(journal, &newest).await?;
    journal.keep(name, &newest).await?;
    Ok(newest)
}
