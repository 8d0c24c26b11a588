//! What an aggregator becomes: one object per instance, set by `configure`, that codes accumulators once per call.

use super::{Aggregator, Results};
use crate::bindings::{self, Needs, aggregate as wire};
use crate::row::Fields;
use crate::{Accumulator, Batch, Binary, Failure, Fault, Key, Pane, Reject, Row, Time, Window, log, metrics, settings};
use std::cell::RefCell;

/// A configured aggregator.
pub trait Plugin {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<wire::Accumulated, Failure>;
    fn merge(&self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary, Failure>;
    fn finish(&self, fired: &wire::Fired) -> Result<wire::Finished, Failure>;
    fn migrate(&self, from_version: u32, accumulators: &Binary) -> Result<Binary, Failure>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

pub fn configure<T: Aggregator>(settings: &str) -> Result<Needs, String> {
    log::report_panics();
    let plugin = settings::parse::<T>(settings)?;
    let needs = Needs::of::<T::Row, ()>(|pointer| plugin.pointer(pointer));
    PLUGIN.set(Some(Box::new(OfRows(plugin))));
    Ok(Needs { writes_values: true, ..needs })
}

pub fn call<R>(call: impl FnOnce(&dyn Plugin) -> Result<R, Failure>) -> Result<R, bindings::Failure> {
    let call = || PLUGIN.with_borrow(|plugin| call(plugin.as_deref().ok_or("a call came before configure")?));
    Ok(metrics::of_call(call)?)
}

struct OfRows<T>(T);

impl<T: Aggregator> Plugin for OfRows<T> {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<wire::Accumulated, Failure> {
        let mut states = accumulators.iter().map(decode::<T>).collect::<Result<Vec<_>, _>>()?;
        let mut reader = T::Row::open(batch, &mut Fields::of(batch))?;
        let mut rejects = Vec::new();
        for (row, &group) in groups.iter().enumerate() {
            let read = T::Row::read(&mut reader, row).map_err(Fault::from);
            match read.and_then(|read| self.0.check(&read).map(|()| read)) {
                Ok(read) => self.0.accumulate(&mut states[group as usize], read),
                Err(Fault::Reject(Reject { reason, .. })) => rejects.push(Reject { row: row as u32, reason }),
                Err(Fault::Failure(failure)) => return Err(failure),
            }
        }
        let mut column = Binary::with_capacity(states.len(), accumulators.bytes.len());
        for state in &states {
            state.encode(&mut column.bytes)?;
            column.close();
        }
        Ok(wire::Accumulated { accumulators: column, rejects })
    }

    fn merge(&self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary, Failure> {
        let mut merged: Vec<Option<T::Accumulator>> = (0..count).map(|_| None).collect();
        for (bytes, &group) in accumulators.iter().zip(groups) {
            let from = decode::<T>(bytes)?;
            match &mut merged[group as usize] {
                Some(into) => self.0.merge(into, from),
                empty => *empty = Some(from),
            }
        }
        let mut column = Binary::with_capacity(merged.len(), accumulators.bytes.len());
        for state in merged {
            state.unwrap_or_default().encode(&mut column.bytes)?;
            column.close();
        }
        Ok(column)
    }

    fn finish(&self, fired: &wire::Fired) -> Result<wire::Finished, Failure> {
        let wire::Fired { starts, ends, panes, keys, accumulators } = fired;
        let mut values = Binary::with_capacity(starts.len(), starts.len() * 128);
        let mut origins = Vec::with_capacity(starts.len());
        let mut rejects = Vec::new();
        let mut one_each = true;
        for at in 0..starts.len() {
            let pane = if panes[at] == wire::Pane::Late { Pane::Late } else { Pane::OnTime };
            let window = Window { start: Time(starts[at]), end: Time(ends[at]), pane };
            let state = decode::<T>(accumulators.get(at))?;
            let results = match self.0.finish(window, Key::new(keys.get(at)), state).write(&mut values) {
                Ok(results) => results,
                Err(Fault::Failure(failure)) => return Err(failure),
                Err(Fault::Reject(Reject { reason, .. })) => {
                    values.truncate(origins.len());
                    rejects.push(Reject { row: at as u32, reason });
                    0
                }
            };
            origins.extend(std::iter::repeat_n(at as u32, results));
            one_each &= results == 1;
        }
        Ok(wire::Finished { origins: (!one_each).then_some(origins), values, rejects })
    }

    fn migrate(&self, from_version: u32, accumulators: &Binary) -> Result<Binary, Failure> {
        accumulators.migrate(|bytes| self.0.migrate(from_version, bytes))
    }
}

/// No bytes are a fresh accumulator.
#[inline]
fn decode<T: Aggregator>(bytes: &[u8]) -> Result<T::Accumulator, String> {
    if bytes.is_empty() { Ok(T::Accumulator::default()) } else { T::Accumulator::decode(bytes) }
}

#[cfg(test)]
mod tests;
