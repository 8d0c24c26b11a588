//! One operator on its way along the revisions.

use super::revision::{Revision, Revisions};
use super::takeover::Takeover;
use crate::operator::Epoch;
use crate::plan::Plan;
use std::sync::Arc;
use std::time::Instant;
use wasmill_stream::plugin::Logic;
use wasmill_stream::{Error, Result};

/// A step whose plugin can be replaced.
pub trait Swappable {
    /// Rows are laid out like this from now on. The version that runs stays the same.
    fn lay_out(&mut self, plan: &Arc<Plan>) -> Result<()>;

    /// Gets ready to run another version. What runs and its state stay as they are.
    fn try_on(&mut self, takeover: &Takeover, logic: Logic) -> Result<()>;

    /// Runs what it has tried on, or drops it.
    fn decide(&mut self, taken: bool);
}

/// Knows at which revision one operator is.
pub struct Follower {
    node: usize,
    at: Arc<Revision>,
    /// Since when it has been ready for the next one, and waits for other workers.
    ready: Option<Instant>,
    /// Whether the version of the next one runs already.
    ahead: bool,
}

impl Follower {
    /// Begins with the newest revision.
    pub fn new(revisions: &Revisions, node: usize) -> Self {
        Self { node, at: revisions.newest(), ready: None, ahead: false }
    }

    /// Whose operator it is.
    pub fn node(&self) -> usize {
        self.node
    }

    /// The plan whose layout rows have now.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.at.plan
    }

    /// The first epoch of the next revision, if there is one: its rows wait until the operator has moved on.
    pub fn bound(&self) -> Option<Epoch> {
        self.at.next().map(|next| next.from)
    }

    /// Whether rows of an epoch have to wait.
    pub fn bars(&self, epoch: Epoch) -> bool {
        self.bound().is_some_and(|bound| bound <= epoch)
    }

    /// Moves on to the next revision; the operator has done with all epochs before. `false`: other workers have to say
    /// first whether they can, ask again soon. At the end of the job nobody waits for them.
    pub fn advance(&mut self, step: &mut impl Swappable, at_the_end: bool) -> Result<bool> {
        let Some(next) = self.at.next().cloned() else { return Ok(true) };
        let takeover = next.takeover.as_ref().filter(|takeover| takeover.node == self.node);
        if self.ready.is_none() {
            self.ready = Some(Instant::now());
            step.lay_out(&next.plan)?;
            if let Some(takeover) = takeover.filter(|_| !self.ahead) {
                let tried = takeover.instance().and_then(|logic| step.try_on(takeover, logic));
                takeover.vote(tried)?;
            }
        }
        if let Some(takeover) = takeover.filter(|_| !self.ahead) {
            if at_the_end && takeover.decision().is_none() {
                takeover.refuse(&Error::closed("the job has ended before"));
            }
            let Some(taken) = takeover.decision() else { return Ok(false) };
            step.decide(taken);
            takeover.settle(self.ready.map(|since| since.elapsed()).unwrap_or_default());
        }
        (self.at, self.ready, self.ahead) = (next, None, false);
        Ok(true)
    }

    /// The step pauses because its plugin fails. Another version that takes over soon, and that can do with the rows as they
    /// are now, takes over at once: it may be the cure. Tells whether it has.
    pub fn hurry(&mut self, step: &mut impl Swappable) -> Result<bool> {
        let Some(next) = self.at.next().filter(|_| !self.ahead && self.ready.is_none()) else { return Ok(false) };
        let takeover = next.takeover.as_ref().filter(|takeover| takeover.node == self.node && !takeover.is_voted_on());
        let Some(takeover) = takeover else { return Ok(false) };
        if step.try_on(takeover, takeover.instance()?).is_err() {
            return Ok(false);
        }
        step.decide(true);
        takeover.settle(std::time::Duration::ZERO);
        self.ahead = true;
        Ok(true)
    }
}
