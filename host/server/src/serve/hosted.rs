//! One job of a host, as everybody sees it: what it does, and the way to have it do something else.

use super::status::{JobStatus, RunStatus, State, moment};
use crate::driver::{Observed, View};
use crate::progress::Snapshot;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// How often a run is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What somebody wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// That it stops with a checkpoint, and stays so.
    Pause,
    /// That it goes on.
    Resume,
    /// That it stops with a checkpoint and starts again; one that waits does so at once.
    Restart,
    /// Its file is another one now.
    Changed,
    /// That it stops with a checkpoint for good.
    Leave,
}

/// A job of a host.
pub struct Hosted {
    name: String,
    file: PathBuf,
    known: Mutex<Known>,
    wishes: UnboundedSender<Wish>,
}

struct Known {
    state: State,
    since: SystemTime,
    reason: Option<String>,
    retry_at: Option<Instant>,
    restarts: u64,
    run: Option<(Observed, Snapshot)>,
}

impl Hosted {
    /// A job that is about to start. With it what it is to hear.
    pub fn new(name: String, file: PathBuf) -> (Arc<Self>, UnboundedReceiver<Wish>) {
        let (wishes, heard) = unbounded_channel();
        let known = Known {
            state: State::Starting,
            since: SystemTime::now(),
            reason: None,
            retry_at: None,
            restarts: 0,
            run: None,
        };
        (Arc::new(Self { name, file, known: Mutex::new(known), wishes }), heard)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its job file.
    pub fn file(&self) -> &PathBuf {
        &self.file
    }

    /// Has it hear a wish.
    pub fn wish(&self, wish: Wish) {
        // It hears nothing any more once it has left.
        let _ = self.wishes.send(wish);
    }

    /// What it does.
    pub fn state(&self) -> State {
        self.known().state
    }

    /// Everything that is known of it.
    pub fn status(&self) -> JobStatus {
        let known = self.known();
        JobStatus {
            name: self.name.clone(),
            state: known.state,
            since: moment(known.since),
            reason: known.reason.clone(),
            retry_in: known.retry_at.map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64()),
            restarts: known.restarts,
            run: known.run.as_ref().map(|(observed, seen)| RunStatus::of(observed, seen)),
        }
    }

    /// The run that is under way or was the last one, for whoever counts.
    pub fn observed(&self) -> Option<(Observed, Snapshot)> {
        self.known().run.clone()
    }

    /// It does something else now.
    pub(super) fn enter(&self, state: State, reason: Option<String>) {
        let mut known = self.known();
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
        self.0.known().run = Some((observed, now));
    }

    fn show(&mut self, now: &Snapshot) {
        if let Some((_, seen)) = &mut self.0.known().run {
            *seen = now.clone();
        }
    }
}
