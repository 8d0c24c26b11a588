//! What an aggregator becomes: one object per instance, set by `configure`, that codes accumulators once per call.

use super::{Aggregator, Results};
use crate::bindings::{Needs, aggregate as wire};
use crate::row::Fields;
use crate::{Accumulator, Batch, Binary, Key, Pane, Reject, Row, Time, Window, log, settings};
use std::cell::RefCell;

/// A configured aggregator.
pub trait Plugin {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<wire::Accumulated, String>;
    fn merge(&self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary, String>;
    fn finish(&self, fired: &wire::Fired) -> Result<wire::Finished, String>;
}

thread_local! {
    /// The plugin of this instance, set by `configure`.
    static PLUGIN: RefCell<Option<Box<dyn Plugin>>> = const { RefCell::new(None) };
}

pub fn configure<T: Aggregator>(settings: &str) -> Result<Needs, String> {
    log::report_panics();
    PLUGIN.set(Some(Box::new(OfRows(settings::parse::<T>(settings)?))));
    let mut fields = Vec::new();
    T::Row::declare(&mut fields);
    Ok(Needs { fields, reads_values: T::Row::READS_VALUES, writes_values: true })
}

pub fn call<R>(call: impl FnOnce(&dyn Plugin) -> Result<R, String>) -> Result<R, String> {
    PLUGIN.with_borrow(|plugin| call(plugin.as_deref().ok_or("a call came before configure")?))
}

struct OfRows<T>(T);

impl<T: Aggregator> Plugin for OfRows<T> {
    fn accumulate(&self, accumulators: &Binary, groups: &[u32], batch: &Batch) -> Result<wire::Accumulated, String> {
        let mut states = accumulators.iter().map(decode::<T>).collect::<Result<Vec<_>, _>>()?;
        let mut reader = T::Row::open(batch, &mut Fields::of(batch))?;
        let mut rejects = Vec::new();
        for (row, &group) in groups.iter().enumerate() {
            let checked = T::Row::read(&mut reader, row).and_then(|read| self.0.check(&read).map(|()| read));
            match checked {
                Ok(read) => self.0.accumulate(&mut states[group as usize], read),
                Err(Reject { reason, .. }) => rejects.push(Reject { row: row as u32, reason }),
            }
        }
        let mut column = Binary::with_capacity(states.len(), accumulators.bytes.len());
        for state in &states {
            state.encode(&mut column.bytes)?;
            column.close();
        }
        Ok(wire::Accumulated { accumulators: column, rejects })
    }

    fn merge(&self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary, String> {
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

    fn finish(&self, fired: &wire::Fired) -> Result<wire::Finished, String> {
        let wire::Fired { starts, ends, panes, keys, accumulators } = fired;
        let mut values = Binary::with_capacity(starts.len(), starts.len() * 128);
        let mut origins = Vec::with_capacity(starts.len());
        let mut one_each = true;
        for at in 0..starts.len() {
            let pane = if panes[at] == wire::Pane::Late { Pane::Late } else { Pane::OnTime };
            let window = Window { start: Time(starts[at]), end: Time(ends[at]), pane };
            let state = decode::<T>(accumulators.get(at))?;
            let results = self.0.finish(window, Key::new(keys.get(at)), state).write(&mut values)?;
            origins.extend(std::iter::repeat_n(at as u32, results));
            one_each &= results == 1;
        }
        Ok(wire::Finished { origins: (!one_each).then_some(origins), values })
    }
}

/// No bytes are a fresh accumulator.
#[inline]
fn decode<T: Aggregator>(bytes: &[u8]) -> Result<T::Accumulator, String> {
    if bytes.is_empty() { Ok(T::Accumulator::default()) } else { T::Accumulator::decode(bytes) }
}

#[cfg(test)]
mod tests;
