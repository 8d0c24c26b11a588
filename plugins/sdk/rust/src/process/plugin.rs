//! What a process becomes: one object per instance, set by `configure`, that codes states once per call.

use super::Process;
use super::player::{NumberedKey, Player, Slot};
use crate::bindings::{self, Needs, process as wire};
use crate::row::Fields;
use crate::{Accumulator, Binary, Failure, Fault, Key, Row, Time, log, metrics, settings};
use std::cell::RefCell;

/// A configured process.
pub trait Plugin {
    fn process(&self, turn: &wire::Turn) -> Result<wire::Output, Failure>;
    fn migrate(&self, from_version: u32, states: &Binary) -> Result<Binary, Failure>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

pub fn configure<P: Process>(settings: &str) -> Result<Needs, String> {
    log::report_panics();
    let process = settings::parse::<P>(settings)?;
    let needs = Needs::of::<P::Row, P::Output>(|pointer| process.pointer(pointer));
    PLUGIN.set(Some(Box::new(OfRows(process))));
    Ok(needs)
}

pub fn call<R>(call: impl FnOnce(&dyn Plugin) -> Result<R, Failure>) -> Result<R, bindings::Failure> {
    let call = || PLUGIN.with_borrow(|plugin| call(plugin.as_deref().ok_or("a call came before configure")?));
    Ok(metrics::of_call(call)?)
}

struct OfRows<P>(P);

impl<P: Process> Plugin for OfRows<P> {
    fn process(&self, turn: &wire::Turn) -> Result<wire::Output, Failure> {
        let wire::Turn { keys, states, groups, batch, timers, watermark, ordered } = turn;
        let mut slots = states.iter().map(slot::<P>).collect::<Result<Vec<_>, _>>()?;
        for (&group, &time) in timers.groups.iter().zip(&timers.times) {
            slots[group as usize].timers.insert(time);
        }
        let key = |number| NumberedKey { number, key: Key::new(keys.get(number)) };
        let mut player = Player::new(&self.0, batch.len(), Time(*watermark));
        let mut reader = P::Row::open(batch, &mut Fields::of(batch))?;
        for (row, (&group, &time)) in groups.iter().zip(&batch.times).enumerate() {
            let (key, slot, time) = (key(group as usize), &mut slots[group as usize], Time(time));
            if *ordered {
                player.fire(slot, key, time);
            }
            player.row(slot, key.key, row, time, P::Row::read(&mut reader, row).map_err(Fault::from));
            if player.has_failed() {
                break;
            }
        }
        slots.iter_mut().enumerate().for_each(|(number, slot)| player.fire(slot, key(number), Time(*watermark)));
        let columns = player.finish()?;
        let (states, timers) = columns_of(slots, states.bytes.len())?;
        Ok(wire::Output { states, timers, main: columns.main, sides: columns.sides, rejects: columns.rejects })
    }

    fn migrate(&self, from_version: u32, states: &Binary) -> Result<Binary, Failure> {
        states.migrate(|bytes| self.0.migrate(from_version, bytes))
    }
}

/// No bytes are no state.
fn slot<P: Process>(bytes: &[u8]) -> Result<Slot<P::State>, String> {
    let state = if bytes.is_empty() { None } else { Some(P::State::decode(bytes)?) };
    Ok(Slot { state, ..Slot::default() })
}

/// The states, and the timers by key and time.
fn columns_of<S: Accumulator>(slots: Vec<Slot<S>>, bytes: usize) -> Result<(Binary, wire::Timers), Failure> {
    let mut states = Binary::with_capacity(slots.len(), bytes);
    let mut timers = wire::Timers { groups: Vec::new(), times: Vec::new() };
    for (number, slot) in slots.into_iter().enumerate() {
        if let Some(state) = slot.state {
            let before = states.bytes.len();
            state.encode(&mut states.bytes)?;
            if states.bytes.len() == before {
                return Err(Failure::fatal("the state has no bytes, which means no state: give its type a field"));
            }
        }
        states.close();
        timers.groups.extend(std::iter::repeat_n(number as u32, slot.timers.len()));
        timers.times.extend(slot.timers);
    }
    Ok((states, timers))
}

#[cfg(test)]
mod tests;
