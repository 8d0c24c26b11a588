//! World `aggregator` as the stream's trait `Aggregate`.

use crate::bindings::exports::wasmill::plugin::aggregation::{self, Guest, GuestIndices};
use crate::component::Component;
use crate::configured::Configured;
use crate::input::{Input, Packed};
use crate::instance::Exports;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::output;
use crate::sandbox::State;
use crate::worker::Worker;
use std::sync::Arc;
use wasmill_stream::plugin::{Accumulated, Aggregate, AggregatePlugin, Finished, Fired, Needs, Plugin, View};
use wasmill_stream::{Binary, Firing, Pane, Result};
use wasmtime::{Store, component};

impl Exports for Guest {
    const INTERFACE: &'static str = Kind::Aggregator.interface();

    fn find(store: &mut Store<State>, instance: &component::Instance) -> wasmtime::Result<Self> {
        GuestIndices::new(&instance.instance_pre(&*store))?.load(store, instance)
    }
}

/// A configured component of world `aggregator`.
pub(crate) struct Aggregator(Arc<Configured<Guest>>);

impl Aggregator {
    pub(crate) fn new(component: &Component, step: &str, settings: &str, limits: Limits) -> Result<Self> {
        Ok(Self(Arc::new(Configured::new(component, Kind::Aggregator, step, settings, limits)?)))
    }
}

impl Plugin for Aggregator {
    fn needs(&self) -> &Needs {
        self.0.needs()
    }
}

impl AggregatePlugin for Aggregator {
    fn instantiate(&self) -> Result<Box<dyn Aggregate>> {
        Ok(Box::new(AggregateWorker {
            worker: Worker::new(self.0.clone())?,
            input: Input::default(),
            accumulators: Packed::default(),
            keys: Packed::default(),
            windows: Windows::default(),
        }))
    }
}

struct AggregateWorker {
    worker: Worker<Guest>,
    input: Input,
    accumulators: Packed,
    keys: Packed,
    windows: Windows,
}

impl Aggregate for AggregateWorker {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        let lowered = self.input.lower(batch);
        let wire = self.accumulators.binary(accumulators);
        self.worker.call(
            "accumulate",
            |guest, store| guest.call_accumulate(store, wire, groups, lowered.batch()),
            |output, _| output::accumulated(output, batch.times.len(), accumulators.len()),
        )
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary> {
        let wire = self.accumulators.binary(accumulators);
        self.worker.call(
            "merge",
            |guest, store| guest.call_merge(store, wire, groups, count),
            |output, _| output::merged(output, count),
        )
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        self.windows.fill(fired.windows);
        let wire = aggregation::Fired {
            starts: &self.windows.starts,
            ends: &self.windows.ends,
            panes: &self.windows.panes,
            keys: self.keys.binary(fired.keys),
            accumulators: self.accumulators.binary(fired.accumulators),
        };
        self.worker.call(
            "finish",
            |guest, store| guest.call_finish(store, wire),
            |output, plugin| output::finished(output, fired.accumulators.len(), plugin.limits()),
        )
    }
}

/// The windows of one firing in columns; the buffers are reused.
#[derive(Default)]
struct Windows {
    starts: Vec<i64>,
    ends: Vec<i64>,
    panes: Vec<aggregation::Pane>,
}

impl Windows {
    fn fill(&mut self, windows: &[Firing]) {
        self.starts.clear();
        self.ends.clear();
        self.panes.clear();
        self.starts.extend(windows.iter().map(|window| window.start));
        self.ends.extend(windows.iter().map(|window| window.end));
        self.panes.extend(windows.iter().map(|window| match window.pane {
            Pane::OnTime => aggregation::Pane::OnTime,
            Pane::Late => aggregation::Pane::Late,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows keep their order, bounds and panes as columns, and nothing of the firing before.
    #[test]
    fn windows_in_columns() {
        let mut windows = Windows::default();
        for _ in 0..2 {
            windows.fill(&[
                Firing { start: 0, end: 10, pane: Pane::OnTime },
                Firing { start: 5, end: 20, pane: Pane::Late },
            ]);
        }
        assert_eq!((windows.starts, windows.ends), (vec![0, 5], vec![10, 20]));
        assert_eq!(windows.panes, [aggregation::Pane::OnTime, aggregation::Pane::Late]);
    }
}
