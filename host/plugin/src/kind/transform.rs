//! World `transform` as the stream's trait of that name.

use crate::bindings::exports::wasmill::plugin::transformer::{Guest, GuestIndices};
use crate::component::Component;
use crate::configured::Configured;
use crate::input::Input;
use crate::instance::{Call, Exports};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::output;
use crate::sandbox::State;
use crate::worker::Worker;
use std::sync::Arc;
use wasmill_stream::plugin::{Identity, Needs, Plugin, Transform, TransformPlugin, Transformed, View};
use wasmill_stream::{GuestLedger, Result};
use wasmtime::{Store, component};

impl Exports for Guest {
    const INTERFACE: &'static str = Kind::Transform.interface();

    fn find(store: &mut Store<State>, instance: &component::Instance) -> wasmtime::Result<Self> {
        GuestIndices::new(&instance.instance_pre(&*store))?.load(store, instance)
    }
}

/// A configured component of world `transform`.
pub(crate) struct Transformer(Arc<Configured<Guest>>);

impl Transformer {
    pub(crate) fn new(component: &Component, step: &str, settings: &str, limits: Limits) -> Result<Self> {
        Ok(Self(Arc::new(Configured::new(component, Kind::Transform, step, settings, limits)?)))
    }
}

impl Plugin for Transformer {
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

impl TransformPlugin for Transformer {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(TransformWorker { worker: Worker::new(self.0.clone())?, input: Input::default() }))
    }
}

struct TransformWorker {
    worker: Worker<Guest>,
    input: Input,
}

impl Transform for TransformWorker {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let lowered = self.input.lower(batch);
        let latest = batch.times.iter().copied().max();
        self.worker.call(
            Call { function: "transform", rows: batch.times.len(), bytes: lowered.size(), latest },
            |guest, store| guest.kind.call_transform(store, lowered.batch()),
            |output, plugin| output::transformed(output, batch.times.len(), plugin.needs(), plugin.limits()),
        )
    }
}
