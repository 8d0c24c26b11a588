//! Runs a job under a terminal: shows it while it runs, ends it on signals, prints its balance.

use super::Exit;
use super::requests::Requests;
use crate::control::Control;
use crate::job::{Job, Parameters};
use crate::progress::{Progress, Snapshot};
use crate::run;
use crate::shutdown::Shutdown;
use crate::summary::Summary;
use crate::terminal::Terminal;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use wasmill_stream::{Error, ErrorKind, Result};

/// How long a job that was asked to stop may take for its last checkpoint. Container runtimes kill after ten seconds or more.
const LAST_CHECKPOINT: Duration = Duration::from_secs(9);

/// What is seen of a job while it runs.
pub trait View {
    /// How often it wants to be brought up to date.
    fn interval(&self) -> Duration;

    /// Shows the job as it is now.
    fn show(&mut self, now: &Snapshot);
}

/// How a job is driven.
#[derive(Default)]
pub struct Manner {
    /// Begin anew, as if there were no checkpoint.
    pub fresh: bool,
    /// Listen for requests, and read the job file with these parameters for them.
    pub listen: Option<Parameters>,
}

/// Runs a job to its end.
pub fn drive(job: Job, manner: Manner, view: impl View, terminal: &Terminal) -> Result<Exit> {
    let runtime = runtime()?;
    let exit = runtime.block_on(watch(job, manner, view, terminal));
    // After a second Ctrl-C there may be threads that never end by themselves.
    runtime.shutdown_background();
    exit
}

/// The runtime of sources and sinks. They wait most of the time; workers have threads of their own.
fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("wasmill-io")
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("start the I/O threads").with_source(error))
}

async fn watch(job: Job, manner: Manner, mut view: impl View, terminal: &Terminal) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let (outline, file) = (job.outline.clone(), job.file.clone());
    let Manner { fresh, listen } = manner;
    let running = tokio::select! {
        running = run::start(job, fresh) => running?,
        () = shutdown.asked() => return Ok(Exit::Interrupted),
    };
    let (ledger, stopper) = (running.ledger().clone(), running.stopper());
    let checkpoints = running.checkpoints().cloned();
    // Ends with the job: it is dropped with the set.
    let mut requests = JoinSet::new();
    if let Some(parameters) = listen {
        match Control::listen(&file).await {
            Ok(control) => {
                let swapper = running.swapper();
                let served = Requests { file, parameters, swapper, terminal: terminal.clone() };
                requests.spawn(served.serve(control));
            }
            Err(error) => terminal.note(&format!("`wasmill swap` will not find this job: {}", error.report())),
        }
    }
    if let Some(from) = checkpoints.as_ref().and_then(|checkpoints| checkpoints.look().resumed) {
        terminal.note(&format!("going on from checkpoint {} of {}", from.number, from.at));
        from.changed.iter().for_each(|changed| terminal.note(&format!("another plugin since then in {changed}")));
    }
    let mut progress = Progress::new(ledger.clone(), &outline, checkpoints.clone(), running.stall().clone());
    let mut ticks = interval_at(Instant::now() + view.interval(), view.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    // Only with checkpoints nothing is lost by not waiting any longer.
    let mut deadline = None;
    let mut end = pin!(running.wait());
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended,
            _ = ticks.tick() => view.show(&progress.snapshot()),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                deadline = None;
                let seconds = LAST_CHECKPOINT.as_secs();
                let message = format!("what was read could not be finished in {seconds} s, so there is no last checkpoint");
                stopper.abort(Error::unavailable(message).hint("the next start goes on from the one before"));
            }
            () = shutdown.asked() => {
                if stopping {
                    return Ok(Exit::Interrupted);
                }
                stopping = true;
                deadline = checkpoints.as_ref().map(|_| Instant::now() + LAST_CHECKPOINT);
                stopper.stop();
                terminal.note("stopping: what was read is finished first; Ctrl-C again to end at once");
            }
        }
    };
    // Whatever is still drawn goes away before the last words.
    drop(view);
    terminal.note(format!("{}\n\n{}", progress.snapshot(), Summary(&ledger)).trim_end());
    match ended {
        // Someone who reads the results, such as `head`, has seen enough.
        Err(error) if error.kind() != ErrorKind::Closed => Err(error),
        _ => Ok(Exit::Done),
    }
}
