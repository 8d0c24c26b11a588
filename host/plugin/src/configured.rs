//! A plugin with its settings: configured once when the job is checked, instantiated afresh for every worker.

use crate::account::{Account, Subject};
use crate::component::Component;
use crate::instance::{Exports, Instance};
use crate::kind::Kind;
use crate::limits::Limits;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;
use wasmill_stream::plugin::{Identity, Needs, Plugin};
use wasmill_stream::{Error, GuestFault, GuestLedger, Result};

/// What a fresh instance is made of, and what every one of them must need.
pub(crate) struct Configured<E> {
    component: Component,
    kind: Kind,
    identity: Identity,
    account: Arc<Account>,
    settings: String,
    limits: Limits,
    needs: Needs,
    functions: PhantomData<fn() -> E>,
}

impl<E: Exports> Configured<E> {
    /// Lets the plugin judge its settings in an instance of its own.
    pub(crate) fn new(component: &Component, kind: Kind, step: &str, settings: &str, limits: Limits) -> Result<Self> {
        let plugin = component.describe();
        let sha256 = Some(component.digest().into());
        let subject = Subject { step: Some(step.into()), plugin: plugin.to_string().into(), sha256 };
        if component.kind() != kind {
            return Err(Error::invalid(format!(
                "{subject}: expected a component of world `{kind}`, but {} is one of world `{}`",
                component.origin(),
                component.kind()
            )));
        }
        let limits = limits.for_component(component.size());
        let identity = Identity {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            digest: component.digest().to_owned(),
        };
        // Its counters are not the step's: nobody works with this instance.
        let trial = Arc::new(Account::new(subject.clone(), &limits, component.quota()));
        let needs = Instance::<E>::new(component.pre(), trial, limits)?.configure(settings, kind)?;
        Ok(Self {
            component: component.clone(),
            kind,
            identity,
            account: Arc::new(Account::new(subject, &limits, component.quota())),
            settings: settings.to_owned(),
            limits,
            needs,
            functions: PhantomData,
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A fresh instance, configured.
    pub(crate) fn instantiate(&self) -> Result<Instance<E>> {
        let start = Instant::now();
        let mut instance = Instance::new(self.component.pre(), self.account.clone(), self.limits)?;
        let needs = instance.configure(&self.settings, self.kind)?;
        self.account.ledger.started(start.elapsed());
        if needs != self.needs {
            return Err(Error::guest(
                GuestFault::Contract,
                format!("{}: `configure` gave other needs than before for the same settings", self.account.subject),
            ));
        }
        Ok(instance)
    }
}

impl<E> Plugin for Configured<E> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn state_version(&self) -> u32 {
        self.component.describe().state_version
    }

    fn ledger(&self) -> &Arc<GuestLedger> {
        &self.account.ledger
    }
}
