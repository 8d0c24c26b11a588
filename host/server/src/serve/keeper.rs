//! Keeps one job running: starts it, hears what is wanted of it, starts it again after a failure.

use super::backoff::Backoff;
use super::hosted::{Hosted, Pane, Wish};
use super::status::State;
use crate::driver::{self, Ending, Manner};
use crate::job::{Job, JobFile, Parameters};
use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use crate::watch::Bell;
use crate::workshop;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use wasmill_engine::NodeKind;
use wasmill_stream::{Error, ErrorKind, Result};

/// Whoever keeps a job running.
pub struct Keeper {
    hosted: Arc<Hosted>,
    wishes: UnboundedReceiver<Wish>,
    /// Values of `${NAME}` in job files.
    parameters: Vec<(String, String)>,
    bell: Arc<Bell>,
    terminal: Terminal,
    backoff: Backoff,
}

/// What comes next.
enum Next {
    /// It runs.
    Run,
    /// It waits until somebody wants something, or until then.
    Wait(Option<Instant>),
    /// It is over.
    Leave,
}

impl Keeper {
    /// Of a job that nobody keeps yet.
    pub fn new(
        hosted: Arc<Hosted>,
        wishes: UnboundedReceiver<Wish>,
        parameters: Vec<(String, String)>,
        bell: Arc<Bell>,
        terminal: Terminal,
    ) -> Self {
        Self { hosted, wishes, parameters, bell, terminal, backoff: Backoff::default() }
    }

    /// Keeps it until it has to leave. `paused`: it does not start until it is resumed.
    pub async fn keep(mut self, paused: bool) {
        let mut next = if paused { self.pause(None) } else { Next::Run };
        loop {
            next = match next {
                Next::Run => self.run().await,
                Next::Wait(until) => self.wait(until).await,
                Next::Leave => return,
            };
        }
    }

    async fn run(&mut self) -> Next {
        self.hosted.enter(State::Starting, None);
        let job = match self.load().await {
            Ok(job) => job,
            Err(error) => return self.fail(&error, Duration::ZERO),
        };
        let (stop, asked) = unbounded_channel();
        let mut shutdown = Shutdown::Asked(asked);
        let manner = Manner { listen: Some(self.parameters()), watch: Some(self.bell.clone()), ..Manner::default() };
        let (hosted, terminal) = (self.hosted.clone(), self.terminal.clone());
        let view = || Pane(hosted.clone());
        let begun = Clock::now();
        let mut run = pin!(driver::run_to_end(job, manner, view, &mut shutdown, &terminal));
        let mut wanted: Option<Wish> = None;
        let ended = loop {
            tokio::select! {
                ended = &mut run => break ended,
                Some(wish) = self.wishes.recv() => match wish {
                    Wish::Pause | Wish::Restart | Wish::Leave => {
                        if wanted.is_none() {
                            self.hosted.enter(State::Stopping, None);
                            // It is there as long as the run is.
                            let _ = stop.send(());
                        }
                        wanted = Some(wish);
                    }
                    // It stops all the same, and then starts.
                    Wish::Resume => wanted = wanted.map(|_| Wish::Restart),
                    // Its own watcher sees that.
                    Wish::Changed => {}
                },
            }
        };
        match (wanted, ended) {
            (Some(Wish::Leave), ended) => {
                if let Err(error) = ended {
                    self.terminal.note(&error.report());
                }
                Next::Leave
            }
            (Some(Wish::Pause), ended) => self.pause(ended.err().map(|error| error.report())),
            (Some(_), Ok(_)) => Next::Run,
            (None, Ok(Ending::Done | Ending::Interrupted)) => {
                self.hosted.enter(State::Finished, None);
                Next::Wait(None)
            }
            (_, Err(error)) => self.fail(&error, begun.elapsed()),
        }
    }

    async fn wait(&mut self, until: Option<Instant>) -> Next {
        let retry = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let wish = tokio::select! {
            () = retry => return Next::Run,
            wish = self.wishes.recv() => wish,
        };
        let is_paused = self.hosted.state() == State::Paused;
        match wish {
            None | Some(Wish::Leave) => Next::Leave,
            Some(Wish::Pause) => self.pause(None),
            Some(Wish::Resume) if !is_paused => Next::Wait(until),
            Some(Wish::Changed) if is_paused => Next::Wait(until),
            Some(Wish::Resume | Wish::Restart | Wish::Changed) => {
                self.backoff.forget();
                Next::Run
            }
        }
    }

    fn pause(&mut self, reason: Option<String>) -> Next {
        self.hosted.enter(State::Paused, reason);
        Next::Wait(None)
    }

    /// It has failed after it had run for so long. What time may cure is tried again.
    fn fail(&mut self, error: &Error, ran: Duration) -> Next {
        let reason = error.report();
        self.terminal.note(&reason);
        if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Corrupt) {
            self.hosted.enter(State::Failed, Some(reason));
            return Next::Wait(None);
        }
        let at = Instant::now() + self.backoff.after(ran);
        self.hosted.await_retry(reason, at);
        Next::Wait(Some(at))
    }

    fn parameters(&self) -> Parameters {
        Parameters::new(self.parameters.iter().cloned())
    }

    /// Reads its file and makes the job, which may build and compile plugins.
    async fn load(&self) -> Result<Job> {
        let (file, parameters, terminal) = (self.hosted.file().clone(), self.parameters(), self.terminal.clone());
        let loading = spawn_blocking(move || {
            let file = JobFile::read(&file)?;
            let job = workshop::make(&file, &parameters, &terminal)?;
            for node in &job.graph.nodes {
                if matches!(&node.kind, NodeKind::Source { source, .. } if !source.rereads()) {
                    let message =
                        format!("source {} reads standard input, which a host of many jobs has not", node.name);
                    return Err(Error::invalid(message).hint("run it by itself: `wasmill run`"));
                }
            }
            Ok(job)
        });
        loading.await.map_err(|error| Error::internal(format!("read the job: {error}")))?
    }
}
