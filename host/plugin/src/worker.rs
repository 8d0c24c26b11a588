//! One worker's own instance of a plugin. A failed call costs the instance, never more: the next call gets a fresh one.

use crate::bindings::wasmill::plugin::types;
use crate::configured::Configured;
use crate::failure::Failure;
use crate::input::Packed;
use crate::instance::{Call, Exports, Functions, Instance};
use crate::output;
use crate::sandbox::State;
use std::sync::Arc;
use wasmill_stream::{Binary, Result};
use wasmtime::Store;

/// An instance that replaces itself.
pub(crate) struct Worker<E> {
    configured: Arc<Configured<E>>,
    instance: Option<Instance<E>>,
}

impl<E: Exports> Worker<E> {
    pub(crate) fn new(configured: Arc<Configured<E>>) -> Result<Self> {
        let instance = Some(configured.instantiate()?);
        Ok(Self { configured, instance })
    }

    /// See [`Instance::call`]; `check` is also told what the plugin declared.
    pub(crate) fn call<R, T>(
        &mut self,
        about: Call,
        call: impl FnOnce(&Functions<E>, &mut Store<State>) -> wasmtime::Result<Result<R, types::Failure>>,
        check: impl FnOnce(R, &Configured<E>) -> Result<T, Failure>,
    ) -> Result<T> {
        // Taken out for the call: whichever way it fails, the instance does not come back.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.configured.instantiate()?,
        };
        let answer = instance.call(about, call, |answer| check(answer, &self.configured))?;
        self.instance = Some(instance);
        Ok(answer)
    }

    /// Has accumulators or states of an older version rewritten.
    pub(crate) fn migrate(&mut self, from: u32, states: &Binary, packed: &mut Packed) -> Result<Binary> {
        let wire = packed.binary(states);
        self.call(
            Call { function: "migrate", rows: states.len(), bytes: wire.size(), latest: None },
            |guest, store| guest.lifecycle.call_migrate(store, from, wire),
            |answer, plugin| output::states("states", answer, states.len(), plugin.limits()),
        )
    }
}
