//! Another job file for a job that runs: plugins and their settings are swapped; for anything else the job goes on from a
//! checkpoint, as the new file says. All of it, or nothing.

use super::arrival::Arrival;
use super::hand_over::HandOver;
use super::history::{Event, Reason, What};
use super::{Change, Entry, Live, Settings};
use crate::job::diff::{self, Difference, Reach};
use crate::job::{self, Job, JobFile};
use crate::log::carried;
use crate::pins::{self, Kept};
use crate::report::{self, Style};
use miette::Severity;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use wasmill_engine::{Journal, fits};
use wasmill_plugin::Grants;
use wasmill_stream::checkpoint::{Kind, Manifest};
use wasmill_stream::{Error, Result};

/// What came of another job file.
pub enum Applied {
    /// It is done.
    Done(String),
    /// The job has to be stopped and started.
    HandOver(Box<HandOver>),
}

/// What a step runs, as long as nobody swaps it.
struct Running {
    digest: String,
    /// Whether it is on trial as the component that the job file names.
    is_filed: bool,
}

impl Live {
    /// Applies the job file as it is now.
    pub async fn apply(&self, reason: Reason) -> Result<Applied> {
        let _turn = self.file_turn().await?;
        let before = self.settings();
        let file = JobFile::read(before.file.path())?;
        let differences = diff::diff(before.file.text(), file.text())?;
        if differences.is_empty() {
            return Ok(Applied::Done("nothing has changed in the job file".into()));
        }
        for difference in &differences {
            if let Reach::Never(way) = difference.reach() {
                return Err(Error::invalid(format!("{difference}: that cannot change while the job runs")).hint(way));
            }
        }
        let settings = Arc::new(before.reading(file));
        let job = examined(settings.clone()).await?;
        let settings = Arc::new(Settings { swap: job.swap, ..before.reading(job.file.clone()) });
        match diff::plugins(&differences) {
            Some(steps) => self.swap_all(settings, &steps, &differences, reason).await.map(Applied::Done),
            None => self.hand_over(job, &differences).await,
        }
    }

    /// Swaps the plugins of these steps, or none.
    async fn swap_all(
        &self,
        settings: Arc<Settings>,
        steps: &[String],
        differences: &[Difference],
        reason: Reason,
    ) -> Result<String> {
        let (arrivals, mut turn) = loop {
            let (arrivals, running) = self.load_all(&settings, steps, differences, &reason).await?;
            let turn = self.turn().await?;
            let mut is_as_it_was = true;
            for (step, running) in running {
                is_as_it_was &= self.digest(step).await? == running.digest;
            }
            // Else somebody has swapped one of them while they were loaded, which stays.
            if is_as_it_was {
                break (arrivals, turn);
            }
        };
        let before = self.replace_settings(settings);
        let mut done: Vec<(String, Option<String>, String)> = Vec::new();
        for arrival in arrivals {
            let (step, declared) = (arrival.step.clone(), self.declared.get(&arrival.step));
            match self.let_in(&mut turn, arrival).await {
                Ok(swapped) => done.push((step, declared, swapped)),
                Err(error) => {
                    self.replace_settings(before);
                    for (step, declared, _) in done.iter().rev() {
                        let why = Reason::automatic("another change of the same job file was refused");
                        if let Err(error) = self.put_back(&mut turn, step, why).await {
                            self.note(&format!("step {step} keeps the new version: {}", error.report()));
                        }
                        // The file was not applied: what it names has never come.
                        if let Some(declared) = declared {
                            self.declared.set(step, declared);
                        }
                    }
                    return Err(error);
                }
            }
        }
        let lines =
            differences.iter().map(Difference::to_string).chain(done.into_iter().map(|(_, _, swapped)| swapped));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Loads what comes into these steps. Returns with it what those run of which only settings change: these keep it.
    async fn load_all<'s>(
        &self,
        settings: &Arc<Settings>,
        steps: &'s [String],
        differences: &[Difference],
        reason: &Reason,
    ) -> Result<(Vec<Arrival>, Vec<(&'s str, Running)>)> {
        let (mut arrivals, mut kept) = (Vec::new(), Vec::new());
        let mut origins = settings.uses().origins;
        for step in steps {
            // One of the old file that has no plugin any more is no change of a plugin.
            let Some(mut plugin) = origins.remove(step) else { continue };
            let (mut given, mut grants) = (None, Grants::default());
            if !differences.iter().any(|difference| difference.is_of_component(step)) {
                let running = self.running(step).await?;
                if let Some(swapped_in) = self.swapped_in(step, &running).await? {
                    (plugin, given, grants) = (pins::swapped_in(), Some(swapped_in.given), swapped_in.grants);
                }
                kept.push((step.as_str(), running));
            }
            let (step, reason, entry) = (step.clone(), reason.clone(), Entry::TAKE_OVER);
            let change = Change { step, plugin, given, grants, entry, reason };
            arrivals.push(self.load(settings.clone(), change).await?);
        }
        Ok((arrivals, kept))
    }

    /// What a step runs.
    async fn running(&self, step: &str) -> Result<Running> {
        let turn = self.turn().await?;
        // One on trial is not declared yet.
        let is_filed = turn.entrants.get(step).is_some_and(|entrant| entrant.is_declared);
        Ok(Running { digest: self.digest(step).await?, is_filed })
    }

    /// The component that a step runs, if it was swapped in and the job file names another one. A job that keeps none has only
    /// the one that its file names.
    async fn swapped_in(&self, step: &str, running: &Running) -> Result<Option<Kept>> {
        let Some(store) = &self.store else { return Ok(None) };
        let Running { digest, is_filed } = running;
        if *is_filed || self.declared(step).is_none_or(|declared| declared == *digest) {
            return Ok(None);
        }
        let kept = pins::find(&**store, digest).await?.ok_or_else(|| {
            Error::invalid(format!(
                "step {step} runs {digest:.12}, which was swapped in, and {} has it no more",
                store.place()
            ))
            .hint("`wasmill swap JOB STEP FILE` brings a component that is there, then its settings can change")
        })?;
        Ok(Some(kept))
    }

    async fn hand_over(&self, job: Job, differences: &[Difference]) -> Result<Applied> {
        let changes: Vec<String> = differences.iter().map(Difference::to_string).collect();
        let Some(store) = &self.store else {
            let message = format!("{}: that needs a checkpoint, and the job keeps none", changes.join("; "));
            return Err(Error::invalid(message).hint("add a table [checkpoint] and start the job again"));
        };
        if job.checkpoint.is_none() {
            return Err(Error::invalid("the new job file has no [checkpoint] to go on from"));
        }
        let newest = Journal::new(store.clone()).newest().await?;
        let newest = newest.ok_or_else(|| Error::unavailable("there is no checkpoint yet: try again"))?;
        // Sinks commit everything before they go, and what was swapped in is put back.
        let mut settled = Manifest { kind: Kind::Stop, ..newest };
        for (step, mark) in &mut settled.steps {
            let plugin = settled.plugins.get(step);
            if plugin.is_some_and(|plugin| plugin.declared.is_some() && plugin.declared == job.declared.get(step)) {
                mark.state_version = 0;
            }
        }
        if let Err(error) = fits(&settled, &job.name, &job.graph) {
            return Err(error.context(changes.join("; ")));
        }
        self.leave().await?;
        Ok(Applied::HandOver(Box::new(HandOver::to_file(job, changes))))
    }

    /// A change that was refused, for the history.
    pub async fn refuse_file(&self, reason: Reason, error: &Error) {
        self.history.add(Event::new("(job file)", What::Refused, reason, error.report())).await;
    }
}

/// The job that a file describes, with its plugins.
pub(super) async fn examined(settings: Arc<Settings>) -> Result<Job> {
    let examine = move || {
        let mut plugins = (settings.plugins)()?;
        let examined = job::examine(&settings.file, &settings.parameters, &mut plugins);
        examined.job.ok_or_else(|| {
            let drawn = report::draw(&settings.file, &examined.problems, Severity::Error, Style::Plain);
            Error::invalid(format!("the job file has problems:\n{drawn}"))
        })
    };
    spawn_blocking(carried(examine)).await.map_err(|error| Error::internal(format!("read the job file: {error}")))?
}
