//! Jobs run in this process, from the text of their job file to the balance of their ledger.

use super::balance::{self, Edges};
use super::{plugins, root};
use wasmill_plugin::Host;
use wasmill_server::job::{self, JobFile, Parameters, Plugins};
use wasmill_server::run;
use wasmill_stream::Error;
use wasmill_stream::config::Problem;
use wasmill_stream::guest_ledger::GuestCounts;
use wasmill_stream::ledger::Ledger;

/// A job to run.
pub struct Job {
    file: JobFile,
    parameters: Vec<(String, String)>,
    workers: Option<usize>,
}

/// Why a job did not end well.
#[derive(Debug)]
pub enum Failure {
    /// What is wrong with the job file or its plugins.
    Problems(Vec<Problem>),
    /// What went wrong on the way.
    Error(Error),
}

impl Failure {
    /// All messages, one per line.
    pub fn text(&self) -> String {
        match self {
            Self::Problems(problems) => problems.iter().map(|problem| format!("{}\n", problem.message)).collect(),
            Self::Error(error) => error.report(),
        }
    }
}

impl Job {
    /// A job of this text. Plugins are paths as seen from the root of the repository.
    pub fn new(text: impl Into<String>) -> Self {
        Self { file: JobFile::new(root().join("job.toml"), text), parameters: Vec::new(), workers: None }
    }

    /// The job of a file, which is a path as seen from the root of the repository.
    pub fn read(path: &str) -> Self {
        let file = JobFile::read(root().join(path)).unwrap_or_else(|error| panic!("{}", error.report()));
        Self { file, parameters: Vec::new(), workers: None }
    }

    /// Changes its text, which must have `old` exactly once.
    pub fn replace(mut self, old: &str, new: &str) -> Self {
        assert_eq!(self.file.text().matches(old).count(), 1, "{old}");
        self.file = JobFile::new(self.file.path(), self.file.text().replace(old, new));
        self
    }

    /// Adds tables to its text.
    pub fn append(mut self, tables: &str) -> Self {
        self.file = JobFile::new(self.file.path(), format!("{}\n{tables}", self.file.text()));
        self
    }

    /// Its text.
    pub fn text(&self) -> &str {
        self.file.text()
    }

    /// Gives a parameter its value.
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.parameters.push((name.to_owned(), value.to_string()));
        self
    }

    /// Chooses the number of workers.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Runs it until its sources end, and asserts that no row got lost.
    pub fn run(self) -> Ledger {
        self.try_run().unwrap_or_else(|failure| panic!("the job failed: {}", failure.text()))
    }

    /// Runs it until its sources end or it fails. The ledger of a good end is balanced.
    pub fn try_run(self) -> Result<Ledger, Failure> {
        let mut job = self.load()?;
        if let Some(workers) = self.workers {
            job.options.workers = workers;
        }
        let edges = Edges::of(&job.graph);
        let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
        let ledger = runtime.block_on(run::to_end(job)).map_err(Failure::Error)?;
        balance::assert_balanced(&edges, &ledger);
        Ok(ledger)
    }

    fn load(&self) -> Result<job::Job, Failure> {
        let host = Host::new().map_err(Failure::Error)?;
        let mut plugins = Plugins::new(host, Some(Box::new(|dir| Ok(plugins::built(dir)))));
        job::load(&self.file, &Parameters::new(self.parameters.clone()), &mut plugins).map_err(Failure::Problems)
    }
}

/// What the plugin of a step has done.
pub fn guest_counts(ledger: &Ledger, step: &str) -> GuestCounts {
    let step = ledger.step(step).expect("it is in the job");
    step.guests().listed.pop().expect("it has a plugin").ledger.counts()
}
