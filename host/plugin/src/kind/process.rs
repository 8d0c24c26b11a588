//! World `process` as the stream's trait of that name.

use crate::bindings::exports::wasmill::plugin::processing::{self, Guest, GuestIndices};
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
use wasmill_stream::plugin::{Identity, Needs, Plugin, Process, ProcessPlugin, Processed, Turn};
use wasmill_stream::{Binary, GuestLedger, Result};
use wasmtime::{Store, component};

impl Exports for Guest {
    const INTERFACE: &'static str = Kind::Process.interface();

    fn find(store: &mut Store<State>, instance: &component::Instance) -> wasmtime::Result<Self> {
        GuestIndices::new(&instance.instance_pre(&*store))?.load(store, instance)
    }
}

/// A configured component of world `process`.
pub(crate) struct Processor(Arc<Configured<Guest>>);

impl Processor {
    pub(crate) fn new(component: &Component, step: &str, settings: &str, limits: Limits) -> Result<Self> {
        Ok(Self(Arc::new(Configured::new(component, Kind::Process, step, settings, limits)?)))
    }
}

impl Plugin for Processor {
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

impl ProcessPlugin for Processor {
    fn instantiate(&self) -> Result<Box<dyn Process>> {
        Ok(Box::new(ProcessWorker {
            worker: Worker::new(self.0.clone())?,
            input: Input::default(),
            keys: Packed::default(),
            states: Packed::default(),
        }))
    }
}

struct ProcessWorker {
    worker: Worker<Guest>,
    input: Input,
    keys: Packed,
    states: Packed,
}

/// The latest event time that a turn tells of.
fn latest(turn: &Turn<'_>) -> Option<i64> {
    let reached = match turn.watermark {
        // Nothing is known yet.
        i64::MIN => None,
        // No row will come any more, and every timer fires.
        i64::MAX => turn.timers.times.iter().copied().max(),
        watermark => Some(watermark),
    };
    turn.batch.times.iter().copied().max().max(reached)
}

impl Process for ProcessWorker {
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let lowered = self.input.lower(&turn.batch);
        let (keys, states) = (self.keys.binary(turn.keys), self.states.binary(turn.states));
        let timers = processing::TimersParam { groups: &turn.timers.groups, times: &turn.timers.times };
        let sizes = [size_of_val(turn.groups), size_of_val(timers.groups), size_of_val(timers.times)];
        let bytes = keys.size() + states.size() + lowered.size() + sizes.iter().sum::<usize>();
        let wire = processing::Turn {
            keys,
            states,
            groups: turn.groups,
            batch: lowered.batch(),
            timers,
            watermark: turn.watermark,
            ordered: turn.ordered,
        };
        self.worker.call(
            Call { function: "process", rows: turn.groups.len(), bytes, latest: latest(turn) },
            |guest, store| guest.kind.call_process(store, wire),
            |output, plugin| output::processed(output, turn, plugin.needs(), plugin.limits()),
        )
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        self.worker.migrate(from, states, &mut self.states)
    }
}
