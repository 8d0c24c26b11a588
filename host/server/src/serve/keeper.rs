//! Keeps one job doing what it is to do: starts it, stops it, starts it again after a failure.

use super::backoff::Backoff;
use super::fleet::Surroundings;
use super::hosted::{Hosted, Pane, Target};
use super::status::State;
use crate::driver::{self, Ending, Manner};
use crate::job::{Job, JobFile, Parameters};
use crate::log::carried;
use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use crate::watch::Bell;
use crate::workshop;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use wasmill_engine::NodeKind;
use wasmill_stream::{Error, ErrorKind, Result};

/// Whoever keeps a job.
pub struct Keeper {
    hosted: Arc<Hosted>,
    target: watch::Receiver<Target>,
    surroundings: Surroundings,
    bell: Arc<Bell>,
    terminal: Terminal,
    backoff: Backoff,
}

impl Keeper {
    /// Of a job that nobody keeps yet.
    pub fn new(hosted: Arc<Hosted>, surroundings: Surroundings, bell: Arc<Bell>, terminal: Terminal) -> Self {
        let target = hosted.target();
        Self { hosted, target, surroundings, bell, terminal, backoff: Backoff::default() }
    }

    /// Keeps it until it has gone.
    pub async fn keep(mut self) {
        let mut reason = None;
        loop {
            let target = self.target.borrow_and_update().clone();
            reason = match target {
                Target::Gone => return,
                Target::Paused => {
                    self.hosted.enter(State::Paused, reason.take());
                    self.until_changed(None).await;
                    None
                }
                Target::Barred(reason) => {
                    self.hosted.enter(State::Failed, Some(reason));
                    self.until_changed(None).await;
                    None
                }
                Target::Run { .. } => self.run(target).await,
            };
        }
    }

    /// Starts it, and returns when it is to do something else, or to be started again. If it was stopped and did not end well,
    /// why.
    async fn run(&mut self, target: Target) -> Option<String> {
        self.hosted.enter(State::Starting, None);
        let begun = Clock::now();
        let (stopped, ended) = match self.load().await {
            // It may have taken minutes.
            Ok(_) if *self.target.borrow() != target => return None,
            Ok(job) => self.drive(job, &target).await,
            Err(error) => (false, Err(error)),
        };
        match ended {
            Ok(Ending::Done | Ending::Interrupted) if stopped => None,
            Ok(Ending::Done | Ending::Interrupted) => {
                self.hosted.enter(State::Finished, None);
                self.until_changed(None).await;
                None
            }
            Err(error) => {
                let reason = error.report();
                self.terminal.error(&reason);
                // Its file is another one since it was read: that may be what it needed.
                if !stopped && *self.target.borrow() == target {
                    self.recover(&error, begun.elapsed()).await;
                }
                Some(reason)
            }
        }
    }

    /// Drives it until it ends. Tells whether it was stopped.
    async fn drive(&mut self, job: Job, target: &Target) -> (bool, Result<Ending>) {
        let (stop, asked) = unbounded_channel();
        let mut shutdown = Shutdown::Asked(asked);
        let parameters = match self.surroundings.parameters() {
            Ok(parameters) => parameters,
            Err(error) => return (false, Err(error)),
        };
        let (listen, watch) = (Some(parameters), Some(self.bell.clone()));
        let manner = Manner { listen, watch, unattended: true, ..Manner::default() };
        let (hosted, terminal) = (self.hosted.clone(), self.terminal.clone());
        let view = || Pane(hosted.clone());
        let mut run = pin!(driver::run_to_end(job, manner, view, &mut shutdown, &terminal));
        let mut stopped = false;
        loop {
            tokio::select! {
                ended = &mut run => return (stopped, ended),
                changed = self.target.changed(), if !stopped => {
                    // Another file is applied by the watcher of the run.
                    if changed.is_err() || !is_applied(target, &self.target.borrow()) {
                        stopped = true;
                        self.hosted.enter(State::Stopping, None);
                        // It is there as long as the run is.
                        let _ = stop.send(());
                    }
                }
            }
        }
    }

    /// Waits after a failure: until time may have cured it, or somebody has done something.
    async fn recover(&mut self, error: &Error, ran: Duration) {
        let reason = error.report();
        let at = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Corrupt => {
                self.hosted.enter(State::Failed, Some(reason));
                None
            }
            _ => {
                let at = Instant::now() + self.backoff.after(ran);
                self.hosted.await_retry(reason, at);
                Some(at)
            }
        };
        if self.until_changed(at).await {
            self.backoff.forget();
        }
    }

    /// Waits until it is to do something else, or until then. Tells whether it is.
    async fn until_changed(&mut self, until: Option<Instant>) -> bool {
        let time = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.target.changed() => true,
            () = time => false,
        }
    }

    /// Reads its file and makes the job, which may build and compile plugins.
    async fn load(&self) -> Result<Job> {
        let parameters = self.surroundings.parameters()?;
        let (path, terminal) = (self.hosted.file().clone(), self.terminal.clone());
        let load = carried(move || hostable(&JobFile::read(&path)?, &parameters, &terminal));
        let loading = spawn_blocking(load);
        loading.await.map_err(|error| Error::internal(format!("read the job: {error}")))?
    }
}

/// Whether a run that has begun for one target needs no other for the next: only its file is another one.
fn is_applied(before: &Target, now: &Target) -> bool {
    match (before, now) {
        (Target::Run { restarts: before, .. }, Target::Run { restarts: now, .. }) => before == now,
        _ => before == now,
    }
}

/// Makes the job of a file, if it can be one of many.
pub(super) fn hostable(file: &JobFile, parameters: &Parameters, terminal: &Terminal) -> Result<Job> {
    let job = workshop::make(file, parameters, terminal)?;
    for node in &job.graph.nodes {
        if matches!(&node.kind, NodeKind::Source { source, .. } if !source.rereads()) {
            let message = format!("source {} reads standard input, which a host of many jobs has not", node.name);
            return Err(Error::invalid(message).hint("run it by itself: `wasmill run`"));
        }
    }
    Ok(job)
}
