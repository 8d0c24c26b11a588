//! Trials of a running job: who watches them, and how they end.

use super::history::{Event, Reason, What};
use super::turn::Turn;
use super::{Live, words};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::Instrument;
use wasmill_engine::{Candidacy, Mode, Swapped};
use wasmill_stream::{Error, ErrorKind, Result};

/// How often it is looked whether a candidate keeps within its bounds.
const LOOK: Duration = Duration::from_millis(100);

impl Live {
    /// Watches a trial until it ends, and ends it when its time is over or the candidate fails.
    pub(super) fn watch_trial(&self, step: &str, candidacy: Arc<Candidacy>, time: Option<Duration>) {
        let (live, step) = (self.clone(), step.to_owned());
        let watching = async move {
            // Without a time it ends when somebody says so, or when the candidate fails.
            let end = time.map(|time| Instant::now() + time);
            let far = Instant::now() + Duration::from_secs(u32::MAX.into());
            let over = async {
                sleep_until(end.unwrap_or(far)).await;
                live.swapper.closed(&candidacy).await;
            };
            let mut over = pin!(over);
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = candidacy.failed() => break,
                    () = &mut over => break,
                    _ = looks.tick() => {
                        candidacy.judge();
                        if !live.is_under_way(&step, &candidacy).await {
                            return;
                        }
                    }
                }
            }
            // A job that stands still comes to no epoch in which it could end.
            while let Err(error) = live.end_trial(&step, &candidacy, time).await {
                live.note(&format!("step {step}: {}", error.report()));
                if error.kind() != ErrorKind::Unavailable || !live.is_under_way(&step, &candidacy).await {
                    return;
                }
                sleep(LOOK).await;
            }
        };
        tokio::spawn(watching.in_current_span());
    }

    /// Watches the transitions that the job goes on with.
    pub async fn watch_transitions(&self) {
        let probation = self.settings().swap.probation;
        for (step, candidacy) in self.swapper.trials().await {
            self.watch_trial(&step, candidacy, Some(probation));
        }
    }

    async fn is_under_way(&self, step: &str, candidacy: &Arc<Candidacy>) -> bool {
        let trial = self.swapper.trial(step).await.ok().flatten();
        trial.is_some_and(|trial| Arc::ptr_eq(&trial, candidacy))
    }

    /// Ends a trial as it has gone.
    async fn end_trial(&self, step: &str, candidacy: &Arc<Candidacy>, time: Option<Duration>) -> Result<()> {
        // A trial does not go on in the next run of the job, unless that is told.
        let Ok(mut turn) = self.turn().await else { return Ok(()) };
        let takes_over = matches!(candidacy.mode(), Mode::Probation | Mode::Transition);
        let promote = candidacy.failure().is_none() && takes_over;
        let mut settled = self.swapper.settle(candidacy, promote).await;
        // It may fail at the last moment.
        let has_failed = settled.is_err() && promote && candidacy.failure().is_some();
        if has_failed {
            settled = self.swapper.settle(candidacy, false).await;
        }
        let Some(swapped) = settled? else { return Ok(()) };
        self.conclude(&mut turn, step, candidacy);
        let failure = candidacy.failure().filter(|_| has_failed || !promote);
        let (candidate, incumbent) = (words::version(candidacy.candidate()), words::version(candidacy.incumbent()));
        let (report, figures) = (words::report(&candidacy.report()), words::figures(&candidacy.report()));
        let rewritten = words::migration(swapped.migration.as_ref());
        let over = words::duration(time.unwrap_or_default());
        let (what, reason, outcome) = match (&failure, candidacy.mode()) {
            (Some(failure), _) if takes_over => {
                let outcome = format!("{incumbent} put back in place of {candidate}: {failure}; {figures}");
                (What::RolledBack, failure.clone(), outcome)
            }
            (Some(failure), _) => {
                (What::Aborted, failure.clone(), format!("{candidate} called off: {failure}; {figures}"))
            }
            (None, Mode::Transition) => {
                self.remember(step, candidacy.incumbent().clone());
                let closed = format!("{incumbent} has closed its last window");
                (What::Promoted, closed.clone(), format!("{candidate} goes on alone: {closed}{rewritten}"))
            }
            (None, Mode::Probation) => {
                self.remember(step, candidacy.incumbent().clone());
                let well = format!("no failure in {over}");
                (What::Promoted, well.clone(), format!("{candidate} stays: {well}{rewritten}"))
            }
            (None, _) => {
                (What::Aborted, format!("{over} are over"), format!("the trial of {candidate} is over: {report}"))
            }
        };
        self.note(&format!("step {step}: {outcome}"));
        self.record(Event::new(step, what, Reason::automatic(reason), &outcome), candidacy).await;
        Ok(())
    }

    /// Another version has come before the trial of this one was over: unless it has failed, it has stood it.
    pub(super) async fn outlive(&self, turn: &mut Turn, step: &str, swapped: &Swapped) {
        let Some(candidacy) = &swapped.outlived else { return };
        self.conclude(turn, step, candidacy);
        let candidate = words::version(candidacy.candidate());
        let (what, reason, outcome) = match candidacy.failure() {
            Some(failure) => (What::RolledBack, failure.clone(), format!("{candidate} was on its way out: {failure}")),
            None => {
                self.remember(step, candidacy.incumbent().clone());
                let outcome = format!("{candidate} stood its trial until the next version came");
                (What::Promoted, "the next version came".to_owned(), outcome)
            }
        };
        self.record(Event::new(step, what, Reason::automatic(reason), &outcome), candidacy).await;
    }

    /// Ends the trial of a step because somebody says so.
    pub async fn settle(&self, step: &str, promote: bool, reason: Reason) -> Result<String> {
        let none = || Error::invalid(format!("nothing is on trial in step {step}"));
        let mut turn = self.turn().await?;
        let candidacy = self.swapper.trial(step).await?.ok_or_else(none)?;
        let (point, rewind) = match (promote, candidacy.mode()) {
            (true, Mode::Shadow) => self.rewind_point().await,
            _ => (None, String::new()),
        };
        let swapped = self.swapper.settle(&candidacy, promote).await?.ok_or_else(none)?;
        self.conclude(&mut turn, step, &candidacy);
        let candidate = words::version(candidacy.candidate());
        let (what, done) = match promote {
            true => {
                self.remember(step, candidacy.incumbent().clone());
                (What::Promoted, format!("{candidate} stays{}", words::migration(swapped.migration.as_ref())))
            }
            false => (What::Aborted, format!("{} goes on alone", words::version(candidacy.incumbent()))),
        };
        let report = words::report(&candidacy.report());
        let event = Event { point, ..Event::new(step, what, reason, &done) };
        self.record(event, &candidacy).await;
        Ok(format!("step {step}: {done}; {}{rewind}\n{report}", words::pause(&swapped)))
    }

    /// How the trial of a step stands.
    pub async fn trial(&self, step: &str) -> Result<String> {
        match self.swapper.trial(step).await? {
            Some(candidacy) => Ok(words::trial(step, &candidacy)),
            None => {
                let running = self.swapper.running(step).await?;
                Ok(format!("step {step}: {} runs, nothing is on trial", words::version(&running)))
            }
        }
    }

    async fn record(&self, event: Event, candidacy: &Candidacy) {
        let (candidate, incumbent) = (candidacy.candidate().plugin(), candidacy.incumbent().plugin());
        self.history.add(event.about(candidate.identity(), Some(incumbent.identity()))).await;
    }
}
