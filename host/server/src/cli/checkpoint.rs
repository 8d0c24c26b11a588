//! `wasmill checkpoint`: what a job's checkpoints hold, whether they are whole, names for those to keep, the way back.

mod show;

use super::host::HostArguments;
use super::stdout::print;
use super::{Exit, JobArguments};
use crate::checkpoints::{self, Listed, Summary, Verdict, find, require_whole};
use crate::client::{Client, job_path, segment};
use crate::job::{CheckpointSettings, JobFile};
use crate::report::{self, Style};
use crate::terminal::Terminal;
use miette::Severity;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt::Write;
use wasmill_engine::Journal;
use wasmill_stream::checkpoint::{Manifest, Withdrawn};
use wasmill_stream::{Error, ErrorKind, Result};

/// List, show, verify, keep or restore the checkpoints of a job.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    host: HostArguments,
}

const EXAMPLES: &str = "\
Examples:
  wasmill checkpoint list job.toml                      every checkpoint and savepoint
  wasmill checkpoint verify job.toml                    read all of them and compare digests
  wasmill checkpoint savepoint job.toml before-upgrade  keep the newest one under a name
  wasmill checkpoint restore job.toml before-upgrade    go back to it at the next start";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List checkpoints and savepoints, the oldest first
    List {
        #[command(flatten)]
        job: JobArguments,
    },
    /// Show where the sources were, what the steps knew and what the sinks had prepared
    Show {
        #[command(flatten)]
        job: JobArguments,
        /// A number or the name of a savepoint; the newest checkpoint if there is none
        which: Option<String>,
    },
    /// Read everything and compare it with its digests; ends with 1 if something is damaged
    Verify {
        #[command(flatten)]
        job: JobArguments,
        /// A number or the name of a savepoint; all of them if there is none
        which: Option<String>,
    },
    /// Keep the newest checkpoint under a name. It is at most one interval old while the job runs, and exact after a stop
    Savepoint {
        #[command(flatten)]
        job: JobArguments,
        /// The name: a-z, 0-9, -, _ and ., but not digits alone
        name: String,
    },
    /// Let the next start go on from a savepoint or an older checkpoint. A host that runs the job stops
    Restore {
        #[command(flatten)]
        job: JobArguments,
        /// A number or the name of a savepoint
        which: String,
        /// Go back although sinks have committed rows since, which will be written a second time
        #[arg(long)]
        force: bool,
    },
    /// Remove all but the newest checkpoints, and states that nothing names any more
    Prune {
        #[command(flatten)]
        job: JobArguments,
        /// How many stay, besides savepoints
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
    },
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let (Command::List { job }
    | Command::Show { job, .. }
    | Command::Verify { job, .. }
    | Command::Savepoint { job, .. }
    | Command::Restore { job, .. }
    | Command::Prune { job, .. }) = &arguments.command;
    if let Some((client, job)) = arguments.host.client_for(&job.job)? {
        return run_hosted(&arguments.command, &client, &job);
    }
    let Some(settings) = settings(job, terminal)? else { return Ok(Exit::Invalid) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("start the I/O thread").with_source(error))?;
    runtime.block_on(async {
        let journal = Journal::new(settings.place.open().await?);
        match &arguments.command {
            Command::List { .. } => list(&journal).await,
            Command::Show { which, .. } => {
                print(show::text(&find(&journal, which.as_deref()).await?))?;
                Ok(Exit::Done)
            }
            Command::Verify { which, .. } => print_verdicts(&checkpoints::verify(&journal, which.as_deref()).await?),
            Command::Savepoint { name, .. } => {
                let newest = checkpoints::keep_newest(&journal, name).await?;
                print_kept(name, &Summary::of(&newest))
            }
            Command::Restore { which, force, .. } => restore(&journal, which, *force).await,
            Command::Prune { keep, .. } => {
                let pruned = journal.prune((*keep).into()).await?;
                print(format!("removed {} checkpoints and {} state objects\n", pruned.manifests, pruned.states))?;
                Ok(Exit::Done)
            }
        }
    })
}

/// The job's settings of checkpoints. Problems with them have been printed.
fn settings(arguments: &JobArguments, terminal: &Terminal) -> Result<Option<CheckpointSettings>> {
    let file = JobFile::read(&arguments.job)?;
    match checkpoints::settings(&file, &arguments.parameters())? {
        Ok(settings) => Ok(Some(settings)),
        Err(problems) => {
            terminal.note(&format!("{}\n", report::draw(&file, &problems, Severity::Error, Style::of_stderr())));
            Ok(None)
        }
    }
}

async fn list(journal: &Journal) -> Result<Exit> {
    let all = checkpoints::all(journal).await?;
    print_list(&all.into_iter().filter_map(Listed::of).collect::<Vec<_>>())
}

fn print_list(listed: &[Listed]) -> Result<Exit> {
    let lines: Vec<_> = listed.iter().map(show::line).collect();
    print(show::table(&lines))?;
    Ok(Exit::Done)
}

/// Says which are damaged.
fn print_verdicts(verdicts: &[Verdict]) -> Result<Exit> {
    let (mut text, mut damaged) = (String::new(), 0);
    for Verdict { name, problems } in verdicts {
        let verdict = if problems.is_empty() { "whole" } else { "DAMAGED" };
        let _ = writeln!(text, "{name:>20}  {verdict}");
        for problem in problems {
            let _ = writeln!(text, "{:>20}  {problem}", "");
        }
        damaged += usize::from(!problems.is_empty());
    }
    print(text)?;
    Ok(if damaged == 0 { Exit::Done } else { Exit::Failed })
}

fn print_kept(name: &str, kept: &Summary) -> Result<Exit> {
    print(format!("checkpoint {} of {} is kept as \"{name}\"\n", kept.number, kept.at))?;
    Ok(Exit::Done)
}

/// The same over the API of a host. What it does not offer has to be done there.
fn run_hosted(command: &Command, client: &Client, job: &str) -> Result<Exit> {
    let path = format!("{}/checkpoints", job_path(job));
    let one = |which: &Option<String>| format!("{path}/{}", segment(which.as_deref().unwrap_or("newest")));
    let listed = || client.ask::<Vec<Listed>>(Method::GET, &path, None);
    match command {
        Command::List { .. } => print_list(&listed()?),
        Command::Show { which, .. } => {
            let shown: Value = client.ask(Method::GET, &one(which), None)?;
            let text = serde_json::to_string_pretty(&shown)
                .map_err(|error| Error::internal(format!("write a checkpoint: {error}")))?;
            print(format!("{text}\n"))?;
            Ok(Exit::Done)
        }
        Command::Verify { which, .. } => {
            let names = match which {
                Some(which) => vec![which.clone()],
                None => listed()?.into_iter().map(|listed| listed.name).collect(),
            };
            let verify = |name: String| client.ask(Method::POST, &format!("{}/verify", one(&Some(name))), None);
            let verdicts: Vec<Verdict> = names.into_iter().map(verify).collect::<Result<_>>()?;
            print_verdicts(&verdicts)
        }
        Command::Savepoint { name, .. } => {
            let path = format!("{}/savepoints", job_path(job));
            let kept: Summary = client.ask(Method::POST, &path, Some(&json!({"name": name})))?;
            print_kept(name, &kept)
        }
        Command::Restore { .. } | Command::Prune { .. } => {
            Err(Error::invalid("that is done where the job file is, not over the API of a host"))
        }
    }
}

async fn restore(journal: &Journal, which: &str, force: bool) -> Result<Exit> {
    let old = find(journal, Some(which)).await?;
    require_whole(journal, &old).await?;
    // The newest may be the one that is damaged: what counts is its number. Found out first, so that nothing can be published
    // between the two looks.
    let fence = journal.fence().await?;
    let withdrawn = match journal.withdrawn(&old).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        withdrawn => withdrawn?,
    };
    if withdrawn.is_none()
        && !force
        && let Some(reason) = committed_since(journal, &old).await?
    {
        return Err(Error::new(ErrorKind::Denied, reason)
            .hint("they would be written a second time: remove them first, or say --force"));
    }
    journal.go_back(&old, fence, withdrawn).await?;
    let first = withdrawn.map_or("", |_| {
        "; first, sinks take back what they have written since. The job file stays as it is: name the good version there"
    });
    print(format!("the next start goes on from checkpoint {} of {}{first}\n", old.number, old.at))?;
    Ok(Exit::Done)
}

/// Why rows that came after a checkpoint may be visible; `None` if there are none. A sink that prepares anything commits with
/// every checkpoint. The old one does not tell alone: it may have been taken before the sink prepared for the first time.
async fn committed_since(journal: &Journal, old: &Manifest) -> Result<Option<String>> {
    let numbers = journal.numbers().await?;
    let mut later = numbers.into_iter().filter(|number| *number > old.number).peekable();
    let commits = |manifest: &Manifest| {
        let sink = manifest.sinks.iter().find(|(_, mark)| !mark.prepared.is_null())?.0;
        Some(format!("sink {sink} has committed rows since checkpoint {}", old.number))
    };
    let mut reason = commits(old).filter(|_| later.peek().is_some());
    if let Ok(Some(newest)) = journal.newest().await
        && let Some(Withdrawn { after, .. }) = newest.withdrawal
    {
        reason = Some(format!("sinks have yet to take back what they have written since checkpoint {after}"));
    }
    for number in later {
        reason = reason.or(match journal.manifest(number).await {
            Ok(manifest) => manifest.as_ref().and_then(commits),
            Err(error) => Some(format!("sinks may have committed rows since checkpoint {}: {error}", old.number)),
        });
    }
    Ok(reason)
}
