//! `wasmill run`: a job from its file to its balance, with a line of progress in between.

use super::drive::drive;
use super::{Exit, JobArguments, job, workers};
use crate::driver::{Manner, View};
use crate::progress::Snapshot;
use crate::terminal::{Line, Terminal};
use crate::watch::Bell;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::Result;

/// How often the line on a terminal changes.
const LIVE: Duration = Duration::from_millis(200);
/// How often a line is printed where nothing can be drawn over.
const PLAIN: Duration = Duration::from_secs(5);

/// Run a job until its sources end or Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ctrl-C or SIGTERM stops reading, finishes what was read, and ends; a second one ends at once.
With [checkpoint] in its file, a job goes on where it was when it is started again.

A plugin that was swapped in runs on after a restart, until the job file names another one.

With --watch, a plugin that has changed takes over as with `wasmill swap`, once it is whole, has not changed for a moment and
has passed every check. One that is refused changes nothing; the reason is said once. Builds are no sources: target,
node_modules, hidden folders and editors' temporary files are not followed. A job file that has
changed is applied, as with `wasmill apply`.")]
pub struct Arguments {
    #[command(flatten)]
    job: JobArguments,
    /// Worker threads; goes before the job file
    #[arg(long, value_parser = workers())]
    workers: Option<u16>,
    /// Begin anew, as if there were no checkpoint
    #[arg(long)]
    fresh: bool,
    /// Run the plugins that the job file names, whatever was swapped in before
    #[arg(long)]
    as_filed: bool,
    /// Take over what changes: components, and source folders, which are built again
    #[arg(long)]
    watch: bool,
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let Some(job) = job::examine(&arguments.job, true, terminal)?.job else { return Ok(Exit::Invalid) };
    terminal.note(&job.outline.to_string());
    let view = || OneLine { line: terminal.line(), terminal: terminal.clone() };
    let listen = Some(arguments.job.parameters());
    let Arguments { workers, fresh, watch, as_filed, .. } = *arguments;
    let watch = watch.then(|| Arc::new(Bell::new(terminal.clone())));
    let manner = Manner { workers, fresh, listen, watch, as_filed, unattended: false };
    drive(job, manner, view, terminal)
}

/// Progress as one line: drawn over on a terminal, printed again and again elsewhere.
struct OneLine {
    line: Line,
    terminal: Terminal,
}

impl View for OneLine {
    fn interval(&self) -> Duration {
        if self.terminal.is_live() { LIVE } else { PLAIN }
    }

    fn show(&mut self, now: &Snapshot) {
        self.terminal.step(&self.line, &now.to_string());
    }
}
