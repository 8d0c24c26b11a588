//! A version of a plugin that has to prove itself: it runs together with the version that it is to replace, the incumbent.
//!
//! Both are one plugin for everybody else. In a **shadow** the incumbent answers and the candidate is only compared with it.
//! In a **canary** the candidate answers for some key groups. On **probation** it answers for all, and whenever it fails, the
//! incumbent answers the same call. In a **transition** it answers for all windows but those that the incumbent has opened.
//! A candidate that fails where the incumbent does not is not called again.
//!
//! If both understand the same states, one state is enough on probation ([`Fallback`]): calls are pure, so the incumbent can
//! answer any call with the state that the candidate was given. Else, and where both run side by side, each has a state of
//! its own ([`Pair`], [`Halves`]).
//!
//! [`Fallback`]: fallback::Fallback
//! [`Pair`]: both::Pair
//! [`Halves`]: halves::Halves

mod both;
mod difference;
mod fallback;
mod halves;
mod member;
mod pair;
mod tally;

pub use difference::Difference;
pub use halves::{Half, PAIRED, half_of, is_old, only};
pub use tally::{Bounds, Cost, Report};

use crate::plan::PlanNode;
use both::Both;
use halves::Halves;
use std::sync::{Arc, Mutex, PoisonError};
use tally::{Baseline, Tally};
use tokio::sync::watch;
use wasmill_stream::Error;
use wasmill_stream::key::{self, KEY_GROUPS};
use wasmill_stream::plugin::{Identity, Version};

/// How a candidate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is compared with the incumbent, and nobody else sees what it answers.
    Shadow,
    /// It answers for so many key groups.
    #[allow(missing_docs)]
    Canary { key_groups: u64 },
    /// It answers for all.
    Probation,
    /// It answers for all windows but those that the incumbent has opened: these the incumbent closes. For aggregators.
    Transition,
}

/// A candidate on trial in a step, as all workers see it.
pub struct Candidacy {
    mode: Mode,
    bounds: Bounds,
    incumbent: Version,
    candidate: Version,
    baseline: Baseline,
    tally: Tally,
    differences: Mutex<Vec<Difference>>,
    /// Why it is not called any more.
    failure: watch::Sender<Option<String>>,
    /// In a transition: on how many workers the incumbent has closed its windows.
    closed: watch::Sender<usize>,
}

impl std::fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |version: &Version| version.plugin().identity().clone();
        let (incumbent, candidate) = (of(&self.incumbent), of(&self.candidate));
        let mut debug = f.debug_struct("Candidacy");
        debug.field("mode", &self.mode).field("incumbent", &incumbent).field("candidate", &candidate);
        debug.finish_non_exhaustive()
    }
}

/// How many differences are kept in full.
const DIFFERENCES: usize = 10;

impl Candidacy {
    /// A candidate for a node, which runs the incumbent.
    pub fn new(node: &PlanNode, incumbent: Version, candidate: Version, mode: Mode, bounds: Bounds) -> Arc<Self> {
        let baseline = Baseline::new(node, &incumbent, &candidate);
        Arc::new(Self {
            mode,
            bounds,
            incumbent,
            candidate,
            baseline,
            tally: Tally::default(),
            differences: Mutex::default(),
            failure: watch::Sender::new(None),
            closed: watch::Sender::new(0),
        })
    }

    /// Whether it works with the states of the incumbent, so that either can go on alone at any time.
    pub fn shares_state(&self) -> bool {
        let is_stateless = matches!(self.candidate, Version::Transform(_));
        self.mode == Mode::Probation && (is_stateless || self.migrates().is_none())
    }

    /// Both in one.
    pub fn version(self: &Arc<Self>) -> Version {
        Both::version(self)
    }

    /// The version of the incumbent's states, if the candidate has to rewrite them.
    fn migrates(&self) -> Option<u32> {
        let (was, is) = (self.incumbent.plugin().state_version(), self.candidate.plugin().state_version());
        (was != is).then_some(was)
    }

    /// The version of the incumbent's states, if the candidate has to rewrite them when it meets them. In a transition it does
    /// not meet any.
    pub fn adopts(&self) -> Option<u32> {
        self.migrates().filter(|_| self.mode != Mode::Transition)
    }

    /// How it is tried.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The version that it is to replace.
    pub fn incumbent(&self) -> &Version {
        &self.incumbent
    }

    /// The version that is tried.
    pub fn candidate(&self) -> &Version {
        &self.candidate
    }

    /// Why it is not called any more, if it has failed.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Resolves when it has failed.
    pub async fn failed(&self) {
        // It cannot be closed while somebody waits for it here.
        let _ = self.failure.subscribe().wait_for(Option::is_some).await;
    }

    /// In a transition: the incumbent has closed its windows on one more worker.
    pub fn has_closed(&self) {
        self.closed.send_modify(|closed| *closed += 1);
    }

    /// Resolves when the incumbent has nothing left to close on so many workers. Only in a transition it has anything.
    pub async fn closed(&self, workers: usize) {
        if self.mode == Mode::Transition {
            // It cannot be closed while somebody waits for it here.
            let _ = self.closed.subscribe().wait_for(|closed| *closed >= workers).await;
        }
    }

    /// Looks whether it keeps within its bounds. If not, it has failed.
    pub fn judge(&self) {
        if let Some(reason) = self.bounds.broken(&self.baseline, &self.tally) {
            self.fail(reason);
        }
    }

    /// How it has done so far.
    pub fn report(&self) -> Report {
        let differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.tally.report(&self.baseline, differences, self.failure())
    }

    /// Whose half it is that a plugin says something about. `by`: the plugin, if it is not the one that answers for the step.
    pub fn half_of(&self, by: Option<&Identity>) -> Half {
        let is_candidate = match by {
            Some(by) => by == self.candidate.plugin().identity(),
            None => matches!(self.mode, Mode::Probation | Mode::Transition),
        };
        if is_candidate { Half::Candidate } else { Half::Incumbent }
    }

    /// Whether it is called at all.
    fn is_on(&self) -> bool {
        self.failure.borrow().is_none()
    }

    fn fail(&self, reason: String) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert(reason);
            first
        });
    }

    /// It fails where the incumbent does not.
    fn has_failed(&self, error: &Error) {
        self.tally.fault();
        self.fail(format!("it fails where the version before does not: {}", error.report()));
    }

    /// Whether it takes part in what happens to a key.
    fn takes(&self, key: &[u8]) -> bool {
        match self.mode {
            Mode::Shadow | Mode::Probation | Mode::Transition => true,
            Mode::Canary { key_groups } => key::group(key::hash(key)) < key_groups,
        }
    }

    /// Whether its answers count.
    fn leads(&self) -> bool {
        self.mode != Mode::Shadow
    }

    /// Whether it takes part in what happens to a window whose state is this, if it takes part in what happens to its key.
    /// In a transition it meets a window when it is opened, or never.
    fn may_meet(&self, halves: &Halves<'_>) -> bool {
        self.mode != Mode::Transition || halves.candidate.is_some() || halves.is_fresh()
    }

    /// Whether it takes part in everything.
    fn takes_all(&self) -> bool {
        !matches!(self.mode, Mode::Canary { key_groups } if key_groups < KEY_GROUPS)
    }

    fn differ(&self, difference: impl FnOnce() -> Difference) {
        self.tally.differing();
        let mut differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
        if differences.len() < DIFFERENCES {
            differences.push(difference());
        }
    }
}
