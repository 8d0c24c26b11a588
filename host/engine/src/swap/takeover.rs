//! One version of a plugin takes the place of another one, on every worker at the first row of the same epoch.

use super::{Migration, Rewrite};
use crate::candidate::{Half, PAIRED};
use crate::plan::{PlanKind, PlanNode};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use wasmill_stream::plugin::{Logic, Version};
use wasmill_stream::process::Order;
use wasmill_stream::{Error, ErrorKind, Result};

/// A version on its way into a node, as all workers see it.
pub struct Takeover {
    /// The node.
    pub node: usize,
    /// The version.
    pub version: Version,
    /// What has to be done to the states that it finds; `None` if it understands them as they are.
    pub rewrite: Option<Rewrite>,
    /// The version of the states that its plugin, or its candidate, goes on with.
    goes_on_with: u32,
    /// Whether it takes over only if it can on all workers, because states have to be rewritten or rows wait in the step.
    is_voted_on: bool,
    workers: usize,
    /// Instances that were made before, one for each worker.
    instances: Mutex<Vec<Logic>>,
    course: watch::Sender<Course>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// Workers that are ready for it and wait for the others.
    ready: usize,
    /// Workers on which it runs, or will not.
    pub settled: usize,
    /// The longest that a worker has stood still for it.
    pub pause: Duration,
    /// Why it does not take over.
    pub refused: Option<Refusal>,
    /// How states were rewritten so far, if they have to be.
    pub migration: Option<Migration>,
}

/// Why a version does not take over.
#[derive(Debug, Clone)]
pub struct Refusal {
    kind: ErrorKind,
    reason: String,
}

impl Takeover {
    /// With instances for all workers. `before`: the node as it is now. `half`: what stays of states of two versions.
    pub fn new(
        node: usize,
        before: &PlanNode,
        version: Version,
        (half, goes_on_with): (Half, u32),
        instances: Vec<Logic>,
    ) -> Self {
        let was = before.plugin().filter(|_| before.shape().is_some()).map(|plugin| plugin.state_version());
        let rewrite = was.and_then(|was| Rewrite::between(was, half, version.plugin().state_version()));
        let rows_wait = matches!(before.kind, PlanKind::Process { order: Order::EventTime, .. });
        let is_voted_on = rewrite.is_some() || rows_wait;
        let (workers, course) = (instances.len(), watch::Sender::new(Course::default()));
        let instances = Mutex::new(instances);
        Self { node, version, rewrite, goes_on_with, is_voted_on, workers, instances, course }
    }

    /// The versions from and to which a plugin has to rewrite states, if it has to.
    pub fn versions(&self) -> Option<(u32, u32)> {
        let from = self.rewrite.and_then(Rewrite::from)?;
        (from != self.goes_on_with).then_some((from, self.goes_on_with))
    }

    /// Whether its version is two, of which the candidate rewrites states when it meets them.
    pub fn is_trial(&self) -> bool {
        self.version.plugin().state_version() & PAIRED != 0
    }

    /// A worker has rewritten its states.
    pub fn migrated(&self, migration: Migration) {
        self.course.send_modify(|course| {
            course.migration = Some(course.migration.map_or(migration, |others| others.and(migration)));
        });
    }

    /// How far it is.
    pub fn course(&self) -> Course {
        self.course.borrow().clone()
    }

    /// Resolves when it has run its course on all workers.
    pub async fn settled(&self) {
        // It cannot be closed while somebody waits for it here.
        let _ = self.course.subscribe().wait_for(|course| course.settled == self.workers).await;
    }

    /// Whether workers vote on it. If not, each takes over when it comes to the epoch.
    pub fn is_voted_on(&self) -> bool {
        self.is_voted_on
    }

    /// Calls it off, unless it is decided already.
    pub fn refuse(&self, error: &Error) {
        self.course.send_modify(|course| {
            if self.is_voted_on && course.ready < self.workers {
                let refusal = || Refusal { kind: error.kind(), reason: error.report() };
                course.refused.get_or_insert_with(refusal);
            }
        });
    }

    /// An instance for a worker.
    pub fn instance(&self) -> Result<Logic> {
        let made = self.instances.lock().unwrap_or_else(PoisonError::into_inner).pop();
        made.map_or_else(|| self.version.instantiate(), Ok)
    }

    /// What a node says to an instance of another kind.
    pub fn misfit(&self) -> Error {
        Error::internal(format!("a {} came to a node of another kind", self.version.kind()))
    }

    /// A worker is ready for it, or says why it cannot be. An error if nobody votes.
    pub fn vote(&self, ready: Result<()>) -> Result<()> {
        match ready {
            Ok(()) => self.course.send_modify(|course| course.ready += 1),
            Err(error) if self.is_voted_on => self.refuse(&error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether it runs; `None`: not all have said.
    pub fn decision(&self) -> Option<bool> {
        let course = self.course.borrow();
        match &course.refused {
            Some(_) => Some(false),
            None if self.is_voted_on => (course.ready == self.workers).then_some(true),
            None => Some(true),
        }
    }

    /// A worker has done with it, and has stood still so long for it.
    pub fn settle(&self, pause: Duration) {
        self.course.send_modify(|course| {
            course.settled += 1;
            course.pause = course.pause.max(pause);
        });
    }
}

impl Refusal {
    /// As an error.
    pub fn error(&self) -> Error {
        Error::new(self.kind, self.reason.clone())
    }
}
