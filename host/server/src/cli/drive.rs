//! Runs a job under a terminal: shows it while it runs, ends it on signals, prints its balance.

use super::Exit;
use super::job::{builder, fetcher, host};
use super::requests;
use crate::control::Control;
use crate::job::{Job, Parameters, Plugins};
use crate::live::Live;
use crate::progress::{Progress, Snapshot};
use crate::run;
use crate::shutdown::Shutdown;
use crate::summary::Summary;
use crate::terminal::Terminal;
use crate::watch;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use wasmill_stream::{Error, ErrorKind, Result};

/// How long a job that was asked to stop may take for its last checkpoint. Container runtimes kill after ten seconds or more.
const LAST_CHECKPOINT: Duration = Duration::from_secs(8);

/// How long after that the job may take to give up. Something in it may never answer.
const GIVING_UP: Duration = Duration::from_millis(500);

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
    /// Take over what changes in plugins, too.
    pub watch: bool,
}

/// Runs a job to its end.
pub fn drive(job: Job, manner: Manner, view: impl View, terminal: &Terminal) -> Result<Exit> {
    let runtime = runtime()?;
    let exit = runtime.block_on(run_to_end(job, manner, view, terminal));
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

async fn run_to_end(job: Job, manner: Manner, mut view: impl View, terminal: &Terminal) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let (outline, file) = (job.outline.clone(), job.file.clone());
    let Manner { fresh, listen, watch } = manner;
    let running = tokio::select! {
        running = run::start(job, fresh) => running?,
        () = shutdown.asked() => return Ok(Exit::Interrupted),
    };
    let (ledger, stopper) = (running.ledger().clone(), running.stopper());
    let checkpoints = running.checkpoints().cloned();
    // Ends with the job: it is dropped with the set.
    let mut served = JoinSet::new();
    if let Some(parameters) = listen {
        let shown = terminal.clone();
        let plugins = Box::new(move || Ok(Plugins::new(host()?, Some(builder(&shown))).fetching(fetcher(&shown))));
        let live = Live::new(file, parameters, plugins, running.swapper());
        match Control::listen(live.file()).await {
            Ok(control) => drop(served.spawn(requests::serve(control, live.clone(), terminal.clone()))),
            Err(error) => terminal.note(&format!("`wasmill swap` will not find this job: {}", error.report())),
        }
        if watch {
            served.spawn(watch::watch(live, terminal.clone()));
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
    let (asked, stop) = oneshot::channel();
    // Only with checkpoints nothing is lost by not waiting any longer.
    let mut asked = checkpoints.as_ref().map(|_| asked);
    let mut end = pin!(in_time(running.wait(), stop, LAST_CHECKPOINT, || stopper.abort(overdue())));
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended.unwrap_or_else(|| Err(stopper.failure().unwrap_or_else(overdue))),
            _ = ticks.tick() => view.show(&progress.snapshot()),
            () = shutdown.asked() => {
                if stopping {
                    return Ok(Exit::Interrupted);
                }
                stopping = true;
                stopper.stop();
                // Nobody listens any more when the job has ended at this very moment.
                let _ = asked.take().map(|asked| asked.send(()));
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

/// The end of a job. When it is asked for, the job may take `patience`; then it is aborted; `None` if that does not end it
/// either.
async fn in_time<T>(
    end: impl Future<Output = T>,
    asked: oneshot::Receiver<()>,
    patience: Duration,
    abort: impl FnOnce(),
) -> Option<T> {
    let mut end = pin!(end);
    tokio::select! {
        ended = &mut end => return Some(ended),
        Ok(()) = asked => {}
    }
    if let Ok(ended) = timeout(patience, &mut end).await {
        return Some(ended);
    }
    abort();
    timeout(GIVING_UP, end).await.ok()
}

fn overdue() -> Error {
    let seconds = LAST_CHECKPOINT.as_secs();
    Error::unavailable(format!("what was read could not be finished in {seconds} s, so there is no last checkpoint"))
        .hint("the next start goes on from the one before")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const SOON: Duration = Duration::from_millis(1);

    /// A job that was asked to stop and does nothing → it is aborted, and left alone if even that does not end it.
    #[tokio::test]
    async fn nothing_is_waited_for_that_never_comes() {
        let (asked, stop) = oneshot::channel();
        asked.send(()).expect("somebody listens");
        let mut aborted = false;
        assert_eq!(in_time(pending::<()>(), stop, SOON, || aborted = true).await, None);
        assert!(aborted);
    }

    /// A job that ends when it is aborted → its own end counts.
    #[tokio::test]
    async fn an_aborted_job_has_the_last_word() {
        let (asked, stop) = oneshot::channel();
        asked.send(()).expect("somebody listens");
        let (abort, aborted) = oneshot::channel();
        let ended = in_time(aborted, stop, SOON, || abort.send("aborted").expect("it listens")).await;
        assert_eq!(ended, Some(Ok("aborted")));
    }

    /// A job that nobody asks, or that has no checkpoints → it may take its time.
    #[tokio::test]
    async fn a_job_that_was_not_asked_goes_on() {
        let (asked, stop) = oneshot::channel();
        drop(asked);
        let end = async {
            tokio::task::yield_now().await;
            "end"
        };
        assert_eq!(in_time(end, stop, SOON, || panic!("nobody asked")).await, Some("end"));
    }
}
