//! Two aggregators, with an accumulator each.

use super::{Chosen, adopt, check, column};
use crate::candidate::both::Pair;
use crate::candidate::difference::{Difference, text};
use crate::candidate::halves::Halves;
use crate::candidate::member::Member;
use crate::candidate::pair::transform::rejects;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::plugin::{Accumulated, Aggregate, Finished, Fired, Merged, Reject, Selection, View};
use wasmill_stream::{Binary, Error, ErrorKind, Firing, GuestFault, Result, time};

impl Aggregate for Pair<Box<dyn Aggregate>> {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        let halves = read(accumulators)?;
        let own = column(halves.iter().map(|halves| halves.incumbent));
        let mut answer = self.incumbent.logic.accumulate(&own, groups, &self.incumbent.view(batch))?;
        check("accumulate", answer.accumulators.len(), halves.len())?;
        answer.rejects = self.incumbent.signed(answer.rejects);
        let chosen = self.chosen_groups(&halves, groups, batch);
        let other = self.beside(|both| both.accumulate_beside(&halves, &chosen, groups, batch));
        let mut stored = BinaryBuilder::default();
        for (group, own) in answer.accumulators.iter().enumerate() {
            let candidate =
                other.as_ref().zip(chosen.places[group]).map(|(other, at)| other.accumulators.get(at as usize));
            Halves { incumbent: own, candidate, ..Halves::default() }.write(&mut stored);
        }
        answer.accumulators = stored.finish();
        if let Some(other) = other {
            let is_its = |row: u32| groups.get(row as usize).is_some_and(|&group| chosen.has(group as usize));
            let theirs: Vec<_> = answer.rejects.iter().filter(|reject| is_its(reject.row)).cloned().collect();
            self.compare_rejects(batch, &theirs, &other.rejects);
            if self.candidacy.leads() {
                answer.rejects.retain(|reject| !is_its(reject.row));
                answer.rejects.extend(other.rejects);
                answer.rejects.sort_by_key(|reject| reject.row);
            }
        }
        Ok(answer)
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let halves = read(accumulators)?;
        let own = column(halves.iter().map(|halves| halves.incumbent));
        let mut merged = self.incumbent.logic.merge(&own, groups, count)?;
        check("merge", merged.accumulators.len(), count as usize)?;
        let mut met = vec![self.candidacy.takes_all(); count as usize];
        let known = halves.iter().zip(groups).filter(|(halves, _)| halves.candidate.is_some());
        known.for_each(|(_, &group)| met[group as usize] = true);
        let unknown = halves.iter().zip(groups).filter(|(halves, _)| !self.candidacy.may_meet(halves));
        unknown.for_each(|(_, &group)| met[group as usize] = false);
        let is_on = self.candidacy.is_on();
        let chosen = Chosen::new(count as usize, |result| is_on && met[result]);
        let other = self.beside(|both| {
            let of: Vec<u32> =
                (0..groups.len() as u32).filter(|&at| chosen.has(groups[at as usize] as usize)).collect();
            let states = both.candidates(of.iter().map(|&at| &halves[at as usize]))?;
            let places: Vec<u32> = of.iter().filter_map(|&at| chosen.places[groups[at as usize] as usize]).collect();
            let merged = both.candidate.logic.merge(&states, &places, chosen.numbers.len() as u32)?;
            check("merge", merged.accumulators.len(), chosen.numbers.len())?;
            Ok(merged.accumulators)
        });
        let other = other.filter(|_| !chosen.is_empty());
        let mut stored = BinaryBuilder::default();
        for (result, own) in merged.accumulators.iter().enumerate() {
            let candidate = other.as_ref().zip(chosen.places[result]).map(|(other, at)| other.get(at as usize));
            Halves { incumbent: own, candidate, ..Halves::default() }.write(&mut stored);
        }
        merged.accumulators = stored.finish();
        Ok(merged)
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        let halves = read(fired.accumulators)?;
        let all: Vec<u32> = (0..halves.len() as u32).collect();
        let own = column(halves.iter().map(|halves| halves.incumbent));
        let answer = close(&mut self.incumbent, fired, &all, &own)?;
        let is_on = self.candidacy.is_on();
        let candidacy = &self.candidacy;
        let is_its = |at: usize| candidacy.takes(fired.keys.get(at)) && candidacy.may_meet(&halves[at]);
        let chosen = Chosen::new(halves.len(), |at| is_on && is_its(at));
        let other = self.beside(|both| {
            let states = both.candidates(chosen.numbers.iter().map(|&at| &halves[at as usize]))?;
            let answer = close(&mut both.candidate, fired, &chosen.numbers, &states)?;
            both.candidacy.tally.results(chosen.numbers.len(), answer.values.len());
            Ok(answer)
        });
        let Some(other) = other.filter(|_| !chosen.is_empty()) else { return Ok(answer) };
        let (mine, theirs) = (results(&answer), results(&other));
        self.compare_windows(fired, &chosen, &mine, &theirs);
        if !self.candidacy.leads() {
            return Ok(answer);
        }
        let mut together: Vec<(u32, &[u8])> = mine.into_iter().filter(|(at, _)| !chosen.has(*at as usize)).collect();
        together.extend(theirs);
        together.sort_by_key(|(at, _)| *at);
        let mut rejects: Vec<_> =
            answer.rejects.iter().filter(|reject| !chosen.has(reject.row as usize)).cloned().collect();
        rejects.extend(other.rejects.iter().cloned());
        rejects.sort_by_key(|reject| reject.row);
        let origins = together.iter().map(|(at, _)| *at).collect();
        Ok(Finished { origins: Some(origins), values: column(together.iter().map(|(_, value)| *value)), rejects })
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        self.pair(from, accumulators, |logic, from, states| logic.migrate(from, states))
    }
}

impl Pair<Box<dyn Aggregate>> {
    /// What the candidate does beside the incumbent, unless it fails.
    fn beside<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Option<T> {
        if !self.candidacy.is_on() {
            return None;
        }
        match call(self) {
            Ok(answer) => Some(answer),
            // A corrupt state is nobody's answer, and would come to light with the incumbent.
            Err(error) => {
                if matches!(error.kind(), ErrorKind::Guest(_)) {
                    self.candidacy.has_failed(&error);
                }
                None
            }
        }
    }

    /// The groups that the candidate takes part in: those that it has met, and others as the keys of their rows say, if it
    /// may meet them.
    fn chosen_groups(&self, halves: &[Halves<'_>], groups: &[u32], batch: &View<'_>) -> Chosen {
        let mut takes = vec![self.candidacy.takes_all(); halves.len()];
        if !self.candidacy.takes_all() {
            for (row, &group) in groups.iter().enumerate() {
                takes[group as usize] = self.candidacy.takes(batch.keys.map_or(&[], |keys| keys.get(row)));
            }
            halves.iter().zip(&mut takes).for_each(|(halves, takes)| *takes |= halves.candidate.is_some());
        }
        let is_on = self.candidacy.is_on();
        Chosen::new(halves.len(), |group| is_on && takes[group] && self.candidacy.may_meet(&halves[group]))
    }

    /// The candidate's states.
    fn candidates<'h>(&mut self, halves: impl Iterator<Item = &'h Halves<'h>> + Clone) -> Result<Binary> {
        let foreign: Vec<&[u8]> =
            halves.clone().filter(|halves| halves.candidate.is_none()).map(|halves| halves.incumbent).collect();
        let logic = &mut self.candidate.logic;
        let adopted = adopt(self.candidacy.migrates(), &foreign, &mut |from, states| logic.migrate(from, states))?;
        let mut adopted = adopted.into_iter();
        let state = |halves: &Halves<'_>| match halves.candidate {
            Some(state) => state.to_vec(),
            None => adopted.next().unwrap_or_default(),
        };
        Ok(column(halves.map(state)))
    }

    fn accumulate_beside(
        &mut self,
        halves: &[Halves<'_>],
        chosen: &Chosen,
        groups: &[u32],
        batch: &View<'_>,
    ) -> Result<Accumulated> {
        let states = self.candidates(chosen.numbers.iter().map(|&group| &halves[group as usize]))?;
        let rows: Vec<u32> =
            (0..groups.len() as u32).filter(|&row| chosen.has(groups[row as usize] as usize)).collect();
        let places: Vec<u32> = rows.iter().filter_map(|&row| chosen.places[groups[row as usize] as usize]).collect();
        let selection;
        let view = match rows.len() == groups.len() {
            true => self.candidate.view(batch),
            false => {
                selection = Selection::new(batch, &rows);
                self.candidate.view(&selection.view())
            }
        };
        if rows.is_empty() {
            return Ok(Accumulated { accumulators: states, rejects: Vec::new() });
        }
        let mut answer = self.candidate.logic.accumulate(&states, &places, &view)?;
        check("accumulate", answer.accumulators.len(), states.len())?;
        for reject in &mut answer.rejects {
            let row = rows
                .get(reject.row as usize)
                .ok_or_else(|| Error::guest(GuestFault::Contract, format!("accumulate refused row {}", reject.row)))?;
            reject.row = *row;
        }
        self.candidacy.tally.rows(rows.len(), answer.rejects.len());
        answer.rejects = self.candidate.signed(answer.rejects);
        Ok(answer)
    }

    fn compare_rejects(&self, batch: &View<'_>, before: &[Reject], after: &[Reject]) {
        rejects(before, after, |row, before, after| {
            let key = batch.keys.map_or(&b""[..], |keys| keys.get(row as usize));
            self.candidacy.differ(|| Difference {
                of: format!("row of key {} at {}", text(key), time::iso8601(batch.times[row as usize])),
                incumbent: before.into_iter().collect(),
                candidate: after.into_iter().collect(),
            });
        });
    }

    fn compare_windows(&self, fired: &Fired<'_>, chosen: &Chosen, mine: &[(u32, &[u8])], theirs: &[(u32, &[u8])]) {
        self.candidacy.tally.compared(chosen.numbers.len());
        let of = |results: &[(u32, &[u8])], at: u32| -> Vec<Vec<u8>> {
            let first = results.partition_point(|(origin, _)| *origin < at);
            results[first..].iter().take_while(|(origin, _)| *origin == at).map(|(_, value)| value.to_vec()).collect()
        };
        for &at in &chosen.numbers {
            let (before, after) = (of(mine, at), of(theirs, at));
            if before != after {
                let Firing { start, end, .. } = fired.windows[at as usize];
                self.candidacy.differ(|| Difference {
                    of: format!(
                        "window {} .. {} of key {}",
                        time::iso8601(start),
                        time::iso8601(end),
                        text(fired.keys.get(at as usize))
                    ),
                    incumbent: before.iter().map(|value| text(value)).collect(),
                    candidate: after.iter().map(|value| text(value)).collect(),
                });
            }
        }
    }
}

fn read(accumulators: &Binary) -> Result<Vec<Halves<'_>>> {
    accumulators.iter().map(Halves::read).collect()
}

/// What a version makes of its accumulators of some windows. Its answer has their numbers among all that fire. Where it has
/// refused all rows, there is no window for it.
fn close(
    member: &mut Member<Box<dyn Aggregate>>,
    fired: &Fired<'_>,
    of: &[u32],
    accumulators: &Binary,
) -> Result<Finished> {
    let full: Vec<u32> = (0..of.len() as u32).filter(|&at| !accumulators.get(at as usize).is_empty()).collect();
    let numbers: Vec<u32> = full.iter().map(|&at| of[at as usize]).collect();
    if numbers.is_empty() {
        return Ok(Finished { origins: Some(Vec::new()), ..Finished::default() });
    }
    let windows: Vec<Firing> = numbers.iter().map(|&at| fired.windows[at as usize]).collect();
    let (keys, accumulators) = (fired.keys.select(&numbers), accumulators.select(&full));
    let mut answer = member.logic.finish(&Fired { windows: &windows, keys: &keys, accumulators: &accumulators })?;
    sound(&answer, windows.len())?;
    let number = |at: u32| numbers[at as usize];
    let origins = answer.origins.map(|origins| origins.into_iter().map(number).collect());
    answer.origins = Some(origins.unwrap_or_else(|| numbers.clone()));
    answer.rejects.iter_mut().for_each(|reject| reject.row = number(reject.row));
    answer.rejects = member.signed(answer.rejects);
    Ok(answer)
}

/// The results, each with the number of its window.
fn results(answer: &Finished) -> Vec<(u32, &[u8])> {
    answer.origins.iter().flatten().copied().zip(answer.values.iter()).collect()
}

/// What would lead to nothing if it were believed.
fn sound(answer: &Finished, count: usize) -> Result<()> {
    let origins = answer.origins.as_deref();
    let last = origins.and_then(|origins| origins.last().copied()).map_or(0, |last| last as usize);
    let is_sound = origins.map_or(count, <[u32]>::len) == answer.values.len()
        && origins.is_none_or(<[u32]>::is_sorted)
        && (origins.is_none_or(<[u32]>::is_empty) || last < count)
        && answer.rejects.iter().all(|reject| (reject.row as usize) < count);
    match is_sound {
        true => Ok(()),
        false => Err(Error::guest(
            GuestFault::Contract,
            format!("finish returned results of others than its {count} windows"),
        )),
    }
}
