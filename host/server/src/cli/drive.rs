//! Runs a job under a terminal: shows it while it runs, ends it on signals, prints its balance.

use super::Exit;
use crate::job::Job;
use crate::progress::{Progress, Snapshot};
use crate::run;
use crate::shutdown::Shutdown;
use crate::summary::Summary;
use crate::terminal::Terminal;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use wasmill_stream::{Error, ErrorKind, Result};

/// What is seen of a job while it runs.
pub trait View {
    /// How often it wants to be brought up to date.
    fn interval(&self) -> Duration;

    /// Shows the job as it is now.
    fn show(&mut self, now: &Snapshot);
}

/// Runs a job to its end.
pub fn drive(job: Job, view: impl View, terminal: &Terminal) -> Result<Exit> {
    let runtime = runtime()?;
    let exit = runtime.block_on(watch(job, view, terminal));
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

async fn watch(job: Job, mut view: impl View, terminal: &Terminal) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let outline = job.outline.clone();
    let running = tokio::select! {
        running = run::start(job) => running?,
        () = shutdown.asked() => return Ok(Exit::Interrupted),
    };
    let (ledger, stopper) = (running.ledger().clone(), running.stopper());
    let mut progress = Progress::new(ledger.clone(), &outline);
    let mut ticks = interval_at(Instant::now() + view.interval(), view.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    let mut end = pin!(running.wait());
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended,
            _ = ticks.tick() => view.show(&progress.snapshot()),
            () = shutdown.asked() => {
                if stopping {
                    return Ok(Exit::Interrupted);
                }
                stopping = true;
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
