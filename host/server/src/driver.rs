//! Runs a job to its end, from one run to the next if it is handed over: shows it while it runs, ends it when that is asked, says
//! its balance.

mod requests;
mod start;
mod under_way;

pub use start::Manner;

use crate::job::Job;
use crate::live::hand_over::HandOver;
use crate::progress::{Progress, Snapshot};
use crate::shutdown::Shutdown;
use crate::summary::Summary;
use crate::terminal::Terminal;
use start::{Started, start};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::block_in_place;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use under_way::{Before, UnderWay};
use wasmill_engine::{Lookouts, Status, Swapper};
use wasmill_stream::ledger::Ledger;
use wasmill_stream::{Error, ErrorKind, Result};

/// How long a job that was asked to stop may take for its last rows and checkpoint. Container runtimes kill after ten seconds or more.
const LAST_CHECKPOINT: Duration = Duration::from_secs(8);

/// The same for one that is to go on in another run. If it takes longer, a sink is stuck, and the job goes on as it was.
const HAND_OVER: Duration = Duration::from_secs(60);

/// How long after that the job may take to give up. Something in it may never answer.
const GIVING_UP: Duration = Duration::from_millis(500);

/// What is seen of a job while it runs.
pub trait View {
    /// How often it wants to be brought up to date.
    fn interval(&self) -> Duration;

    /// A run has begun, which looks so.
    fn begin(&mut self, _run: Observed, _now: Snapshot) {}

    /// Shows the job as it is now.
    fn show(&mut self, now: &Snapshot);

    /// The run has ended, and looked so in the end.
    fn end(&mut self, _now: Snapshot) {}
}

/// What can be seen of a run by whoever wants more than a snapshot.
#[derive(Clone)]
pub struct Observed {
    /// What becomes of its rows.
    pub ledger: Ledger,
    /// Its checkpoints, if it keeps any.
    pub checkpoints: Option<Status>,
    /// What knows which plugins it runs.
    pub swapper: Swapper,
    /// What lets look into its steps.
    pub lookouts: Lookouts,
}

impl Observed {
    /// How often its checkpoints have failed.
    pub fn failed_checkpoints(&self) -> u64 {
        self.checkpoints.as_ref().map_or(0, |checkpoints| checkpoints.look().failures)
    }
}

/// How a job ends that does not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that was read is finished.
    Done,
    /// Somebody did not want to wait for that.
    Interrupted,
}

/// How a run of a job ends.
enum Ended {
    Over(Ending),
    /// It goes on as another job file says, or from an older checkpoint. And whether it has stopped well.
    HandedOver(Box<HandOver>, Result<()>),
}

/// Runs a job to its end. `view`: makes what shows it, once for every time that it is started. Needs a tokio runtime.
pub async fn run_to_end<V: View>(
    mut job: Job,
    mut manner: Manner,
    mut view: impl FnMut() -> V,
    shutdown: &mut Shutdown,
    terminal: &Terminal,
) -> Result<Ending> {
    let mut under_way: Option<UnderWay> = None;
    let mut refused: Option<String> = None;
    loop {
        let before = Before::of(&job);
        let started = tokio::select! {
            started = start(job, &manner, refused.as_deref(), terminal) => started,
            () = shutdown.asked() => return Ok(Ending::Interrupted),
        };
        manner.has_begun();
        let started = match (started, under_way.take()) {
            (Ok(started), hand_over) => {
                if let Some(hand_over) = hand_over {
                    hand_over.done(terminal).await;
                }
                started
            }
            (Err(error), Some(hand_over)) if hand_over.refusal.is_none() => {
                refused = Some(before.text());
                job = block_in_place(|| hand_over.before.examine(&manner.parameters(), terminal))?;
                under_way = Some(UnderWay { refusal: Some(error), ..hand_over });
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        match watch_run(started, view(), shutdown, manner.unattended, terminal).await? {
            Ended::Over(ending) => return Ok(ending),
            Ended::HandedOver(hand_over, stopped) => {
                let HandOver { job: next, changes, rewind, reply } = *hand_over;
                let (since, goes_back) = (Instant::now(), rewind.is_some());
                let refusal = match (rewind, stopped) {
                    // How far it got does not matter any more.
                    (Some(rewind), _) => rewind.put_in_force().await.err(),
                    (None, stopped) => stopped.err(),
                };
                refused = refusal.as_ref().map(|_| next.file.text().to_owned());
                job = match &refusal {
                    // It compiles: what else runs here must not wait for that.
                    Some(_) => block_in_place(|| before.examine(&manner.parameters(), terminal))?,
                    None => next,
                };
                let is_back = goes_back && refusal.is_none();
                under_way = Some(UnderWay { before, since, changes, goes_back, is_back, reply, refusal });
            }
        }
    }
}

/// Shows a job until it has ended.
async fn watch_run(
    started: Started,
    mut view: impl View,
    shutdown: &mut Shutdown,
    unattended: bool,
    terminal: &Terminal,
) -> Result<Ended> {
    let Started { running, outline, mut hand_overs, mut served } = started;
    let (ledger, stopper) = (running.ledger().clone(), running.stopper());
    let checkpoints = running.checkpoints().cloned();
    if let Some(from) = checkpoints.as_ref().and_then(|checkpoints| checkpoints.look().resumed) {
        terminal.note(&format!("going on from checkpoint {} of {}", from.number, from.at));
        from.changed.iter().for_each(|changed| terminal.note(&format!("another plugin since then in {changed}")));
    }
    let mut progress = Progress::new(ledger.clone(), &outline, checkpoints.clone(), running.stall().clone());
    view.begin(
        Observed {
            ledger: ledger.clone(),
            checkpoints: checkpoints.clone(),
            swapper: running.swapper(),
            lookouts: running.lookouts().clone(),
        },
        progress.snapshot(),
    );
    let mut ticks = interval_at(Instant::now() + view.interval(), view.interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    let mut handed_over = None;
    let (asked, stop) = oneshot::channel();
    // Only with checkpoints nothing is lost by not waiting any longer, but somebody has to be there who waits.
    let keeps = checkpoints.is_some();
    let mut asked = (keeps || unattended).then_some(asked);
    let mut end = pin!(in_time(running.wait(), stop, |patience| stopper.abort(overdue(patience, keeps))));
    let ended = loop {
        tokio::select! {
            ended = &mut end => break ended.unwrap_or_else(|| Err(stopper.failure().unwrap_or_else(|| overdue(GIVING_UP, keeps)))),
            _ = ticks.tick() => view.show(&progress.snapshot()),
            Some(hand_over) = hand_overs.recv(), if handed_over.is_none() && !stopping => {
                terminal.note(match hand_over.rewind {
                    None => "stopping with a checkpoint, to go on as the new job file says",
                    Some(_) => "stopping, to go back to an older checkpoint",
                });
                handed_over = Some(hand_over);
                stopper.stop();
                let _ = asked.take().map(|asked| asked.send(HAND_OVER));
            }
            () = shutdown.asked() => {
                if stopping {
                    return Ok(Ended::Over(Ending::Interrupted));
                }
                stopping = true;
                handed_over = None;
                stopper.stop();
                // Nobody listens any more when the job has ended at this very moment.
                let _ = asked.take().map(|asked| asked.send(LAST_CHECKPOINT));
                terminal.note("stopping: what was read is finished first; Ctrl-C again to end at once");
            }
        }
    };
    view.end(progress.snapshot());
    // Whatever is still drawn goes away before the last words.
    drop(view);
    // Until its socket is removed: the next run listens at the same place.
    served.shutdown().await;
    if let Some(hand_over) = handed_over
        // Unless the job is another host's by now.
        && ended.as_ref().err().is_none_or(|error| error.kind() != ErrorKind::Denied)
    {
        return Ok(Ended::HandedOver(Box::new(hand_over), ended.map(drop)));
    }
    terminal.note(format!("{}\n\n{}", progress.snapshot(), Summary(&ledger)).trim_end());
    match ended {
        // Someone who reads the results, such as `head`, has seen enough.
        Err(error) if error.kind() != ErrorKind::Closed => Err(error),
        _ => Ok(Ended::Over(Ending::Done)),
    }
}

/// The end of a job. When it is asked for, the job may take so long; then it is aborted; `None` if that does not end it
/// either.
async fn in_time<T>(
    end: impl Future<Output = T>,
    asked: oneshot::Receiver<Duration>,
    abort: impl FnOnce(Duration),
) -> Option<T> {
    let mut end = pin!(end);
    let patience = tokio::select! {
        ended = &mut end => return Some(ended),
        Ok(patience) = asked => patience,
    };
    if let Ok(ended) = timeout(patience, &mut end).await {
        return Some(ended);
    }
    abort(patience);
    timeout(GIVING_UP, end).await.ok()
}

fn overdue(patience: Duration, keeps_checkpoints: bool) -> Error {
    let seconds = patience.as_secs();
    let message = format!("what was read could not be finished in {seconds} s");
    match keeps_checkpoints {
        true => Error::unavailable(format!("{message}, so there is no last checkpoint"))
            .hint("the next start goes on from the one before"),
        false => Error::unavailable(format!("{message}, and is dropped"))
            .hint("a table [checkpoint] lets a job go on where it was"),
    }
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
        asked.send(SOON).expect("somebody listens");
        let mut aborted = false;
        assert_eq!(in_time(pending::<()>(), stop, |_| aborted = true).await, None);
        assert!(aborted);
    }

    /// A job that ends when it is aborted → its own end counts.
    #[tokio::test]
    async fn an_aborted_job_has_the_last_word() {
        let (asked, stop) = oneshot::channel();
        asked.send(SOON).expect("somebody listens");
        let (abort, aborted) = oneshot::channel();
        let ended = in_time(aborted, stop, |_| abort.send("aborted").expect("it listens")).await;
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
        assert_eq!(in_time(end, stop, |_| panic!("nobody asked")).await, Some("end"));
    }
}
