//! Runs a job under a terminal: shows it while it runs, ends it on signals, prints its balance.

use super::Exit;
use super::job::{builder, examine_file, fetcher, host};
use super::requests;
use crate::control::{Answer, Control, Reply};
use crate::job::{self, Job, JobFile, Origin, Outline, Parameters, Plugins};
use crate::live::Live;
use crate::live::hand_over::HandOver;
use crate::live::history::History;
use crate::pins::{self, Kept};
use crate::progress::{Progress, Snapshot};
use crate::report::{self, Style};
use crate::run;
use crate::shutdown::Shutdown;
use crate::summary::Summary;
use crate::terminal::Terminal;
use crate::watch;
use miette::Severity;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use wasmill_engine::{Journal, Running};
use wasmill_stream::checkpoint::Store;
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

impl Manner {
    fn parameters(&self) -> Parameters {
        self.listen.clone().unwrap_or_else(|| Parameters::new::<String, String>([]))
    }
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
    /// Run the plugins that the job file names, whatever was swapped in.
    pub as_filed: bool,
}

/// Keeps the components of a job that is about to start, and has it run those that were swapped in. Says which.
async fn pinned(job: &mut Job, store: &Arc<dyn Store>, manner: &Manner, terminal: &Terminal) -> Result<Vec<String>> {
    pins::keep(&**store, &job.components).await?;
    if manner.fresh || manner.as_filed {
        return Ok(Vec::new());
    }
    let journal = Journal::new(store.clone());
    let newest = match pins::patiently(|| journal.newest()).await {
        Ok(Some(newest)) => newest,
        Ok(None) => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        // What is wrong with it is said when the job starts.
        Err(_) => return Ok(Vec::new()),
    };
    let (file, parameters) = (job.file.clone(), manner.parameters());
    let load = |step: &str, kept: Kept| {
        let mut plugins = Plugins::new(host()?, Some(builder(terminal)));
        let origin = Origin::Path("the component that was swapped in".into());
        plugins.supply(origin.clone(), kept.given);
        job::replacement(&file, &parameters, &mut plugins, step, &origin, kept.grants).map_err(|problems| {
            let drawn = report::draw(&file, &problems, Severity::Error, Style::Plain);
            Error::invalid(format!("step {step}: what was swapped in does not fit any more:\n{drawn}"))
                .hint("`wasmill run --as-filed` runs the plugin that the job file names")
        })
    };
    let said = pins::put_back(job, &**store, &newest, &load).await?;
    if let Err(error) = pins::sweep(store, &job.components).await {
        tracing::warn!("remove old components: {}", error.report());
    }
    Ok(said)
}

/// Runs a job to its end. `view`: makes what shows it, once for every time that it is started.
pub fn drive<V: View>(job: Job, manner: Manner, view: impl FnMut() -> V, terminal: &Terminal) -> Result<Exit> {
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

/// How a run of a job ends.
enum Ended {
    Exit(Exit),
    /// It goes on as another job file says.
    HandedOver(Box<HandOver>),
}

async fn run_to_end<V: View>(
    mut job: Job,
    mut manner: Manner,
    mut view: impl FnMut() -> V,
    terminal: &Terminal,
) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let mut under_way: Option<UnderWay> = None;
    loop {
        let file = job.file.clone();
        let started = tokio::select! {
            started = start(job, &manner, terminal) => started,
            () = shutdown.asked() => return Ok(Exit::Interrupted),
        };
        // From here on it goes on from what it has done.
        manner.fresh = false;
        let started = match (started, under_way.take()) {
            (Ok(started), hand_over) => {
                if let Some(hand_over) = hand_over {
                    hand_over.done(terminal).await;
                }
                started
            }
            (Err(error), Some(hand_over)) if hand_over.refusal.is_none() => {
                job = examined(&hand_over.before, &manner, terminal)?;
                under_way = Some(UnderWay { refusal: Some(error), ..hand_over });
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        match watch_run(started, view(), &mut shutdown, terminal).await? {
            Ended::Exit(exit) => return Ok(exit),
            Ended::HandedOver(hand_over) => {
                let HandOver { job: next, changes, rewind, reply } = *hand_over;
                let (since, goes_back) = (Instant::now(), rewind.is_some());
                let refusal = match rewind {
                    Some(rewind) => rewind.put_in_force().await.err(),
                    None => None,
                };
                under_way = Some(UnderWay { before: file, since, changes, goes_back, reply, refusal });
                job = next;
            }
        }
    }
}

/// A job as it was before.
fn examined(file: &JobFile, manner: &Manner, terminal: &Terminal) -> Result<Job> {
    let parameters = manner.parameters();
    let examined = examine_file(file, &parameters, true, terminal)?;
    examined.job.ok_or_else(|| Error::invalid("the job file as it was before does not fit any more"))
}

/// A job on its way from one job file to another.
struct UnderWay {
    before: JobFile,
    /// Since when nothing is read.
    since: Instant,
    changes: Vec<String>,
    /// Whether it goes back to an older checkpoint.
    goes_back: bool,
    reply: Option<Reply>,
    /// Why it could not, and goes on as it was.
    refusal: Option<Error>,
}

impl UnderWay {
    /// The job runs again: says as which.
    async fn done(self, terminal: &Terminal) {
        let (changes, gap) = (self.changes.join("\n"), self.since.elapsed());
        let answer = match (self.refusal, self.goes_back) {
            (None, false) => {
                Answer::Done(format!("{changes}\nthe job goes on as the file says; nothing was read for {gap:.1?}"))
            }
            (None, true) => {
                Answer::Done(format!("{changes}\nthe job goes on from there; nothing was read for {gap:.1?}"))
            }
            (Some(error), goes_back) => {
                let why = if goes_back { "it cannot go back" } else { "it cannot start as the new file says" };
                let reason = error.report();
                Answer::Refused(format!(
                    "{changes}\nthe job goes on as it was, {why}: {reason}; nothing was read for {gap:.1?}"
                ))
            }
        };
        if let Answer::Done(words) | Answer::Refused(words) = &answer {
            terminal.note(words);
        }
        if let Some(reply) = self.reply {
            reply.send(&answer).await;
        }
    }
}

/// A job that has been started, and what belongs to it.
struct Started {
    running: Running,
    outline: Outline,
    hand_overs: UnboundedReceiver<HandOver>,
    /// Ends with the job: it is dropped with it.
    _served: JoinSet<()>,
}

async fn start(mut job: Job, manner: &Manner, terminal: &Terminal) -> Result<Started> {
    let (outline, file, swap, declared) = (job.outline.clone(), job.file.clone(), job.swap, job.declared.clone());
    let store = match &job.checkpoint {
        Some(settings) => Some(settings.place.open().await?),
        None => None,
    };
    if let Some(store) = &store {
        for said in pinned(&mut job, store, manner, terminal).await? {
            terminal.note(&said);
        }
    }
    let running = run::start(job, manner.fresh).await?;
    let mut served = JoinSet::new();
    let (sender, hand_overs) = unbounded_channel();
    if manner.listen.is_some() {
        let shown = terminal.clone();
        let plugins = Box::new(move || Ok(Plugins::new(host()?, Some(builder(&shown))).fetching(fetcher(&shown))));
        let history = History::open(store.clone()).await?;
        let job = (file, manner.parameters(), declared);
        let swapper = (running.swapper(), running.rewind_points());
        let live = Live::new(job, plugins, swap, swapper, (history, store), sender, terminal.clone());
        live.watch_transitions().await;
        match Control::listen(&live.file()).await {
            Ok(control) => drop(served.spawn(requests::serve(control, live.clone(), terminal.clone()))),
            Err(error) => terminal.note(&format!("`wasmill swap` will not find this job: {}", error.report())),
        }
        if manner.watch {
            served.spawn(watch::watch(live, terminal.clone()));
        }
    }
    Ok(Started { running, outline, hand_overs, _served: served })
}

/// Shows a job until it has ended.
async fn watch_run(
    started: Started,
    mut view: impl View,
    shutdown: &mut Shutdown,
    terminal: &Terminal,
) -> Result<Ended> {
    let Started { running, outline, mut hand_overs, _served } = started;
    let (ledger, stopper) = (running.ledger().clone(), running.stopper());
    let checkpoints = running.checkpoints().cloned();
    if let Some(from) = checkpoints.as_ref().and_then(|checkpoints| checkpoints.look().resumed) {
        terminal.note(&format!("going on from checkpoint {} of {}", from.number, from.at));
        from.changed.iter().for_each(|changed| terminal.note(&format!("another plugin since then in {changed}")));
    }
    let mut progress = Progress::new(ledger.clone(), &outline, checkpoints.clone(), running.stall().clone());
    let mut ticks = interval_at(Instant::now() + view.interval(), view.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    let mut handed_over = None;
    let (asked, stop) = oneshot::channel();
    // Only with checkpoints nothing is lost by not waiting any longer.
    let mut asked = checkpoints.as_ref().map(|_| asked);
    let mut end = pin!(in_time(running.wait(), stop, LAST_CHECKPOINT, || stopper.abort(overdue())));
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended.unwrap_or_else(|| Err(stopper.failure().unwrap_or_else(overdue))),
            _ = ticks.tick() => view.show(&progress.snapshot()),
            Some(hand_over) = hand_overs.recv(), if handed_over.is_none() && !stopping => {
                terminal.note(match hand_over.rewind {
                    None => "stopping with a checkpoint, to go on as the new job file says",
                    Some(_) => "stopping, to go back to an older checkpoint",
                });
                handed_over = Some(hand_over);
                stopper.stop();
                let _ = asked.take().map(|asked| asked.send(()));
            }
            () = shutdown.asked() => {
                if stopping {
                    return Ok(Ended::Exit(Exit::Interrupted));
                }
                stopping = true;
                handed_over = None;
                stopper.stop();
                // Nobody listens any more when the job has ended at this very moment.
                let _ = asked.take().map(|asked| asked.send(()));
                terminal.note("stopping: what was read is finished first; Ctrl-C again to end at once");
            }
        }
    };
    // Whatever is still drawn goes away before the last words.
    drop(view);
    match (&ended, handed_over) {
        (Ok(_), Some(hand_over)) => return Ok(Ended::HandedOver(Box::new(hand_over))),
        // How far it got does not matter any more, unless the job is another host's by now.
        (Err(error), Some(hand_over)) if hand_over.rewind.is_some() && error.kind() != ErrorKind::Denied => {
            terminal.note(&error.report());
            return Ok(Ended::HandedOver(Box::new(hand_over)));
        }
        _ => {}
    }
    terminal.note(format!("{}\n\n{}", progress.snapshot(), Summary(&ledger)).trim_end());
    match ended {
        // Someone who reads the results, such as `head`, has seen enough.
        Err(error) if error.kind() != ErrorKind::Closed => Err(error),
        _ => Ok(Ended::Exit(Exit::Done)),
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
