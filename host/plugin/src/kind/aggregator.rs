//! World `aggregator` as the stream's trait `Aggregate`.

use crate::bindings::exports::wasmill::plugin::aggregation::{self, Guest, GuestIndices};
use crate::component::Component;
use crate::configured::Configured;
use crate::input::{Input, Packed};
use crate::instance::{Call, Exports};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::output;
use crate::sandbox::State;
use crate::worker::Worker;
use std::sync::Arc;
use wasmill_stream::plugin::{
    Accumulated, Aggregate, AggregatePlugin, Finished, Fired, Identity, Merged, Needs, Plugin, View,
};
use wasmill_stream::{Binary, Firing, GuestLedger, Pane, Result};
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
        let (rows, bytes) = (batch.times.len(), wire.size() + size_of_val(groups) + lowered.size());
        let latest = batch.times.iter().copied().max();
        self.worker.call(
            Call { function: "accumulate", rows, bytes, latest },
            |guest, store| guest.kind.call_accumulate(store, wire, groups, lowered.batch()),
            |output, plugin| output::accumulated(output, rows, accumulators.len(), plugin.limits()),
        )
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Merged> {
        let wire = self.accumulators.binary(accumulators);
        let bytes = wire.size() + size_of_val(groups);
        let merged = self.worker.call(
            Call { function: "merge", rows: groups.len(), bytes, latest: None },
            |guest, store| guest.kind.call_merge(store, wire, groups, count),
            |output, plugin| output::states("accumulators", output, count as usize, plugin.limits()),
        );
        merged.map(Merged::from)
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
        let (rows, bytes) = (fired.windows.len(), wire.keys.size() + wire.accumulators.size());
        let latest = fired.windows.iter().map(|window| window.end).max();
        self.worker.call(
            Call { function: "finish", rows, bytes, latest },
            |guest, store| guest.kind.call_finish(store, wire),
            |output, plugin| output::finished(output, fired.accumulators.len(), plugin.limits()),
        )
    }

    fn migrate(&mut self, from: u32, accumulators: &Binary) -> Result<Binary> {
        self.worker.migrate(from, accumulators, &mut self.accumulators)
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
