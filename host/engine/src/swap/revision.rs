//! Which plan holds from which epoch on. Revisions are a chain: each operator stands at one of them and moves on to the next
//! when it has done with all epochs before; what all have left is forgotten.

use super::takeover::Takeover;
use crate::candidate::{Candidacy, Mode};
use crate::epoch::EpochClock;
use crate::operator::Epoch;
use crate::plan::{Plan, PlanNode};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;
use wasmill_stream::plugin::Version;

/// A plan and since when it holds.
pub struct Revision {
    /// The first epoch whose rows have its layout.
    pub from: Epoch,
    /// The job.
    pub plan: Arc<Plan>,
    /// The version that takes over with it.
    pub takeover: Option<Arc<Takeover>>,
    next: OnceLock<Arc<Revision>>,
}

impl Revision {
    /// The revision after it, if there is one.
    pub fn next(&self) -> Option<&Arc<Revision>> {
        self.next.get()
    }
}

/// The revisions of a job. Shared: clones are the same chain.
#[derive(Clone)]
pub struct Revisions {
    clock: Arc<EpochClock>,
    newest: Arc<Mutex<Arc<Revision>>>,
    /// How many workers have built their operators, which begin with the first revision.
    built: watch::Sender<usize>,
}

impl Revisions {
    /// The plan that a job starts with.
    pub fn new(clock: Arc<EpochClock>, plan: Arc<Plan>) -> Self {
        let first = Revision { from: 0, plan, takeover: None, next: OnceLock::new() };
        Self { clock, newest: Arc::new(Mutex::new(Arc::new(first))), built: watch::Sender::new(0) }
    }

    /// A worker has built its operators.
    pub fn worker_is_built(&self) {
        self.built.send_modify(|built| *built += 1);
    }

    /// Resolves when so many workers have. Nothing is published before.
    pub async fn are_built(&self, workers: usize) {
        // It cannot be closed while somebody waits for it here.
        let _ = self.built.subscribe().wait_for(|built| *built == workers).await;
    }

    /// The newest one. Operators may not have come to it yet.
    pub fn newest(&self) -> Arc<Revision> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a plan hold from the epoch after the open one on.
    pub fn publish(&self, plan: Plan, takeover: Option<Arc<Takeover>>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let publish = |from| {
            let revision = Arc::new(Revision { from, plan: Arc::new(plan), takeover, next: OnceLock::new() });
            // The newest one has no next: it is set here only, and the newest is replaced at once.
            let _ = newest.next.set(revision.clone());
            revision
        };
        let revision = self.clock.before_next(publish);
        *newest = revision;
    }
}

/// Which version of each node's plugin runs behind a barrier.
pub struct PluginsAt {
    at: Arc<Revision>,
    running: Vec<Option<Runs>>,
}

/// What a node goes on with after a restart.
#[derive(Clone)]
pub struct Runs {
    /// Its plugin. A trial does not survive a restart: of two versions it is the incumbent.
    pub version: Version,
    /// The transition that it is the incumbent of. That does survive.
    transition: Option<Arc<Candidacy>>,
}

impl Runs {
    fn of(node: &PlanNode, version: Option<Version>) -> Option<Self> {
        let Some(trial) = &node.trial else { return Some(Self { version: version?, transition: None }) };
        let transition = Some(trial.clone()).filter(|trial| trial.mode() == Mode::Transition);
        Some(Self { version: trial.incumbent().clone(), transition })
    }

    /// The version that takes over from it when it has closed its windows, unless that has failed.
    pub fn successor(&self) -> Option<&Version> {
        let transition = self.transition.as_ref().filter(|transition| transition.failure().is_none());
        transition.map(|transition| transition.candidate())
    }
}

impl PluginsAt {
    /// Those that the job begins with.
    pub fn new(revisions: &Revisions) -> Self {
        let at = revisions.newest();
        let running = at.plan.nodes.iter().map(|node| Runs::of(node, node.version())).collect();
        Self { at, running }
    }

    /// Passes a barrier that all operators have passed, so that all before it is decided.
    pub fn pass(&mut self, barrier: Epoch) {
        while let Some(next) = self.at.next().filter(|next| next.from <= barrier).cloned() {
            if let Some(takeover) = next.takeover.as_ref().filter(|takeover| takeover.decision() == Some(true)) {
                let node = &next.plan.nodes[takeover.node];
                self.running[takeover.node] = Runs::of(node, Some(takeover.version.clone()));
            }
            self.at = next;
        }
    }

    /// By node.
    pub fn running(&self) -> &[Option<Runs>] {
        &self.running
    }
}
