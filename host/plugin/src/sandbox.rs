//! One store: the memory, log and clock that calls into one instance are held to. It knows nothing of the contract.

use crate::engine;
use crate::failure;
use crate::limits::{Limits, Meter};
use crate::log::GuestLog;
use std::fmt;
use std::sync::Arc;
use wasmill_stream::units::Period;
use wasmill_stream::{Error, Result};
use wasmtime::{Engine, Store};

/// Whom messages and log lines are about.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The step of the job; none while a component is being loaded.
    pub(crate) step: Option<Arc<str>>,
    /// Name and version of the plugin; its path until it has told them.
    pub(crate) plugin: Arc<str>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(f, "step `{step}`: ")?;
        }
        write!(f, "plugin {}", self.plugin)
    }
}

/// What the host keeps for an instance.
pub(crate) struct State {
    pub(crate) meter: Meter,
    pub(crate) log: GuestLog,
}

/// A store with its limits. After a failed call it must not be used again.
pub(crate) struct Sandbox {
    store: Store<State>,
    identity: Identity,
    limits: Limits,
}

impl Sandbox {
    pub(crate) fn new(engine: &Engine, identity: Identity, limits: Limits) -> Self {
        let state = State { meter: Meter::new(&limits), log: GuestLog::new(identity.clone(), &limits) };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(usize::try_from(limits.output.bytes()).unwrap_or(usize::MAX));
        Self { store, identity, limits }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs guest code for at most `period`. `function` is what messages call it.
    pub(crate) fn run<R>(
        &mut self,
        function: &str,
        period: Period,
        guest: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R> {
        self.store.set_epoch_deadline(engine::deadline(period));
        self.store.data_mut().log.open();
        let result = guest(&mut self.store);
        self.store.data_mut().log.close();
        result.map_err(|error| {
            let reason = failure::words(&error, self.store.data_mut(), &self.limits, period);
            self.error(function, &reason)
        })
    }

    /// An error of the guest in `function`. Whoever runs the step names it.
    pub(crate) fn error(&self, function: &str, reason: &str) -> Error {
        Error::guest(format!("plugin {}: `{function}` {reason}", self.identity.plugin))
    }

    /// An error of whoever built the plugin or wrote its settings.
    pub(crate) fn invalid(&self, reason: &str) -> Error {
        Error::invalid(format!("{}: {reason}", self.identity))
    }
}
