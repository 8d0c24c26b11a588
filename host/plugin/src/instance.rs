//! One instance of a component in its sandbox, and the lifecycle calls that every kind has.

use crate::bindings::exports::wasmill::plugin::lifecycle;
use crate::component::Description;
use crate::limits::Limits;
use crate::log::printable;
use crate::sandbox::{Identity, Sandbox, State};
use wasmill_stream::Result;
use wasmill_stream::plugin::Needs;
use wasmtime::Store;
use wasmtime::component::{self, InstancePre};

/// More fields than this are a mistake or an attack: each costs a scan of every record.
const MAX_FIELDS: usize = 256;

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

/// A running instance with the functions `E` of its kind.
pub(crate) struct Instance<E> {
    sandbox: Sandbox,
    lifecycle: lifecycle::Guest,
    functions: E,
}

impl<E: Exports> Instance<E> {
    /// Instantiates; the guest's own start-up code runs within this.
    pub(crate) fn new(pre: &InstancePre<State>, identity: Identity, limits: Limits) -> Result<Self> {
        let mut sandbox = Sandbox::new(pre.engine(), identity, limits);
        let found = sandbox.run("start-up", limits.init, |store| {
            let instance = pre.instantiate(&mut *store)?;
            let lifecycle = find(store, &instance);
            Ok(lifecycle.and_then(|lifecycle| Ok((lifecycle, find(store, &instance)?))))
        })?;
        let (lifecycle, functions) = found.map_err(|words| sandbox.invalid(&words))?;
        Ok(Self { sandbox, lifecycle, functions })
    }

    /// Asks who the plugin is.
    pub(crate) fn describe(&mut self) -> Result<Description> {
        let Self { sandbox, lifecycle, .. } = self;
        let told = sandbox.run("describe", sandbox.limits().init, |store| lifecycle.call_describe(store))?;
        Ok(Description { name: printable(&told.name), version: printable(&told.version) })
    }

    /// Hands over the settings and asks what the plugin needs.
    pub(crate) fn configure(&mut self, settings: &str) -> Result<Needs> {
        let Self { sandbox, lifecycle, .. } = self;
        let told = sandbox
            .run("configure", sandbox.limits().init, |store| lifecycle.call_configure(store, settings))?
            .map_err(|words| sandbox.invalid(&printable(&words)))?;
        if told.fields.len() > MAX_FIELDS {
            return Err(
                sandbox.invalid(&format!("asks for {} fields, at most {MAX_FIELDS} are possible", told.fields.len()))
            );
        }
        let fields = told.fields.iter().map(|text| text.parse()).collect::<Result<_, String>>();
        let fields = fields.map_err(|problem| sandbox.invalid(&format!("asks for a {}", printable(&problem))))?;
        Ok(Needs { fields, reads_values: told.reads_values, writes_values: told.writes_values })
    }

    /// Calls `function` and checks its answer; both the guest's own error and a broken contract become an error.
    pub(crate) fn call<R, T>(
        &mut self,
        function: &str,
        call: impl FnOnce(&E, &mut Store<State>) -> wasmtime::Result<Result<R, String>>,
        check: impl FnOnce(R) -> Result<T, String>,
    ) -> Result<T> {
        let Self { sandbox, functions, .. } = self;
        let answer = sandbox.run(function, sandbox.limits().call, |store| call(functions, store))?;
        let answer = answer.map_err(|words| sandbox.error(function, &format!("failed: {}", printable(&words))))?;
        check(answer).map_err(|words| sandbox.error(function, &format!("broke the contract: {words}")))
    }
}
