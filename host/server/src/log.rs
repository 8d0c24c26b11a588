//! The log of this process: what is written to standard error, as text or as JSON, and what each job of a host keeps of its own
//! events, for those who look at it by the API. Every event of a job says which job it is of, and whose; those of a step and
//! of a plugin say that too. Nothing that is logged ever makes a job wait.

mod file;
mod keep;
mod print;
mod record;
mod ring;

pub use record::Record;
pub use ring::{Follower, Ring};

use crate::serve::{Home, JobId};
use crate::terminal::Terminal;
use keep::Keep;
use print::Print;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Span, error_span};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use wasmill_stream::{Error, Result};

/// The target of what the host says to whoever runs it: always written, whatever is filtered.
pub const NOTE: &str = "note";

/// What a span is called that has everything of one job in it.
pub const JOB: &str = "job";

/// How events are written to standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object on a line of its own.
    Json,
}

/// What jobs keep of their events. Shared: clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    rings: Arc<Mutex<BTreeMap<String, Arc<Ring>>>>,
    /// Where the files of tenants are, in a host that has some.
    files: Arc<OnceLock<file::Files>>,
}

impl Logs {
    /// What the job of this id keeps.
    pub fn ring(&self, job: &str) -> Arc<Ring> {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        rings.entry(job.to_owned()).or_default().clone()
    }

    /// The job has gone, and what it kept.
    pub fn forget(&self, job: &str) {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner).remove(job);
    }

    /// From now on the jobs of tenants write files below this folder.
    pub fn write_files(&self, home: &Home) -> Result<()> {
        let files = file::Files::start(home.clone())?;
        // A process is one host.
        self.files.set(files).map_err(|_| Error::internal("the log files were started before"))
    }
}

/// Starts the log of this process, which is written to this terminal. `false`: it was started before.
pub fn start(terminal: &Terminal, logs: &Logs) -> bool {
    let filter = EnvFilter::try_from_env("WASMILL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let note = format!("{NOTE}=info").parse();
    let filter = note.into_iter().fold(filter, EnvFilter::add_directive);
    tracing_subscriber::registry()
        .with(Print::new(terminal.clone()).with_filter(filter.and(filter_fn(is_discreet))))
        .with(Keep::new(logs.clone()).with_filter(LevelFilter::INFO))
        .try_init()
        .is_ok()
}

/// Whether an event may be written, whatever is asked for: the clients of AWS show whose credentials they use at their most
/// talkative.
fn is_discreet(event: &Metadata<'_>) -> bool {
    *event.level() < Level::TRACE || !event.target().starts_with("aws_")
}

/// What everything belongs to that a job of a host does. Enabled whatever is filtered, so that every event has it.
pub fn span_of(id: &JobId) -> Span {
    error_span!(JOB, job = id.name(), tenant = id.tenant())
}

/// The same work, as part of what is under way here, wherever it is done.
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = Span::current();
    move || span.in_scope(work)
}
