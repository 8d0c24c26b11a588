//! One worker's own instance of a plugin. A failed call costs the instance, never more: the next call gets a fresh one.

use crate::configured::Configured;
use crate::instance::{Exports, Instance};
use crate::sandbox::State;
use std::sync::Arc;
use wasmill_stream::Result;
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
        function: &str,
        call: impl FnOnce(&E, &mut Store<State>) -> wasmtime::Result<Result<R, String>>,
        check: impl FnOnce(R, &Configured<E>) -> Result<T, String>,
    ) -> Result<T> {
        // Taken out for the call: whichever way it fails, the instance does not come back.
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.configured.instantiate()?,
        };
        let answer = instance.call(function, call, |answer| check(answer, &self.configured))?;
        self.instance = Some(instance);
        Ok(answer)
    }
}
