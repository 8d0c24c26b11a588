//! `wasmill demo`: the taxi example over generated trips, from nothing to two files of results, with a live view.

mod checkout;
mod latest;
mod view;

use super::drive::drive;
use super::{Exit, job, workers};
use crate::driver::Manner;
use crate::job::{JobFile, Parameters};
use crate::terminal::Terminal;
use latest::Latest;
use std::path::PathBuf;
use view::DemoView;
use wasmill_stream::{Error, Result};

/// The job file, so that it is the one this program was made for.
const JOB: &str = include_str!("../../../../examples/taxi/demo.toml");
/// Where it lies in a checkout; the paths of its plugins start there.
const JOB_PATH: &str = "examples/taxi/demo.toml";

/// Taxi trips through two pairs of plugins, no set-up.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Generates taxi trips, counts where they start and how long they take to the airports, per 10 minutes
of event time, and writes both results as JSON lines. Needs a checkout of the repository: it builds the
plugins from their source."
)]
pub struct Arguments {
    /// How many trips
    #[arg(long, default_value_t = 1_000_000)]
    trips: u64,
    /// The folder for the results
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
    /// As fast as it goes, instead of 3,000 times faster than real time
    #[arg(long)]
    fast: bool,
    /// Worker threads
    #[arg(long, default_value = "2", value_parser = workers())]
    workers: u16,
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    let root = checkout::find()?;
    std::fs::create_dir_all(&arguments.out)
        .map_err(|error| Error::invalid(format!("create folder {}", arguments.out.display())).with_source(error))?;
    let mut parameters = vec![("trips", arguments.trips.to_string()), ("out", arguments.out.display().to_string())];
    if arguments.fast {
        parameters.push(("speedup", "max".to_owned()));
    }
    let file = JobFile::new(root.join(JOB_PATH), JOB);
    let examined = job::examine_file(&file, &Parameters::new(parameters), true, terminal)?;
    let Some(mut job) = examined.job else { return Ok(Exit::Invalid) };
    job.options.workers = arguments.workers.into();
    terminal.note(&job.outline.to_string());
    let results = ["pickup_count.jsonl", "trip_duration.jsonl"].map(|name| arguments.out.join(name));
    let view = || DemoView::new(terminal, arguments.trips, Latest::of(&results[0]));
    let exit = drive(job, Manner::default(), view, terminal)?;
    if exit == Exit::Done {
        terminal.note(&format!("\nresults: {}\n         {}", results[0].display(), results[1].display()));
    }
    Ok(exit)
}
