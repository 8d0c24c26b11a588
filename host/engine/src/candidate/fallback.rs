//! On probation: the candidate answers, and when it fails, the incumbent answers the same call with the same state.

use super::both::Pair;
use super::member::Member;
use super::tally::Tally;
use crate::isolate::PATIENT_CALLS;
use wasmill_stream::plugin::{
    Accumulated, Aggregate, Finished, Fired, Merged, Process, Processed, Transform, Transformed, Turn, View,
};
use wasmill_stream::{Binary, Error, ErrorKind, GuestFault, Result};

/// Instances of both, which work on the same state.
pub struct Fallback<L> {
    pair: Pair<L>,
    /// How often in a row the candidate has asked to be called again.
    delays: u32,
}

impl<L> Fallback<L> {
    /// Neither was called yet.
    pub fn new(pair: Pair<L>) -> Self {
        Self { pair, delays: 0 }
    }

    /// What the candidate answers, or the incumbent if it cannot. Where neither can, it is the call that is at fault.
    fn call<T>(&mut self, mut call: impl FnMut(&mut Member<L>) -> Result<T>) -> Result<T> {
        if !self.pair.candidacy.is_on() {
            return call(&mut self.pair.incumbent);
        }
        let error = match call(&mut self.pair.candidate) {
            Err(error) if !is_for_later(&error) => error,
            // Its step would take the rows for those at fault next, and the incumbent may have an answer.
            Err(error) if self.delays == PATIENT_CALLS => error,
            Err(error) => {
                self.delays += 1;
                return Err(error);
            }
            answer => {
                self.delays = 0;
                return answer;
            }
        };
        match call(&mut self.pair.incumbent) {
            Ok(answer) => {
                self.pair.candidacy.has_failed(&error);
                Ok(answer)
            }
            Err(_) => Err(error),
        }
    }

    fn tally(&self) -> &Tally {
        &self.pair.candidacy.tally
    }
}

impl Transform for Fallback<Box<dyn Transform>> {
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

impl Aggregate for Fallback<Box<dyn Aggregate>> {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        let answer = self.call(|member| {
            let answer = member.logic.accumulate(accumulators, groups, &member.view(batch))?;
            Ok(Accumulated { rejects: member.signed(answer.rejects), ..answer })
        })?;
        self.tally().rows(groups.len(), answer.rejects.len());
        Ok(answer)
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        self.call(|member| member.logic.merge(accumulators, groups, count))
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let answer = self.call(|member| {
            let answer = member.logic.finish(fired)?;
            Ok(Finished { rejects: member.signed(answer.rejects), ..answer })
        })?;
        self.tally().results(fired.windows.len(), answer.values.len());
        Ok(answer)
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        self.pair.candidate.logic.migrate(from, accumulators)
    }
}

impl Process for Fallback<Box<dyn Process>> {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let answer = self.call(|member| {
            let answer = member.logic.process(&Turn { batch: member.view(&turn.batch), ..*turn })?;
            let values = turn.batch.values;
            let Processed { states, timers, main, sides, rejects } = answer;
            let (main, sides) = (member.main(main, values), member.sides(sides, values));
            Ok(Processed { states, timers, main, sides, rejects: member.signed(rejects) })
        })?;
        let rows = turn.groups.len();
        self.tally().rows(rows, answer.rejects.len());
        self.tally().results(rows, answer.main.origins.as_ref().map_or(rows, Vec::len));
        Ok(answer)
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        self.pair.candidate.logic.migrate(from, states)
    }
}

/// Whether an error says no more than "later".
fn is_for_later(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Guest(GuestFault::Retry))
}
