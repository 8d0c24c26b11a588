//! Two processes, with a state and timers each. The host has the timers of both together, and each is told of its own.

use super::transform::{rejects, sides};
use super::{Chosen, adopt, ascending, check, column};
use crate::candidate::both::Pair;
use crate::candidate::difference::{self, Difference, Given, text};
use crate::candidate::halves::Halves;
use crate::isolate::{Joined, JoinedSides};
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::plugin::{Process, Processed, Reject, Selection, Timers, Turn};
use wasmill_stream::{Binary, ErrorKind, Result, time};

impl Process for Pair<Box<dyn Process>> {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let mut halves: Vec<Halves<'_>> = turn.states.iter().map(Halves::read).collect::<Result<_>>()?;
        let pending = by_key(turn.timers, halves.len());
        for (halves, pending) in halves.iter_mut().zip(&pending) {
            match halves.candidate {
                // What the candidate has not met is the incumbent's alone, and so are its timers.
                None => halves.timers = [pending.clone(), pending.clone()],
                // Timers that were dropped are nobody's any more.
                Some(_) => {
                    let is_pending = |time: &i64| pending.binary_search(time).is_ok();
                    halves.timers.iter_mut().for_each(|timers| timers.retain(is_pending));
                }
            }
        }
        let answer = self.incumbent(turn, &halves)?;
        let is_on = self.candidacy.is_on();
        let chosen = Chosen::new(halves.len(), |key| {
            is_on && (halves[key].candidate.is_some() || self.candidacy.takes(turn.keys.get(key)))
        });
        let other = match chosen.is_empty() {
            true => None,
            false => self.candidate(turn, &halves, &chosen),
        };
        let (states, timers) = stored(&answer, other.as_ref(), &chosen);
        let Some(other) = other else { return Ok(Processed { states, timers, ..answer }) };
        let rows = Chosen::new(turn.groups.len(), |row| chosen.has(turn.groups[row] as usize));
        self.candidacy.tally.rows(rows.numbers.len(), other.rejects.len());
        let emitted = other.main.origins.as_ref().map_or(rows.numbers.len(), Vec::len);
        self.candidacy.tally.results(rows.numbers.len(), emitted);
        let other = numbered(other, &rows, &chosen, turn);
        let (mine, rest) = divided(answer, turn, &chosen);
        self.compare(turn, rows.numbers.len(), &mine, &other);
        let told = if self.candidacy.leads() { other } else { mine };
        Ok(together(told, rest, turn, (states, timers)))
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        self.pair(from, states, |logic, from, states| logic.migrate(from, states))
    }
}

impl Pair<Box<dyn Process>> {
    fn incumbent(&mut self, turn: &Turn<'_>, halves: &[Halves<'_>]) -> Result<Processed> {
        let states = column(halves.iter().map(|halves| halves.incumbent));
        let timers = of_all(halves.iter().map(|halves| &halves.timers[0]));
        let own = Turn { states: &states, timers: &timers, batch: self.incumbent.view(&turn.batch), ..*turn };
        let answer = self.incumbent.logic.process(&own)?;
        sound(&answer, halves.len())?;
        let values = turn.batch.values;
        let Processed { states, timers, main, sides, rejects } = answer;
        let (main, sides) = (self.incumbent.main(main, values), self.incumbent.sides(sides, values));
        Ok(Processed { states, timers, main, sides, rejects: self.incumbent.signed(rejects) })
    }

    /// What the candidate makes of its keys, unless it fails.
    fn candidate(&mut self, turn: &Turn<'_>, halves: &[Halves<'_>], chosen: &Chosen) -> Option<Processed> {
        match self.try_candidate(turn, halves, chosen) {
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

    fn try_candidate(&mut self, turn: &Turn<'_>, halves: &[Halves<'_>], chosen: &Chosen) -> Result<Processed> {
        let mine = || chosen.numbers.iter().map(|&key| &halves[key as usize]);
        let foreign: Vec<&[u8]> =
            mine().filter(|halves| halves.candidate.is_none()).map(|halves| halves.incumbent).collect();
        let logic = &mut self.candidate.logic;
        let mut adopted =
            adopt(self.candidacy.migrates(), &foreign, &mut |from, states| logic.migrate(from, states))?.into_iter();
        let states = column(mine().map(|halves| match halves.candidate {
            Some(state) => state.to_vec(),
            None => adopted.next().unwrap_or_default(),
        }));
        let timers = of_all(mine().map(|halves| &halves.timers[1]));
        let rows: Vec<u32> =
            (0..turn.groups.len() as u32).filter(|&row| chosen.has(turn.groups[row as usize] as usize)).collect();
        let groups: Vec<u32> =
            rows.iter().filter_map(|&row| chosen.places[turn.groups[row as usize] as usize]).collect();
        let selection = Selection::new(&turn.batch, &rows);
        let view = selection.view();
        let own = Turn {
            keys: &turn.keys.select(&chosen.numbers),
            states: &states,
            groups: &groups,
            batch: self.candidate.view(&view),
            timers: &timers,
            ..*turn
        };
        let answer = self.candidate.logic.process(&own)?;
        sound(&answer, chosen.numbers.len())?;
        let Processed { states, timers, main, sides, rejects } = answer;
        let (main, sides) = (self.candidate.main(main, view.values), self.candidate.sides(sides, view.values));
        Ok(Processed { states, timers, main, sides, rejects: self.candidate.signed(rejects) })
    }

    fn compare(&self, turn: &Turn<'_>, rows: usize, incumbent: &Processed, candidate: &Processed) {
        self.candidacy.tally.compared(rows);
        let count = turn.groups.len();
        let time = |origin: u32| turn.batch.times.get(origin as usize).copied().unwrap_or(turn.watermark);
        let key = |origin: u32| key_of(turn, origin);
        let given = Given { time: &time, key: &key };
        difference::rows(&self.candidacy, "row or timer", count, &given, &incumbent.main, &candidate.main);
        sides(&incumbent.sides, &candidate.sides, |side, before, after| {
            difference::rows(&self.candidacy, &format!("side output {side}"), count, &given, before, after);
        });
        rejects(&incumbent.rejects, &candidate.rejects, |row, before, after| {
            self.candidacy.differ(|| Difference {
                of: format!("row of key {} at {}", text(key(row)), time::iso8601(time(row))),
                incumbent: before.into_iter().collect(),
                candidate: after.into_iter().collect(),
            });
        });
    }
}

/// The key of a row, or of a timer: their origins stand behind the rows.
fn key_of<'t>(turn: &Turn<'t>, origin: u32) -> &'t [u8] {
    let count = turn.groups.len();
    let key =
        turn.groups.get(origin as usize).map_or(origin as usize - count.min(origin as usize), |&key| key as usize);
    if key < turn.keys.len() { turn.keys.get(key) } else { &[] }
}

/// The timers of each key, ascending.
fn by_key(timers: &Timers, keys: usize) -> Vec<Vec<i64>> {
    let mut lists = vec![Vec::new(); keys];
    timers.iter().for_each(|(key, time)| lists[key as usize].push(time));
    lists.iter_mut().for_each(|list| list.sort_unstable());
    lists
}

/// The timers of keys in their order.
fn of_all<'t>(lists: impl Iterator<Item = &'t Vec<i64>>) -> Timers {
    let mut timers = Timers::default();
    (0..).zip(lists).for_each(|(key, list)| list.iter().for_each(|&time| timers.push(key, time)));
    timers
}

/// What would be somebody else's if it were believed.
fn sound(answer: &Processed, keys: usize) -> Result<()> {
    check("process", answer.states.len(), keys)?;
    match answer.timers.iter().all(|(key, _)| (key as usize) < keys) {
        true => Ok(()),
        false => check("process", usize::MAX, keys),
    }
}

/// The states and timers of both, as they are kept.
fn stored(answer: &Processed, other: Option<&Processed>, chosen: &Chosen) -> (Binary, Timers) {
    let keys = answer.states.len();
    let own = by_key(&answer.timers, keys);
    let others = other.map(|other| by_key(&other.timers, chosen.numbers.len()));
    let (mut states, mut timers) = (BinaryBuilder::default(), Timers::default());
    for (key, (incumbent, own)) in answer.states.iter().zip(own).enumerate() {
        let place = chosen.places[key].map(|place| place as usize);
        let met = place.zip(other.zip(others.as_ref()));
        let (halves, mut all) = match met {
            None => (Halves::one(incumbent), own),
            Some((place, (other, others))) => {
                let theirs = others[place].clone();
                let all = [own.as_slice(), &theirs].concat();
                let candidate = Some(other.states.get(place));
                (Halves { incumbent, candidate, timers: [own, theirs] }, all)
            }
        };
        halves.write(&mut states);
        all.sort_unstable();
        all.dedup();
        all.into_iter().for_each(|time| timers.push(key as u32, time));
    }
    (states.finish(), timers)
}

/// An answer about some keys and their rows, with the numbers that these have among all.
fn numbered(mut answer: Processed, rows: &Chosen, keys: &Chosen, turn: &Turn<'_>) -> Processed {
    let (own, all) = (rows.numbers.len(), turn.groups.len() as u32);
    let origin = |origin: u32| match rows.numbers.get(origin as usize) {
        Some(&row) => row,
        None => all + keys.numbers.get(origin as usize - own).copied().unwrap_or(u32::MAX - all),
    };
    let renumber = |origins: &mut Option<Vec<u32>>| {
        let numbers = origins.take().unwrap_or_else(|| (0..own as u32).collect());
        *origins = Some(numbers.into_iter().map(origin).collect());
    };
    renumber(&mut answer.main.origins);
    answer.sides.iter_mut().for_each(|(_, rows)| renumber(&mut rows.origins));
    answer.rejects.iter_mut().for_each(|reject| reject.row = origin(reject.row));
    answer
}

/// What an answer says of the chosen keys, and of the others. States and timers are in neither.
fn divided(answer: Processed, turn: &Turn<'_>, chosen: &Chosen) -> (Processed, Processed) {
    let count = turn.groups.len();
    let is_chosen = |origin: u32| {
        let key =
            turn.groups.get(origin as usize).map_or(origin as usize - count.min(origin as usize), |&key| key as usize);
        chosen.places.get(key).is_some_and(Option::is_some)
    };
    let part = |wanted: bool| {
        let pick = |rows: &wasmill_stream::plugin::Rows| {
            let origins = rows.origins.clone().unwrap_or_else(|| (0..count as u32).collect());
            let at: Vec<u32> =
                (0..origins.len() as u32).filter(|&at| is_chosen(origins[at as usize]) == wanted).collect();
            wasmill_stream::plugin::Rows {
                origins: Some(at.iter().map(|&at| origins[at as usize]).collect()),
                times: rows.times.as_ref().map(|times| at.iter().map(|&at| times[at as usize]).collect()),
                keys: rows.keys.as_ref().map(|keys| keys.select(&at)),
                values: rows.values.as_ref().map(|values| values.select(&at)),
            }
        };
        let is_wanted = |reject: &&Reject| is_chosen(reject.row) == wanted;
        Processed {
            main: pick(&answer.main),
            sides: answer.sides.iter().map(|(side, rows)| (*side, pick(rows))).collect(),
            rejects: answer.rejects.iter().filter(is_wanted).cloned().collect(),
            ..Processed::default()
        }
    };
    (part(true), part(false))
}

/// One answer of two about different keys.
fn together(first: Processed, second: Processed, turn: &Turn<'_>, (states, timers): (Binary, Timers)) -> Processed {
    let (mut main, mut joined, mut rejects) = (Joined::default(), JoinedSides::default(), Vec::new());
    for answer in [first, second] {
        main.add(answer.main, 0, |origin| origin);
        joined.add(answer.sides, 0, |origin| origin);
        rejects.extend(answer.rejects);
    }
    rejects.sort_by_key(|reject| reject.row);
    let time = |origin: u32| turn.batch.times.get(origin as usize).copied().unwrap_or(turn.watermark);
    let key = |origin: u32| key_of(turn, origin);
    let sides = joined.finish(time, key).into_iter().map(|(side, rows)| (side, ascending(rows))).collect();
    Processed { states, timers, main: ascending(main.finish(time, key)), sides, rejects }
}
