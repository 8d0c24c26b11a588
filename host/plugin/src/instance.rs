//! One instance of a component in its sandbox, and the lifecycle calls that every kind has.

use crate::account::Account;
use crate::bindings::exports::wasmill::plugin::lifecycle;
use crate::bindings::wasmill::plugin::types;
use crate::component::Description;
use crate::failure::{Allowance, Failure};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::log::printable;
use crate::needs;
use crate::sandbox::{Sandbox, State};
use std::sync::Arc;
use wasmill_stream::Result;
use wasmill_stream::plugin::Needs;
use wasmtime::Store;
use wasmtime::component::{self, InstancePre};

/// The interface that components of every kind export.
pub(crate) const LIFECYCLE: &str = "wasmill:plugin/lifecycle@0.1.0";

/// The functions of one interface of the contract, looked up in an instance and checked against their types.
pub(crate) trait Exports: Sized {
    const INTERFACE: &'static str;

    fn find(store: &mut Store<State>, instance: &component::Instance) -> wasmtime::Result<Self>;
}

impl Exports for lifecycle::Guest {
    const INTERFACE: &'static str = LIFECYCLE;

    fn find(store: &mut Store<State>, instance: &component::Instance) -> wasmtime::Result<Self> {
        lifecycle::GuestIndices::new(&instance.instance_pre(&*store))?.load(store, instance)
    }
}

fn find<E: Exports>(store: &mut Store<State>, instance: &component::Instance) -> Result<E, String> {
    E::find(store, instance)
        .map_err(|error| format!("{} is not as this version of wasmill has it: {error:#}", E::INTERFACE))
}

/// What a component exports: the lifecycle, and the functions `E` of its kind.
pub(crate) struct Functions<E> {
    pub(crate) lifecycle: lifecycle::Guest,
    pub(crate) kind: E,
}

/// A call with data: what messages call it, and how much it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) function: &'static str,
    /// Rows, accumulators or states.
    pub(crate) rows: usize,
    /// The bytes of all columns.
    pub(crate) bytes: usize,
    /// The latest event time that the call tells of, in milliseconds.
    pub(crate) latest: Option<i64>,
}

/// A running instance.
pub(crate) struct Instance<E> {
    sandbox: Sandbox,
    functions: Functions<E>,
}

impl<E: Exports> Instance<E> {
    /// Instantiates; the guest's own start-up code runs within this.
    pub(crate) fn new(pre: &InstancePre<State>, account: Arc<Account>, limits: Limits) -> Result<Self> {
        let mut sandbox = Sandbox::new(pre.engine(), account, limits);
        let (found, _) = sandbox.run("start-up", limits.init(), |store| {
            let instance = pre.instantiate(&mut *store)?;
            let lifecycle = find(store, &instance);
            Ok(lifecycle.and_then(|lifecycle| Ok(Functions { lifecycle, kind: find(store, &instance)? })))
        });
        let functions = found?.map_err(|words| sandbox.invalid(&words))?;
        Ok(Self { sandbox, functions })
    }

    /// Asks who the plugin is.
    pub(crate) fn describe(&mut self) -> Result<Description> {
        let told = self.init("describe", |guest, store| guest.lifecycle.call_describe(store))?;
        let (name, version) = (printable(&told.name), printable(&told.version));
        Ok(Description { name, version, settings: told.settings, state_version: told.state_version })
    }

    /// Hands over the settings and asks what the plugin needs.
    pub(crate) fn configure(&mut self, settings: &str, kind: Kind) -> Result<Needs> {
        self.init("configure", |guest, store| guest.lifecycle.call_configure(store, settings))?
            .map_err(|words| printable(&words))
            .and_then(|told| needs::check(told, kind))
            .map_err(|words| self.sandbox.invalid(&words))
    }

    fn init<R>(
        &mut self,
        function: &str,
        call: impl FnOnce(&Functions<E>, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R> {
        let Self { sandbox, functions } = self;
        sandbox.run(function, sandbox.limits().init(), |store| call(functions, store)).0
    }

    /// Calls a function with data and checks its answer: the guest's own failure and a broken contract become errors.
    pub(crate) fn call<R, T>(
        &mut self,
        about: Call,
        call: impl FnOnce(&Functions<E>, &mut Store<State>) -> wasmtime::Result<Result<R, types::Failure>>,
        check: impl FnOnce(R) -> Result<T, Failure>,
    ) -> Result<T> {
        let Self { sandbox, functions } = self;
        let allowance: Allowance = sandbox.limits().call(about.bytes);
        sandbox.set_clock(about.latest);
        let (answer, took) = sandbox.run(about.function, allowance, |store| call(functions, store));
        sandbox.count(about.function, about.rows, took);
        answer?.map_err(Failure::from).and_then(check).map_err(|failure| sandbox.error(about.function, failure))
    }
}
