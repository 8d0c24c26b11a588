//! Replacing the plugin of a step while the job runs. A version that fits is instantiated for every worker beside the
//! running one, and each instance answers a [`probe`] call without rows; then a [`Revision`] says from which epoch on it runs. Rows of earlier epochs are the old version's, rows of
//! later ones the new one's, on every worker. Nothing of the dataflow is rebuilt and no state moves: it is the host's.
//!
//! A revision also says what rows carry, for the new version may want other fields. They carry what both versions need, so
//! that the old one can go on if the new one cannot take over, or come back later.
//!
//! States of an older version are rewritten at the epoch, by all workers before any of them goes on. If one cannot, all
//! stay with the old version.

mod follower;
mod migration;
mod probe;
mod revision;
mod rewrite;
mod takeover;

pub use follower::{Follower, Swappable};
pub use migration::{Migration, rewritten};
pub use probe::warmed;
pub use revision::{PluginsAt, Revisions, Runs};
pub use rewrite::Rewrite;
pub use takeover::Takeover;

use crate::candidate::{Bounds, Candidacy, Half, Mode};
use crate::plan::{Plan, PlanNode};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::Span;
use wasmill_stream::plugin::{Identity, Logic, Version};
use wasmill_stream::{Error, Result};

/// How long a version may take until it has taken over on all workers, from the moment when it is ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Replaces plugins of a running job, one at a time.
#[derive(Clone)]
pub struct Swapper {
    revisions: Revisions,
    workers: usize,
    /// The trials that are under way. Whoever holds them has the turn.
    trials: Arc<tokio::sync::Mutex<Trials>>,
    /// Whether the workers have ended.
    ended: watch::Receiver<bool>,
    patience: Duration,
}

/// Trials by node, as the newest revision has them.
type Trials = HashMap<usize, Arc<Candidacy>>;

/// A version that has taken over, or is about to.
#[derive(Debug, Clone)]
pub struct Swapped {
    /// What ran before.
    pub before: Identity,
    /// The longest that a worker stood still for it.
    pub pause: Duration,
    /// From the moment when it was ready until it ran on all workers.
    pub took: Duration,
    /// Whether workers stand still that do not run it yet. They will, as soon as they get on.
    pub is_pending: bool,
    /// How states were rewritten, if they had to be.
    pub migration: Option<Migration>,
    /// The trial that was under way until then, if another version than the two of it has ended it.
    pub outlived: Option<Arc<Candidacy>>,
}

impl Swapper {
    /// Replaces plugins by these revisions, until `ended` says that there are no workers any more.
    pub fn new(revisions: Revisions, workers: usize, ended: watch::Receiver<bool>) -> Self {
        let nodes = revisions.newest().plan.clone();
        let trials = nodes.nodes.iter().enumerate().filter_map(|(index, node)| Some((index, node.trial.clone()?)));
        let trials = Arc::new(tokio::sync::Mutex::new(trials.collect()));
        Self { revisions, workers, trials, ended, patience: PATIENCE }
    }

    /// The same, which waits so long for a version to take over on all workers.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The plugin of a step whose answers count, and whatever runs when no other one takes over at the moment. During a
    /// shadow or a canary it is the incumbent, and after a failure.
    pub async fn running(&self, step: &str) -> Result<Version> {
        let trials = self.trials.lock().await;
        let plan = &self.revisions.newest().plan;
        let index = find(plan, step)?;
        match trials.get(&index) {
            Some(trial) if matches!(trial.mode(), Mode::Probation | Mode::Transition) && trial.failure().is_none() => {
                Ok(trial.candidate().clone())
            }
            Some(trial) => Ok(trial.incumbent().clone()),
            None => version(&plan.nodes[index]),
        }
    }

    /// The trial that is under way in a step.
    pub async fn trial(&self, step: &str) -> Result<Option<Arc<Candidacy>>> {
        let trials = self.trials.lock().await;
        let index = find(&self.revisions.newest().plan, step)?;
        Ok(trials.get(&index).cloned())
    }

    /// All trials that are under way, by step.
    pub async fn trials(&self) -> Vec<(String, Arc<Candidacy>)> {
        let trials = self.trials.lock().await;
        let plan = &self.revisions.newest().plan;
        trials.iter().map(|(&index, trial)| (plan.nodes[index].name.to_string(), trial.clone())).collect()
    }

    /// Resolves when the incumbent of a trial has no windows left to close. Only in a transition it has any.
    pub async fn closed(&self, trial: &Candidacy) {
        trial.closed(self.workers).await;
    }

    /// Replaces the plugin of a step, or the decoder of a source. Returns when it runs on all workers, or will as soon as they
    /// get on. After an error the version before runs on.
    pub async fn swap(&self, step: &str, version: Version) -> Result<Swapped> {
        let mut trials = self.trials.lock().await;
        let index = find(&self.revisions.newest().plan, step)?;
        let incumbent = self.incumbent(&trials, index)?;
        self.check(index, &incumbent, &version)?;
        let swapped = self.install(&mut trials, index, version, None, (Half::Incumbent, warmed)).await?;
        Ok(Swapped { before: incumbent.plugin().identity().clone(), ..swapped })
    }

    /// The same, and the version before stays ready: the new one is on trial until the trial is settled. One that was on
    /// probation before, and shares its state with the version before it, has then proven itself.
    pub async fn try_out(
        &self,
        step: &str,
        version: Version,
        mode: Mode,
        bounds: Bounds,
    ) -> Result<(Arc<Candidacy>, Swapped)> {
        let mut trials = self.trials.lock().await;
        let plan = self.revisions.newest().plan.clone();
        let index = find(&plan, step)?;
        let incumbent = self.incumbent(&trials, index)?;
        self.check(index, &incumbent, &version)?;
        if mode == Mode::Transition && !matches!(version, Version::Aggregate(_)) {
            let kind = version.kind();
            return Err(Error::invalid(format!("step {step} runs plugins of world `{kind}`, and has no windows"))
                .hint("only aggregations have windows that the version before could close: leave that out here"));
        }
        let before = incumbent.plugin().identity().clone();
        let candidacy = Candidacy::new(&plan.nodes[index], incumbent, version, mode, bounds);
        let (version, trial) = (candidacy.version(), Some(candidacy.clone()));
        let both = (Half::Incumbent, Version::instantiate as fn(&Version) -> _);
        let swapped = self.install(&mut trials, index, version, trial, both).await?;
        Ok((candidacy, Swapped { before, ..swapped }))
    }

    /// Ends a trial: the candidate takes over for good, or the incumbent goes on alone. `None` if it has ended before. After an
    /// error it goes on; a candidate that has failed does not take over.
    pub async fn settle(&self, candidacy: &Arc<Candidacy>, promote: bool) -> Result<Option<Swapped>> {
        let mut trials = self.trials.lock().await;
        let is_it = |(_, trial): &(&usize, &Arc<Candidacy>)| Arc::ptr_eq(trial, candidacy);
        let Some(index) = trials.iter().find(is_it).map(|(index, _)| *index) else { return Ok(None) };
        let (version, half) = match promote {
            true => (candidacy.candidate(), Half::Candidate),
            false => (candidacy.incumbent(), Half::Incumbent),
        };
        // Both have proven that they answer, and to go back must always be possible.
        let made = (half, Version::instantiate as fn(&Version) -> _);
        let swapped = self.install(&mut trials, index, version.clone(), None, made).await?;
        let before = candidacy.incumbent().plugin().identity().clone();
        Ok(Some(Swapped { before, outlived: None, ..swapped }))
    }

    /// The version that another one would replace.
    fn incumbent(&self, trials: &Trials, index: usize) -> Result<Version> {
        let plan = &self.revisions.newest().plan;
        let node = &plan.nodes[index];
        let Some(trial) = trials.get(&index) else { return version(node) };
        match (trial.failure(), trial.shares_state()) {
            (None, true) => Ok(trial.candidate().clone()),
            (Some(_), true) => Ok(trial.incumbent().clone()),
            _ => {
                let (name, candidate) = (&node.name, trial.candidate().plugin().identity());
                let how = match trial.mode() {
                    Mode::Transition => "takes over window by window",
                    _ => "is on trial",
                };
                let message = format!("{} {} {how} in step {name}", candidate.name, candidate.version);
                Err(Error::invalid(message).hint("end that first: --promote lets it take over, --abort does not"))
            }
        }
    }

    /// Whether a version fits into a node in the place of another one.
    fn check(&self, index: usize, incumbent: &Version, version: &Version) -> Result<()> {
        check(&self.revisions.newest().plan, index, incumbent, version)
    }

    /// Makes a version run in a node, which ends the trial there. `candidacy`: the version is the two of this one. `half`: what
    /// stays of states of two versions. `make`: how an instance is made, beside the workers.
    async fn install(
        &self,
        trials: &mut Trials,
        index: usize,
        version: Version,
        candidacy: Option<Arc<Candidacy>>,
        (half, make): (Half, fn(&Version) -> Result<Logic>),
    ) -> Result<Swapped> {
        self.unless_ended(self.revisions.are_built(self.workers)).await?;
        let newest = self.revisions.newest();
        let node = &newest.plan.nodes[index];
        let (before, trial) = (self::version(node)?, node.trial.clone());
        let instances = {
            let (version, workers) = (version.clone(), self.workers);
            let span = Span::current();
            let instantiate =
                move || span.in_scope(|| (0..workers).map(|_| make(&version)).collect::<Result<Vec<_>>>());
            spawn_blocking(instantiate).await.map_err(|error| Error::internal(format!("instantiate: {error}")))??
        };
        // Calls that are under way may still fail; from here on nobody waits for anything.
        let failure = trials.get(&index).filter(|_| half == Half::Candidate).and_then(|ended| ended.failure());
        if let Some(failure) = failure {
            let message = format!("step {}: the version on trial has failed: {failure}", node.name);
            return Err(Error::invalid(message).hint("--abort puts the version before back"));
        }
        let begun = Instant::now();
        let goes_on_with = match &candidacy {
            Some(trial) if trial.adopts().is_none() => trial.incumbent(),
            Some(trial) => trial.candidate(),
            None => &version,
        };
        let goes_on_with = goes_on_with.plugin().state_version();
        let takeover = Arc::new(Takeover::new(index, node, version.clone(), (half, goes_on_with), instances));
        let plan = newest.plan.revised(|nodes| {
            nodes[index].reserve = vec![before.clone()];
            nodes[index].install(version);
            nodes[index].trial = candidacy.clone();
        });
        let step = &node.name;
        node.list(candidacy.as_ref().map_or(&takeover.version, |trial| trial.candidate()));
        // From here on it is what runs, whether anybody waits for it or not.
        let outlived = match candidacy {
            Some(trial) => trials.insert(index, trial),
            None => trials.remove(&index),
        };
        self.revisions.publish(plan, Some(takeover.clone()));
        let settled = self.unless_ended(tokio::time::timeout(self.patience, takeover.settled())).await?;
        if settled.is_err() {
            let late =
                Error::unavailable(format!("step {step} has not come to its next epoch within {:?}", self.patience));
            takeover.refuse(&late);
        }
        let outcome = takeover.course();
        if let Some(refusal) = outcome.refused {
            // What all rows carry stays as it is: it is enough for the version before.
            let plan = self.revisions.newest().plan.revised(|nodes| {
                nodes[index].install(before);
                nodes[index].trial = trial;
                nodes[index].reserve.clear();
            });
            self.revisions.publish(plan, None);
            match outlived {
                Some(trial) => trials.insert(index, trial),
                None => trials.remove(&index),
            };
            return Err(refusal.error().context(format!("step {step}")));
        }
        Ok(Swapped {
            before: before.plugin().identity().clone(),
            pause: outcome.pause,
            took: begun.elapsed(),
            is_pending: outcome.settled < self.workers,
            migration: outcome.migration,
            outlived,
        })
    }

    /// An error if the job ends first.
    async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let mut ended = self.ended.clone();
        tokio::select! {
            done = work => Ok(done),
            _ = ended.wait_for(|ended| *ended) => Err(Error::closed("the job has ended")),
        }
    }
}

fn find(plan: &Plan, step: &str) -> Result<usize> {
    let found = plan.nodes.iter().position(|node| &*node.name == step);
    found.ok_or_else(|| {
        let with_plugin = plan.nodes.iter().filter(|node| node.plugin().is_some()).map(|node| &*node.name);
        let names = Vec::from_iter(with_plugin).join(", ");
        Error::invalid(format!("there is no step {step}")).hint(format!("steps with a plugin: {names}"))
    })
}

/// The plugin of a node.
fn version(node: &PlanNode) -> Result<Version> {
    node.version().ok_or_else(|| Error::invalid(format!("{} has no plugin", node.name)))
}

/// Whether a version fits into a node in the place of another one.
fn check(plan: &Plan, index: usize, before: &Version, version: &Version) -> Result<()> {
    let node = &plan.nodes[index];
    let name = &node.name;
    let (now, new) = (before.plugin(), version.plugin());
    if before.kind() != version.kind() {
        let (is, wanted) = (version.kind(), before.kind());
        return Err(Error::invalid(format!(
            "step {name} runs plugins of world `{wanted}`, and this is one of world `{is}`"
        ))
        .hint("stop the job and start it with a job file that says so"));
    }
    let (there, knows) = (now.state_version(), new.state_version());
    if node.shape().is_some() && knows < there {
        return Err(Error::invalid(format!(
            "the state of step {name} has version {there}, and this plugin knows only up to {knows}"
        ))
        .hint("stop the job; `wasmill checkpoint restore` goes back to a checkpoint with the older state"));
    }
    sides(plan, index, before, version)
}

/// Whoever reads a side output reads it by its number.
fn sides(plan: &Plan, index: usize, before: &Version, version: &Version) -> Result<()> {
    let node: &PlanNode = &plan.nodes[index];
    for (number, side) in (0..).zip(&before.plugin().needs().sides) {
        let is_read = node.emits(crate::graph::Port::Side(number)).is_some();
        let new = version.plugin().needs().sides.get(number as usize);
        if is_read && new.is_none_or(|new| new.name != side.name) {
            let has = match new {
                Some(new) => format!("its output number {number} is `{}`", new.name),
                None => format!("it has {} side outputs", version.plugin().needs().sides.len()),
            };
            let (step, side) = (&node.name, &side.name);
            return Err(Error::invalid(format!("`{step}.{side}` is read, and {has}"))
                .hint("keep the outputs that are read in their places, and add new ones behind them"));
        }
    }
    Ok(())
}
