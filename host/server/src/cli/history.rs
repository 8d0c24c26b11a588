//! `wasmill history`: what has become of the plugins of a job.

use super::host::HostArguments;
use super::stdout::print;
use super::{Exit, JobArguments};
use crate::control::{Answer, Request, ask};
use crate::job::{self, JobFile};
use crate::live::history::{self, Event};
use std::fmt::Write as _;
use wasmill_stream::plugin::Identity;
use wasmill_stream::{Error, Result};

/// List which plugins a job has had: when, which, by whom, why, and how it went.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A job with [checkpoint] keeps its history there, whether it runs or not. Without one it knows it as long as it runs.")]
pub struct Arguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    host: HostArguments,
    /// Only this step, or this source
    step: Option<String>,
    /// As JSON, one event per line
    #[arg(long)]
    json: bool,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let Arguments { job, host, step, json } = arguments;
    let mut events = events(job, host)?;
    events.retain(|event| step.as_ref().is_none_or(|step| *step == event.step));
    let mut text = String::new();
    for event in &events {
        match json {
            true => {
                let line = serde_json::to_string(event)
                    .map_err(|error| Error::internal(format!("write an event: {error}")))?;
                let _ = writeln!(text, "{line}");
            }
            false => text.push_str(&entry(event)),
        }
    }
    if text.is_empty() {
        text.push_str("nothing has been swapped\n");
    }
    print(text)?;
    Ok(Exit::Done)
}

/// From the host that runs the job, from the store of the job, or else from the job itself.
fn events(arguments: &JobArguments, host: &HostArguments) -> Result<Vec<Event>> {
    let answered = |answer| match answer {
        Answer::Events(events) => Ok(events),
        Answer::Done(words) | Answer::Refused(words) => Err(Error::unavailable(words)),
        Answer::Explained(_) => Err(Error::unavailable("the job is of another version")),
    };
    if let Some((client, name)) = host.client_for(&arguments.job)? {
        return answered(client.of_job(&name, &Request::History)?);
    }
    let file = JobFile::read(&arguments.job)?;
    // Whatever is wrong with the rest of the file does not matter here.
    let (settings, _) = job::checkpoint_settings(&file, &arguments.parameters());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("start the I/O thread").with_source(error))?;
    let Some(settings) = settings else {
        return answered(runtime.block_on(ask(&arguments.job, &Request::History))?);
    };
    runtime.block_on(async { history::read(&*settings.place.open().await?).await })
}

fn entry(event: &Event) -> String {
    let version = |version: &Identity| format!("{} {} sha256 {:.12}", version.name, version.version, version.digest);
    let mut text = format!("{}  {}  {}", event.at, event.step, event.what);
    if let Some(now) = &event.version {
        let _ = write!(text, "  {}", version(now));
    }
    if let Some(before) = &event.before {
        let _ = write!(text, ", before it {}", version(before));
    }
    let why = event.reason.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let _ = writeln!(text, "\n    by {}{why}", event.reason.by);
    for line in event.outcome.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}
