//! `wasmill explain`: why windows of a step are still open.

use super::Exit;
use super::host::RunningJob;
use super::stdout::print;
use crate::control::{Answer, Request};
use wasmill_stream::{Error, Result};

/// Say which windows of a step are open while its job runs, and which split of which source holds them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A window fires when the watermark of its step reaches its end, and that is the lowest of the splits that the step depends on, the
silent ones left out.

Example:
  wasmill explain taxi.toml averages --key dr5ru")]
pub struct Arguments {
    #[command(flatten)]
    job: RunningJob,
    /// The step
    step: String,
    /// Only windows of this key
    #[arg(long)]
    key: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let Arguments { job, step, key, json } = arguments;
    match job.answer(&Request::Explain { step: step.clone(), key: key.clone() })? {
        Answer::Explained(explanation) if *json => {
            let text = serde_json::to_string_pretty(&explanation)
                .map_err(|error| Error::internal(format!("write an explanation: {error}")))?;
            print(format!("{text}\n"))?;
        }
        Answer::Explained(explanation) => print(explanation)?,
        Answer::Refused(reason) => return Err(Error::invalid(reason)),
        Answer::Done(_) | Answer::Events(_) => return Err(Error::unavailable("the job is of another version")),
    }
    Ok(Exit::Done)
}
