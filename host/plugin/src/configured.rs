//! A plugin with its settings: configured once when the job is checked, instantiated afresh for every worker.

use crate::component::Component;
use crate::instance::{Exports, Instance};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::sandbox::Identity;
use std::marker::PhantomData;
use wasmill_stream::plugin::Needs;
use wasmill_stream::{Error, Result};

/// What a fresh instance is made of, and what every one of them must need.
pub(crate) struct Configured<E> {
    component: Component,
    identity: Identity,
    settings: String,
    limits: Limits,
    needs: Needs,
    functions: PhantomData<fn() -> E>,
}

impl<E: Exports> Configured<E> {
    /// Lets the plugin judge its settings in an instance of its own.
    pub(crate) fn new(component: &Component, kind: Kind, step: &str, settings: &str, limits: Limits) -> Result<Self> {
        let plugin = component.describe().to_string();
        let identity = Identity { step: Some(step.into()), plugin: plugin.into() };
        if component.kind() != kind {
            return Err(Error::invalid(format!(
                "{identity}: expected a component of world `{kind}`, but {} is one of world `{}`",
                component.origin(),
                component.kind()
            )));
        }
        let needs = Instance::<E>::new(component.pre(), identity.clone(), limits)?.configure(settings)?;
        let (component, settings) = (component.clone(), settings.to_owned());
        Ok(Self { component, identity, settings, limits, needs, functions: PhantomData })
    }

    pub(crate) fn needs(&self) -> &Needs {
        &self.needs
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A fresh instance, configured.
    pub(crate) fn instantiate(&self) -> Result<Instance<E>> {
        let mut instance = Instance::new(self.component.pre(), self.identity.clone(), self.limits)?;
        let needs = instance.configure(&self.settings)?;
        if needs != self.needs {
            return Err(Error::guest(format!(
                "{}: `configure` gave other needs than before for the same settings",
                self.identity
            )));
        }
        Ok(instance)
    }
}
