//! `wasmill apply`: a job file that has changed, to its running job.

use super::Exit;
use super::host::RunningJob;
use super::swap::{reason, say};
use crate::control::Request;
use wasmill_stream::Result;

/// Apply a job file that has changed to its job, which runs on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Plugins, their settings, limits and grants are swapped, as `wasmill swap` does. For anything else the job stops with a
checkpoint and goes on from it as the new file says, in the same process: sinks and steps without a state may come and go,
sources may come, lateness, workers and watermarks may change. What cannot be done is refused with the way to do it, and
changes nothing: a window of another size, for one, or a source or a step with a state that is gone.")]
pub struct Arguments {
    #[command(flatten)]
    job: RunningJob,
    /// Why, for `wasmill history`
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    say(&arguments.job, &Request::Apply { reason: reason(arguments.why.as_deref()) })
}
