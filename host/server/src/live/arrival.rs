//! A version on its way into a running job: it is loaded, its component kept, and then let in when it is its turn.

use super::history::Reason;
use super::turn::{Entrant, Turn};
use super::{Change, Components, Entry, Live, Settings, words};
use crate::job;
use crate::job::diff::{self, Reach};
use crate::log::carried;
use crate::pins;
use crate::report::{self, Style};
use miette::Severity;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use tracing::Instrument;
use wasmill_engine::{Candidacy, Mode};
use wasmill_plugin::Grants;
use wasmill_stream::plugin::Version;
use wasmill_stream::{Error, Result};

/// A version that has been loaded and waits to be let in.
pub(super) struct Arrival {
    pub(super) step: String,
    pub(super) version: Version,
    /// The job file as it was read for it.
    pub(super) settings: Arc<Settings>,
    /// What is approved for it.
    pub(super) approved: Grants,
    /// Whether it is the component that the job file names.
    pub(super) is_declared: bool,
    pub(super) entry: Entry,
    pub(super) reason: Reason,
}

impl Live {
    /// Loads a version as a job file says. Its component is kept before it runs: no checkpoint may name one that is not.
    pub(super) async fn load(&self, settings: Arc<Settings>, change: Change) -> Result<Arrival> {
        let (step, reason, entry) = (change.step.clone(), change.reason.clone(), change.entry);
        let approved = self.approved(&step).and(change.grants);
        let is_declared = settings.uses().origins.get(&step).is_some_and(|origin| origin.is_same(&change.plugin));
        let loading = {
            let settings = settings.clone();
            spawn_blocking(carried(move || settings.load(&change, approved)))
        };
        match loading.await.map_err(|error| Error::internal(format!("load a plugin: {error}"))).flatten() {
            Ok((version, components)) => {
                let kept = match &self.store {
                    Some(store) => pins::keep(&**store, &components).await,
                    None => Ok(()),
                };
                match kept {
                    Ok(()) => Ok(Arrival { step, version, settings, approved, is_declared, entry, reason }),
                    Err(error) => {
                        Err(self.refuse(&step, Some(&version), reason, error.context("keep the component")).await)
                    }
                }
            }
            Err(error) => Err(self.refuse(&step, None, reason, error).await),
        }
    }

    /// Lets in what has been loaded.
    pub(super) async fn let_in(&self, turn: &mut Turn, arrival: Arrival) -> Result<String> {
        match self.enter(turn, &arrival).await {
            Ok(done) => {
                self.approve(&arrival.step, arrival.approved);
                Ok(done)
            }
            Err(error) => {
                let Arrival { step, version, reason, .. } = arrival;
                Err(self.refuse(&step, Some(&version), reason, error).await)
            }
        }
    }
}

impl Arrival {
    /// As a version on trial.
    pub(super) fn on_trial(&self, candidacy: Arc<Candidacy>) -> Entrant {
        Entrant { candidacy, settings: self.settings.clone(), is_declared: self.is_declared }
    }

    /// Whether this very version is on trial already, which is all that is wanted then. It must not become its own incumbent: it
    /// would count as proven.
    pub(super) fn is_on_trial(&self, turn: &Turn, mode: Mode) -> Result<Option<String>> {
        let Self { step, version, settings, .. } = self;
        let is_it = |entrant: &&Entrant| {
            let candidate = entrant.candidacy.candidate().plugin().identity();
            candidate.digest == version.plugin().identity().digest
                && entrant.settings.agrees(settings, step)
                && entrant.candidacy.failure().is_none()
        };
        let Some(entrant) = turn.entrants.get(step).filter(is_it) else { return Ok(None) };
        let there = entrant.candidacy.mode();
        let done = format!("step {step}: {} is on trial already, {}", words::version(version), words::mode(there));
        match there == mode {
            true => Ok(Some(done)),
            false => Err(Error::invalid(done).hint("end that first: --promote lets it take over, --abort does not")),
        }
    }
}

impl Settings {
    /// Whether another job file says the same of the plugin of a step.
    fn agrees(&self, other: &Self, step: &str) -> bool {
        let of_step = |difference: &diff::Difference| difference.reach() == Reach::Plugin(step.to_owned());
        diff::diff(self.file.text(), other.file.text()).is_ok_and(|differences| !differences.iter().any(of_step))
    }

    /// Builds the plugin if it is a source folder, compiles it, and has it judge the settings of the step.
    fn load(&self, change: &Change, approved: Grants) -> Result<(Version, Components)> {
        let Change { step, plugin, given, .. } = change;
        let mut plugins = (self.plugins)()?;
        if let Some(given) = given {
            plugins.supply(plugin.clone(), given.clone());
        }
        let version = job::replacement(&self.file, &self.parameters, &mut plugins, step, plugin, approved);
        let version = version.map_err(|problems| {
            let drawn = report::draw(&self.file, &problems, Severity::Error, Style::Plain);
            Error::invalid(format!("step {step}: {plugin} does not fit:\n{drawn}"))
        })?;
        Ok((version, plugins.components().clone()))
    }
}

/// Does something that must not stop half-way, whoever has asked for it may go.
pub(super) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work.in_current_span())
        .await
        .map_err(|error| Error::internal(format!("change a running job: {error}")))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    /// Whoever asked for a change goes while it is under way → it is done all the same.
    #[tokio::test]
    async fn a_change_outlives_whoever_asked_for_it() {
        let (go, begun) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let asked = tokio::spawn(to_its_end(async move {
            begun.await.map_err(|_| Error::internal("nobody has said so"))?;
            done.send(()).map_err(|()| Error::internal("nobody listens"))
        }));
        tokio::task::yield_now().await;
        asked.abort();
        assert!(asked.await.expect_err("it was aborted").is_cancelled());
        go.send(()).expect("it goes on");
        is_done.await.expect("it was done");
    }
}
