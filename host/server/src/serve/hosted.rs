//! One job of a host, as everybody sees it: what it does, and what it is to do.

use super::downtime::Downtime;
use super::home::JobId;
use super::status::{JobStatus, RunStatus, State, moment};
use crate::driver::{Observed, View};
use crate::progress::Snapshot;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a run is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a job is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// It runs as its file says.
    Run {
        /// The digest of the file.
        file: String,
        /// How often somebody has wanted it to be started again.
        restarts: u64,
    },
    /// It stays where it is.
    Paused,
    /// It may not run, and why.
    Barred(String),
    /// It ends for good. Nothing comes after that.
    Gone,
}

/// A job of a host.
pub struct Hosted {
    id: JobId,
    file: PathBuf,
    known: Mutex<Known>,
    target: watch::Sender<Target>,
}

struct Known {
    state: State,
    since: SystemTime,
    reason: Option<String>,
    retry_at: Option<Instant>,
    restarts: u64,
    downtime: Downtime,
    /// Of the runs before.
    failed_checkpoints: u64,
    run: Option<(Observed, Snapshot)>,
}

impl Hosted {
    /// A job that does nothing yet.
    pub fn new(id: JobId, file: PathBuf, target: Target) -> Self {
        let known = Known {
            state: State::Starting,
            since: SystemTime::now(),
            reason: None,
            retry_at: None,
            restarts: 0,
            downtime: Downtime::default(),
            failed_checkpoints: 0,
            run: None,
        };
        Self { id, file, known: Mutex::new(known), target: watch::Sender::new(target) }
    }

    /// What it is called.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Its job file.
    pub fn file(&self) -> &PathBuf {
        &self.file
    }

    /// What it is to do, now and from now on.
    pub fn target(&self) -> watch::Receiver<Target> {
        self.target.subscribe()
    }

    /// Has it do what its files say. Restarts are counted on.
    pub fn follow(&self, next: Target) {
        self.aim(|target| match (target, next) {
            (Target::Run { restarts, .. }, Target::Run { file, .. }) => Target::Run { file, restarts: *restarts },
            (_, next) => next,
        });
    }

    /// Whether it may not run.
    pub fn is_barred(&self) -> bool {
        matches!(&*self.target.borrow(), Target::Barred(_))
    }

    /// Has it stop with a checkpoint and start again, unless it is paused. Tells whether it will.
    pub fn restart(&self) -> bool {
        self.aim(|target| match target {
            Target::Run { file, restarts } => Target::Run { file: file.clone(), restarts: restarts + 1 },
            other => other.clone(),
        });
        matches!(&*self.target.borrow(), Target::Run { .. })
    }

    /// Has it end for good.
    pub fn leave(&self) {
        self.aim(|_| Target::Gone);
    }

    fn aim(&self, at: impl FnOnce(&Target) -> Target) {
        self.target.send_if_modified(|target| {
            let next = if *target == Target::Gone { Target::Gone } else { at(target) };
            let is_new = next != *target;
            *target = next;
            is_new
        });
    }

    /// What it does.
    pub fn state(&self) -> State {
        self.known().state
    }

    /// How often it has failed and was to be started again.
    pub fn restarts(&self) -> u64 {
        self.known().restarts
    }

    /// For how long it was to run and did not, since the host was started.
    pub fn downtime(&self) -> Duration {
        self.known().downtime.at(Instant::now())
    }

    /// How often checkpoints have failed in all of its runs.
    pub fn failed_checkpoints(&self) -> u64 {
        let known = self.known();
        known.failed_checkpoints + known.run.as_ref().map_or(0, |(observed, _)| observed.failed_checkpoints())
    }

    /// Everything that is known of it.
    pub async fn status(&self) -> JobStatus {
        let mut status = {
            let known = self.known();
            JobStatus {
                id: self.id.to_string(),
                tenant: self.id.tenant().map(str::to_owned),
                name: self.id.name().to_owned(),
                state: known.state,
                since: moment(known.since),
                reason: known.reason.clone(),
                retry_in: known.retry_at.map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64()),
                restarts: known.restarts,
                run: None,
            }
        };
        if let Some((observed, seen)) = self.observed() {
            status.run = Some(RunStatus::of(&observed, &seen).await);
        }
        status
    }

    /// The run that is under way or was the last one, for whoever counts.
    pub fn observed(&self) -> Option<(Observed, Snapshot)> {
        self.known().run.clone()
    }

    /// It does something else now.
    pub(super) fn enter(&self, state: State, reason: Option<String>) {
        let mut known = self.known();
        known.downtime.enter(state, Instant::now());
        (known.state, known.since, known.reason, known.retry_at) = (state, SystemTime::now(), reason, None);
    }

    /// It has failed, and is tried again after a pause.
    pub(super) fn await_retry(&self, reason: String, at: Instant) {
        self.enter(State::Restarting, Some(reason));
        let mut known = self.known();
        known.retry_at = Some(at);
        known.restarts += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is seen of a hosted job while it runs.
pub(super) struct Pane(pub(super) Arc<Hosted>);

impl View for Pane {
    fn interval(&self) -> Duration {
        LOOK
    }

    fn begin(&mut self, observed: Observed, now: Snapshot) {
        self.0.enter(State::Running, None);
        let mut known = self.0.known();
        if let Some((before, _)) = known.run.replace((observed, now)) {
            known.failed_checkpoints += before.failed_checkpoints();
        }
    }

    fn show(&mut self, now: &Snapshot) {
        if let Some((_, seen)) = &mut self.0.known().run {
            *seen = now.clone();
        }
    }

    fn end(&mut self, now: Snapshot) {
        self.show(&now);
        // Until it goes on, or is something that is meant to stand still.
        self.0.known().downtime.begin(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(file: &str, restarts: u64) -> Target {
        Target::Run { file: file.to_owned(), restarts }
    }

    /// Files that change and pause, restarts in between → the last word counts; whoever has gone does not come back.
    #[test]
    fn the_last_word_counts() {
        let job = Hosted::new("a".parse().expect("a name"), "a.toml".into(), run("1", 0));
        let target = job.target();
        let now = || target.borrow().clone();
        assert!(job.restart());
        job.follow(run("1", 0));
        assert_eq!(now(), run("1", 1), "a look does not undo a restart");
        job.follow(run("2", 0));
        assert_eq!(now(), run("2", 1));
        job.follow(Target::Paused);
        assert!(!job.restart() && now() == Target::Paused);
        job.follow(run("3", 0));
        assert_eq!(now(), run("3", 0));
        job.leave();
        job.follow(run("3", 0));
        assert!(!job.restart() && now() == Target::Gone);
    }
}
