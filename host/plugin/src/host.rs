//! The door of this crate: loads components and makes configured plugins of them.

use crate::bindings::EveryKind;
use crate::cache::Cache;
use crate::compile::Compiler;
use crate::component::{Compiled, Component};
use crate::confined::Child;
use crate::engine::{self, Deadlines};
use crate::grants::Grants;
use crate::kind::aggregator::Aggregator;
use crate::kind::process::Processor;
use crate::kind::transform::Transformer;
use crate::limits::Limits;
use crate::sandbox::State;
use std::sync::Arc;
use wasmill_stream::plugin::{SharedAggregate, SharedProcess, SharedTransform};
use wasmill_stream::quota::Quota;
use wasmill_stream::{Error, Result};
use wasmtime::component::{HasSelf, Linker};

/// Runs plugins. One is enough for a process, and clones are the same one; what it made works on when it is dropped.
#[derive(Clone)]
pub struct Host {
    linker: Linker<State>,
    compiler: Arc<Compiler>,
    quota: Option<Arc<Quota>>,
}

impl Host {
    /// Starts the engine and its clock. Components are compiled in this process, which a hostile one can exhaust: for tests,
    /// and for components of one's own making.
    pub fn new() -> Result<Self> {
        Self::with(Compiler::here(), Deadlines::Kept)
    }

    /// Starts the engine and its clock. Components are compiled in a child process, and taken from the cache if they have
    /// been compiled before.
    pub fn confined(child: Child, cache: Option<Cache>) -> Result<Self> {
        Self::with(Compiler::confined(child, cache), Deadlines::Kept)
    }

    /// Like [`Host::new`], but nothing ends a call that takes too long: code is compiled without the checks. It exists to
    /// measure what they cost.
    #[doc(hidden)]
    pub fn without_deadlines() -> Result<Self> {
        Self::with(Compiler::here(), Deadlines::Ignored)
    }

    fn with(compiler: Compiler, deadlines: Deadlines) -> Result<Self> {
        let mut linker = Linker::new(&engine::start(deadlines)?);
        EveryKind::add_to_linker::<_, HasSelf<State>>(&mut linker, |state: &mut State| state)
            .map_err(|error| Error::invalid(format!("offer the host's functions to plugins: {error:#}")))?;
        Ok(Self { linker, compiler: Arc::new(compiler), quota: None })
    }

    /// The same engine for plugins that take their share of a quota.
    pub fn within(&self, quota: Option<Arc<Quota>>) -> Self {
        Self { quota, ..self.clone() }
    }

    /// Checks and compiles a component, and asks who it is. `origin` is its path, for messages.
    pub fn load(&self, origin: &str, bytes: &[u8]) -> Result<Component> {
        self.load_with(origin, bytes, Grants::default(), &Limits::default())
    }

    /// The same for a component that may import more, with limits for asking who it is.
    pub fn load_with(&self, origin: &str, bytes: &[u8], grants: Grants, limits: &Limits) -> Result<Component> {
        self.compile(origin, bytes)?.load(grants, limits)
    }

    /// Compiles a component, of which nothing is run: to see what it asks for before it gets it.
    pub fn compile(&self, origin: &str, bytes: &[u8]) -> Result<Compiled> {
        Compiled::new(&self.linker, &self.compiler, self.quota.clone(), origin, bytes)
    }

    /// A transform for a step, configured once so that bad settings fail here. `settings` is a JSON object.
    pub fn transform(
        &self,
        component: &Component,
        step: &str,
        settings: &str,
        limits: Limits,
    ) -> Result<SharedTransform> {
        Ok(Arc::new(Transformer::new(component, step, settings, limits)?))
    }

    /// An aggregator for a step, configured once so that bad settings fail here. `settings` is a JSON object.
    pub fn aggregate(
        &self,
        component: &Component,
        step: &str,
        settings: &str,
        limits: Limits,
    ) -> Result<SharedAggregate> {
        Ok(Arc::new(Aggregator::new(component, step, settings, limits)?))
    }

    /// A process for a step, configured once so that bad settings fail here. `settings` is a JSON object.
    pub fn process(&self, component: &Component, step: &str, settings: &str, limits: Limits) -> Result<SharedProcess> {
        Ok(Arc::new(Processor::new(component, step, settings, limits)?))
    }
}
