//! `wasmill rollback`: the version before, in a step of a job that runs.

use super::Exit;
use super::swap::{reason, say};
use crate::control::Request;
use std::path::PathBuf;
use wasmill_stream::Result;

/// Put the version before back into a step while its job runs on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The state stays as it is: what the version before does from now on, it does with what the other one has left. So it must
understand that: a version whose state is older is refused. Versions are remembered as long as the job runs, five per step.")]
pub struct Arguments {
    /// The job file
    job: PathBuf,
    /// The step, or the source whose decoder it is
    step: String,
    /// Change the code only; windows and states go on as they are
    #[arg(long, required = true)]
    keep_state: bool,
    /// Why, for `wasmill history`
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let Arguments { job, step, why, .. } = arguments;
    say(job, &Request::RollBack { step: step.clone(), reason: reason(why.as_deref()) })
}
