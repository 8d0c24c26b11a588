//! Reading a job for a command.

use super::JobArguments;
use crate::job::{Examined, JobFile, Parameters, Plugins};
use crate::terminal::Terminal;
use crate::workshop;
use wasmill_stream::Result;

/// Reads the job that the arguments name. Everything that is wrong or odd has been printed.
pub fn examine(arguments: &JobArguments, build: bool, terminal: &Terminal) -> Result<Examined> {
    let file = JobFile::read(&arguments.job)?;
    examine_file(&file, &arguments.parameters(), build, terminal)
}

/// The same for a file that has been read.
pub fn examine_file(file: &JobFile, parameters: &Parameters, build: bool, terminal: &Terminal) -> Result<Examined> {
    let builder = build.then(|| workshop::builder(terminal));
    let plugins = Plugins::new(workshop::host()?, builder).fetching(workshop::fetcher(terminal));
    Ok(workshop::examine(file, parameters, plugins, terminal))
}
