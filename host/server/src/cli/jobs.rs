//! `wasmill jobs`: the jobs of a host, over its API.

use super::Exit;
use super::host::HostArguments;
use super::stdout::print;
use crate::client::{Client, job_path};
use crate::serve::JobStatus;
use reqwest::Method;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use wasmill_stream::{Error, Result};

/// List, show, write, pause, resume, restart or remove the jobs of a host.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The host is the one that listens on http://127.0.0.1:9180, or that --host or WASMILL_HOST names; WASMILL_TOKEN holds the token.

Examples:
  wasmill jobs
  wasmill jobs show acme:taxi
  wasmill jobs put acme:taxi taxi.toml
  wasmill jobs pause acme:taxi --host https://wasmill.example.org:9180")]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    host: HostArguments,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List them, with their states and rates
    List,
    /// Show everything that is known of one, as JSON
    Show(One),
    /// Write the job file of one, new or not. Paths in it are as seen from where the host keeps it
    Put {
        #[command(flatten)]
        one: One,
        /// The job file
        file: PathBuf,
    },
    /// Stop one with a checkpoint until it is resumed
    Pause(One),
    /// Have a paused one go on from its last checkpoint
    Resume(One),
    /// Stop one with a checkpoint and start it again; one that has failed is tried at once
    Restart(One),
    /// Stop one with a checkpoint and remove its file; what it has written and its checkpoints stay
    Rm(One),
}

/// One job of a host.
#[derive(Debug, clap::Args)]
struct One {
    /// What it is called: NAME, or TENANT:NAME
    job: String,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<Exit> {
    let client = arguments.host.client()?;
    match &arguments.command {
        None | Some(Command::List) => list(&client)?,
        Some(Command::Show(One { job })) => {
            let status: Value = client.ask(Method::GET, &job_path(job), None)?;
            let text = serde_json::to_string_pretty(&status)
                .map_err(|error| Error::internal(format!("write the state of a job: {error}")))?;
            print(format!("{text}\n"))?;
        }
        Some(Command::Put { one: One { job }, file }) => {
            let failed = |error| Error::invalid(format!("read {}", file.display())).with_source(error);
            let text = std::fs::read_to_string(file).map_err(failed)?;
            tell(&client.put_toml(&job_path(job), text)?)?;
        }
        Some(Command::Pause(one)) => one.change(&client, Method::POST, "/pause")?,
        Some(Command::Resume(one)) => one.change(&client, Method::POST, "/resume")?,
        Some(Command::Restart(one)) => one.change(&client, Method::POST, "/restart")?,
        Some(Command::Rm(one)) => one.change(&client, Method::DELETE, "")?,
    }
    Ok(Exit::Done)
}

impl One {
    fn change(&self, client: &Client, method: Method, what: &str) -> Result<()> {
        tell(&client.ask(method, &format!("{}{what}", job_path(&self.job)), None)?)
    }
}

/// Says how a job is after a change.
fn tell(job: &JobStatus) -> Result<()> {
    print(format!("{} is {}\n", job.id, job.state))
}

fn list(client: &Client) -> Result<()> {
    let jobs: Vec<JobStatus> = client.ask(Method::GET, "/api/v1/jobs", None)?;
    print(table(&jobs))
}

fn table(jobs: &[JobStatus]) -> String {
    let width = jobs.iter().map(|job| job.id.chars().count()).chain(["job".len()]).max().unwrap_or(0);
    let mut text =
        format!("{:width$}  {:10}  {:24}  {:>12}  {:>8}  why\n", "job", "state", "since", "records/s", "restarts");
    for job in jobs {
        let rate = job.run.as_ref().map_or(String::new(), |run| format!("{:.1}", run.records_per_second));
        // One line each: the rest is for `show`.
        let why = job.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default();
        let state = job.state.to_string();
        let line = format!("{:width$}  {state:10}  {:24}  {rate:>12}  {:>8}  {why}", job.id, job.since, job.restarts);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
