//! Both run side by side, each with a state of its own. The incumbent sees everything, so that it can go on alone at any
//! moment; the candidate sees what the trial gives to it.

mod aggregate;
mod process;
mod transform;

use super::both::Pair;
use super::halves::wrap;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::plugin::Rows;
use wasmill_stream::{Binary, Error, GuestFault, Result};

impl<L> Pair<L> {
    /// States as pairs, which the candidate has not met. Those of an older version are the incumbent's to rewrite: a job that went
    /// back in time may find some. If the candidate has to rewrite the incumbent's when it meets them, it shows with the first
    /// ones that it can.
    fn pair(
        &mut self,
        from: u32,
        states: &Binary,
        migrate: impl Fn(&mut L, u32, &Binary) -> Result<Binary>,
    ) -> Result<Binary> {
        let own = self.candidacy.incumbent().plugin().state_version();
        let older;
        let states = match from == own {
            true => states,
            false => {
                older = migrate(&mut self.incumbent.logic, from, states)?;
                check("migrate", older.len(), states.len())?;
                &older
            }
        };
        if !std::mem::replace(&mut self.is_rehearsed, true) && self.candidacy.adopts().is_some() && !states.is_empty() {
            let rewritten = migrate(&mut self.candidate.logic, own, states)?;
            check("migrate", rewritten.len(), states.len())?;
        }
        Ok(wrap(states))
    }
}

/// Some items of a list, by number, and where each is among them.
struct Chosen {
    numbers: Vec<u32>,
    places: Vec<Option<u32>>,
}

impl Chosen {
    fn new(count: usize, is_chosen: impl Fn(usize) -> bool) -> Self {
        let numbers: Vec<u32> = (0..count as u32).filter(|&at| is_chosen(at as usize)).collect();
        let mut places = vec![None; count];
        (0..).zip(&numbers).for_each(|(place, &at)| places[at as usize] = Some(place));
        Self { numbers, places }
    }

    fn has(&self, at: usize) -> bool {
        self.places[at].is_some()
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

/// What the candidate makes of states of the incumbent that it has not met, in their order. Empty ones are fresh.
fn adopt(
    migrates: Option<u32>,
    states: &[&[u8]],
    migrate: &mut dyn FnMut(u32, &Binary) -> Result<Binary>,
) -> Result<Vec<Vec<u8>>> {
    let Some(from) = migrates else { return Ok(states.iter().map(|state| state.to_vec()).collect()) };
    let old: Binary = states.iter().filter(|state| !state.is_empty()).collect();
    let new = if old.is_empty() { Binary::default() } else { migrate(from, &old)? };
    check("migrate", new.len(), old.len())?;
    let mut new = new.iter();
    let adopted = |state: &&[u8]| if state.is_empty() { Vec::new() } else { new.next().unwrap_or_default().to_vec() };
    Ok(states.iter().map(adopted).collect())
}

/// A number of answers that are about to be put together with others.
fn check(call: &str, returned: usize, expected: usize) -> Result<()> {
    if returned == expected {
        return Ok(());
    }
    Err(Error::guest(GuestFault::Contract, format!("{call} returned {returned} states for {expected}")))
}

/// Rows in the order of their origins; those of one origin stay as they are.
fn ascending(mut rows: Rows) -> Rows {
    let Some(origins) = rows.origins.take_if(|origins| !origins.is_sorted()) else { return rows };
    let mut order: Vec<u32> = (0..origins.len() as u32).collect();
    order.sort_by_key(|&at| origins[at as usize]);
    let origins = order.iter().map(|&at| origins[at as usize]).collect();
    Rows {
        origins: Some(origins),
        times: rows.times.map(|times| order.iter().map(|&at| times[at as usize]).collect()),
        keys: rows.keys.map(|keys| keys.select(&order)),
        values: rows.values.map(|values| values.select(&order)),
    }
}

/// States one after the other.
fn column(states: impl Iterator<Item = impl AsRef<[u8]>>) -> Binary {
    let mut column = BinaryBuilder::default();
    states.for_each(|state| column.push(state.as_ref()));
    column.finish()
}
