//! On probation: the candidate answers, and when it fails, the incumbent answers the same call with the same state.

use super::member::Member;
use super::{Both, Candidacy, Unwrapped, is_for_later};
use std::sync::Arc;
use wasmill_stream::plugin::{
    Accumulated, Aggregate, AggregatePlugin, Finished, Fired, Identity, Merged, Needs, Plugin, Process, ProcessPlugin,
    Processed, Transform, TransformPlugin, Transformed, Turn, Version, View,
};
use wasmill_stream::{Binary, GuestLedger, Result};

/// Both as one plugin of the kind that they are.
pub fn version(candidacy: &Arc<Candidacy>) -> Version {
    let plugin = Fallback(Both::new(candidacy, candidacy.candidate.plugin().state_version()));
    match candidacy.candidate {
        Version::Transform(_) => Version::Transform(Arc::new(plugin)),
        Version::Aggregate(_) => Version::Aggregate(Arc::new(plugin)),
        Version::Process(_) => Version::Process(Arc::new(plugin)),
    }
}

struct Fallback(Both);

impl Plugin for Fallback {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn needs(&self) -> &Needs {
        self.0.needs()
    }

    fn state_version(&self) -> u32 {
        self.0.state_version()
    }

    fn ledger(&self) -> &Arc<GuestLedger> {
        self.0.ledger()
    }
}

/// Instances of both.
struct Pair<L> {
    candidacy: Arc<Candidacy>,
    incumbent: Member<L>,
    candidate: Member<L>,
}

impl Fallback {
    fn pair<L>(&self, unwrap: fn(wasmill_stream::plugin::Logic) -> Result<L>) -> Result<Pair<L>> {
        let candidacy = self.0.candidacy.clone();
        let member = |version: &Version| -> Result<Member<L>> {
            Ok(Member::new(unwrap(version.instantiate()?)?, version.plugin().needs(), &self.0.needs))
        };
        let (incumbent, candidate) = (member(&candidacy.incumbent)?, member(&candidacy.candidate)?);
        Ok(Pair { candidacy, incumbent, candidate })
    }
}

impl TransformPlugin for Fallback {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(self.pair(Unwrapped::transform)?))
    }
}

impl AggregatePlugin for Fallback {
    fn instantiate(&self) -> Result<Box<dyn Aggregate>> {
        Ok(Box::new(self.pair(Unwrapped::aggregate)?))
    }
}

impl ProcessPlugin for Fallback {
    fn instantiate(&self) -> Result<Box<dyn Process>> {
        Ok(Box::new(self.pair(Unwrapped::process)?))
    }
}

impl<L> Pair<L> {
    /// What the candidate answers, or the incumbent if it cannot. Where neither can, it is the call that is at fault.
    fn call<T>(&mut self, mut call: impl FnMut(&mut Member<L>) -> Result<T>) -> Result<T> {
        if !self.candidacy.is_on() {
            return call(&mut self.incumbent);
        }
        let error = match call(&mut self.candidate) {
            Err(error) if !is_for_later(&error) => error,
            answer => return answer,
        };
        match call(&mut self.incumbent) {
            Ok(answer) => {
                self.candidacy.has_failed(&error);
                Ok(answer)
            }
            Err(_) => Err(error),
        }
    }

    fn tally(&self) -> &super::Tally {
        &self.candidacy.tally
    }
}

impl Transform for Pair<Box<dyn Transform>> {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let answer = self.call(|member| {
            let answer = member.logic.transform(&member.view(batch))?;
            Ok(member.transformed(answer, batch.values))
        })?;
        let rows = batch.times.len();
        self.tally().rows(rows, answer.rejects.len());
        self.tally().results(rows, answer.main.origins.as_ref().map_or(rows, Vec::len));
        Ok(answer)
    }
}

impl Aggregate for Pair<Box<dyn Aggregate>> {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        let answer = self.call(|member| member.logic.accumulate(accumulators, groups, &member.view(batch)))?;
        self.tally().rows(groups.len(), answer.rejects.len());
        Ok(answer)
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        self.call(|member| member.logic.merge(accumulators, groups, count))
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let answer = self.call(|member| member.logic.finish(fired))?;
        self.tally().results(fired.windows.len(), answer.values.len());
        Ok(answer)
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        self.candidate.logic.migrate(from, accumulators)
    }
}

impl Process for Pair<Box<dyn Process>> {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let answer = self.call(|member| {
            let answer = member.logic.process(&Turn { batch: member.view(&turn.batch), ..*turn })?;
            let values = turn.batch.values;
            let Processed { states, timers, main, sides, rejects } = answer;
            let (main, sides) = (member.main(main, values), member.sides(sides, values));
            Ok(Processed { states, timers, main, sides, rejects })
        })?;
        let rows = turn.groups.len();
        self.tally().rows(rows, answer.rejects.len());
        self.tally().results(rows, answer.main.origins.as_ref().map_or(rows, Vec::len));
        Ok(answer)
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        self.candidate.logic.migrate(from, states)
    }
}
