//! One operator on its way along the revisions.

use super::revision::{Revision, Revisions};
use super::takeover::Takeover;
use crate::operator::Epoch;
use crate::plan::{Lens, Plan};
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// How many of the next takeovers in its node it has behind it already: the version of the last of these runs.
    ahead: usize,
    /// How often its states were rewritten.
    rewrites: u64,
}

impl Follower {
    /// Begins with the newest revision.
    pub fn new(revisions: &Revisions, node: usize) -> Self {
        Self { node, at: revisions.newest(), ready: None, ahead: 0, rewrites: 0 }
    }

    /// Whose operator it is.
    pub fn node(&self) -> usize {
        self.node
    }

    /// The plan whose layout rows have now.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.at.plan
    }

    /// How often the states of its operator were rewritten, all of them each time.
    pub fn rewrites(&self) -> u64 {
        self.rewrites
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
        let (takeover, ahead) = match self.own(&next) {
            Some(_) if self.ahead > 0 => (None, self.ahead - 1),
            takeover => (takeover, self.ahead),
        };
        if self.ready.is_none() {
            self.ready = Some(Instant::now());
            step.lay_out(&next.plan)?;
            if let Some(takeover) = takeover {
                let tried = takeover.instance().and_then(|logic| step.try_on(takeover, logic));
                takeover.vote(tried)?;
            }
        }
        if let Some(takeover) = takeover {
            if at_the_end && takeover.decision().is_none() {
                takeover.refuse(&Error::closed("the job has ended before"));
            }
            let Some(taken) = takeover.decision() else { return Ok(false) };
            step.decide(taken);
            self.rewrites += u64::from(taken && takeover.rewrite.is_some());
            takeover.settle(self.ready.map(|since| since.elapsed()).unwrap_or_default());
        }
        (self.at, self.ready, self.ahead) = (next, None, ahead);
        Ok(true)
    }

    /// The step pauses because its plugin fails. Another version that takes over soon, and that can do with the rows as they
    /// are now, takes over at once: it may be the cure. Those that should have come before it do not come any more. Tells
    /// whether it has.
    pub fn hurry(&mut self, step: &mut impl Swappable) -> Result<bool> {
        if self.ready.is_some() {
            return Ok(false);
        }
        let coming = self.coming();
        let Some(takeover) = coming.get(self.ahead..).and_then(<[_]>::last) else { return Ok(false) };
        if step.try_on(takeover, takeover.instance()?).is_err() {
            return Ok(false);
        }
        step.decide(true);
        coming[self.ahead..].iter().for_each(|takeover| takeover.settle(Duration::ZERO));
        self.ahead = coming.len();
        Ok(true)
    }

    /// The takeovers in its node that come next, up to the last one whose version can do with the rows until it comes.
    /// Those that are voted on, and whatever comes behind them, wait for their epoch.
    fn coming(&self) -> Vec<Arc<Takeover>> {
        let (mut coming, mut fitting) = (Vec::new(), 0);
        let mut plans = vec![&self.at.plan];
        let mut revision = self.at.next();
        while let Some(next) = revision {
            if let Some(takeover) = self.own(next) {
                if takeover.is_voted_on() {
                    break;
                }
                coming.push(takeover.clone());
                let fits = |plan: &&Arc<Plan>| Lens::new(&plan.nodes[self.node], takeover.version.clone()).is_some();
                if plans.iter().all(fits) {
                    fitting = coming.len();
                }
            }
            plans.push(&next.plan);
            revision = next.next();
        }
        coming.truncate(fitting);
        coming
    }

    /// The takeover of a revision, if it is in its node.
    fn own<'r>(&self, revision: &'r Revision) -> Option<&'r Arc<Takeover>> {
        revision.takeover.as_ref().filter(|takeover| takeover.node == self.node)
    }
}
