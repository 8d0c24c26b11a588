//! `wasmill check`: every problem of a job file, or its picture.

use super::{Exit, JobArguments, job, stdout};
use crate::terminal::Terminal;
use wasmill_stream::Result;

/// Check a job file and its plugins without running anything.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    job: JobArguments,
    /// Do not build plugins from source; only those given as components are checked
    #[arg(long)]
    no_build: bool,
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let examined = job::examine(&arguments.job, !arguments.no_build, terminal)?;
    let Some(outline) = examined.outline else { return Ok(Exit::Invalid) };
    stdout::print(outline)?;
    Ok(Exit::Done)
}
