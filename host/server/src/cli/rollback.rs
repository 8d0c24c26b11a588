//! `wasmill rollback`: the version before, in a step of a job that runs.

use super::Exit;
use super::host::RunningJob;
use super::swap::{reason, say};
use crate::control::Request;
use wasmill_stream::Result;

/// Put the version before back into a step while its job runs on this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --keep-state only the code changes: what the version before does from now on, it does with what the other one has left. So
it must understand that: a version whose state is older is refused. Versions are remembered as long as the job runs, five per
step.

With --rewind the job goes back to the checkpoint that was taken right before the other version came, and reads everything
since then again. First, sinks take back what they have written since, so that in the end it is as if that version had never
run: files and objects are removed, documents put back as they were. That is possible as long as `[swap] rewind` says (10 min),
if all sources can be read again and all sinks can take rows back; what readers have fetched meanwhile they keep.")]
#[command(group = clap::ArgGroup::new("way").required(true))]
pub struct Arguments {
    #[command(flatten)]
    job: RunningJob,
    /// The step, or the source whose decoder it is
    step: String,
    /// Change the code only; windows and states go on as they are
    #[arg(long, group = "way")]
    keep_state: bool,
    /// Go back to where the job was before the other version came
    #[arg(long, group = "way")]
    rewind: bool,
    /// Why, for `wasmill history`
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let Arguments { job, step, rewind, why, .. } = arguments;
    say(job, &Request::RollBack { step: step.clone(), rewind: *rewind, reason: reason(why.as_deref()) })
}
