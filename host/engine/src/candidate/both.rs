//! Two versions as one plugin for everybody else.

use super::fallback::Fallback;
use super::halves::PAIRED;
use super::member::{Member, union};
use super::{Candidacy, Mode};
use crate::swap::warmed;
use std::sync::Arc;
use wasmill_stream::plugin::{
    Aggregate, AggregatePlugin, Identity, Logic, Needs, Plugin, Process, ProcessPlugin, Transform, TransformPlugin,
    Version,
};
use wasmill_stream::{Error, GuestLedger, Result};

/// A candidate and its incumbent.
pub struct Both {
    candidacy: Arc<Candidacy>,
    needs: Needs,
    state_version: u32,
}

/// Instances of both, which answer side by side: see `pair`.
pub struct Pair<L> {
    pub candidacy: Arc<Candidacy>,
    pub incumbent: Member<L>,
    pub candidate: Member<L>,
    /// Whether the candidate has shown that it can rewrite states of the incumbent.
    pub is_rehearsed: bool,
}

impl Both {
    /// Both, as a plugin of the kind that they are.
    pub fn version(candidacy: &Arc<Candidacy>) -> Version {
        let (incumbent, candidate) = (candidacy.incumbent.plugin(), candidacy.candidate.plugin());
        let state_version = match (&candidacy.candidate, candidacy.shares_state()) {
            (Version::Transform(_), _) | (_, true) => candidate.state_version(),
            (_, false) => PAIRED | incumbent.state_version(),
        };
        let needs = union(incumbent.needs(), candidate.needs());
        let both = Self { candidacy: candidacy.clone(), needs, state_version };
        match candidacy.candidate {
            Version::Transform(_) => Version::Transform(Arc::new(both)),
            Version::Aggregate(_) => Version::Aggregate(Arc::new(both)),
            Version::Process(_) => Version::Process(Arc::new(both)),
        }
    }

    /// The one whose answers count, or most of them in a canary.
    fn leader(&self) -> &dyn Plugin {
        match self.candidacy.mode {
            Mode::Probation | Mode::Transition => self.candidacy.candidate.plugin(),
            Mode::Shadow | Mode::Canary { .. } => self.candidacy.incumbent.plugin(),
        }
    }

    /// Instances of a kind. `None` from `of_kind`: it is another kind.
    fn instances<L>(&self, of_kind: fn(Logic) -> Option<L>) -> Result<Pair<L>> {
        let candidacy = self.candidacy.clone();
        let misfit = || Error::internal("an incumbent and a candidate of different kinds");
        let member = |version: &Version, make: fn(&Version) -> Result<Logic>| -> Result<Member<L>> {
            let logic = of_kind(make(version)?).ok_or_else(misfit)?;
            Ok(Member::new(logic, version.plugin(), &self.needs))
        };
        let incumbent = member(&candidacy.incumbent, Version::instantiate)?;
        // Alone: behind its incumbent, a failure would only end the trial.
        let candidate = member(&candidacy.candidate, warmed)?;
        Ok(Pair { candidacy, incumbent, candidate, is_rehearsed: false })
    }
}

impl Plugin for Both {
    fn identity(&self) -> &Identity {
        self.leader().identity()
    }

    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn state_version(&self) -> u32 {
        self.state_version
    }

    fn ledger(&self) -> &Arc<GuestLedger> {
        self.leader().ledger()
    }
}

/// Instances that work on one state if both understand it, and else on one each.
macro_rules! instantiate {
    ($($plugin:ident, $kind:ident;)*) => {$(
        impl $plugin for Both {
            fn instantiate(&self) -> Result<Box<dyn $kind>> {
                let of_kind = |logic| if let Logic::$kind(logic) = logic { Some(logic) } else { None };
                let pair = self.instances(of_kind)?;
                Ok(if self.candidacy.shares_state() { Box::new(Fallback::new(pair)) } else { Box::new(pair) })
            }
        }
    )*};
}

instantiate! {
    TransformPlugin, Transform;
    AggregatePlugin, Aggregate;
    ProcessPlugin, Process;
}
