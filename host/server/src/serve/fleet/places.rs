//! Where the jobs of tenants run: in this process, over a gate of their own, or each in a process of its own.

use super::{Fleet, Jobs};
use crate::serve::egress::{Egress, Gate, Machine};
use crate::serve::process::TenantProcess;
use crate::serve::tenant::{Class, Settings, Tenant, TenantStatus, Ways};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinHandle;
use wasmill_stream::Result;

/// Where tenants run.
#[derive(Default)]
pub struct Places {
    /// The ways out of those that run here.
    gates: BTreeMap<String, Gate>,
    /// Those that have a process, with who keeps it.
    processes: BTreeMap<String, (Arc<TenantProcess>, JoinHandle<()>)>,
}

impl Places {
    /// The file of a tenant said something else before, maybe.
    pub fn follow(&self, tenant: &Tenant, before: &Settings) {
        let now = tenant.settings();
        if now == *before {
            return;
        }
        if let Some((process, _)) = self.processes.get(tenant.name()) {
            process.follow(before);
        }
    }

    /// Has all processes end. Returns who keeps them.
    pub fn leave(&mut self) -> Vec<(String, JoinHandle<()>)> {
        let all = std::mem::take(&mut self.processes).into_iter();
        all.map(|(tenant, (process, keeper))| {
            process.leave();
            (tenant, keeper)
        })
        .collect()
    }

    /// What is known here of a tenant beside its jobs.
    pub fn complete(&self, tenant: &str, status: TenantStatus) -> TenantStatus {
        let process = self.processes.get(tenant).map(|(process, _)| process);
        let egress = process.map(|process| process.egress()).or_else(|| self.gates.get(tenant).map(Gate::egress));
        let (connections, refused_connections) = egress.map(Egress::counts).unwrap_or_default();
        let class = if process.is_some() { Class::Process } else { Class::Shared };
        let process = process.map(|process| process.status());
        TenantStatus { class, process, connections, refused_connections, ..status }
    }
}

impl Jobs {
    /// Whether the jobs of a tenant run in this process.
    pub(super) fn runs_here(&self, tenant: &str) -> bool {
        !self.places.processes.contains_key(tenant)
    }
}

impl Fleet {
    /// The process of a tenant, if it has one.
    pub fn process(&self, tenant: &str) -> Option<Arc<TenantProcess>> {
        self.known().places.processes.get(tenant).map(|(process, _)| process.clone())
    }

    /// How many jobs there are, here and in other processes.
    pub fn number(&self) -> usize {
        self.jobs().len() + self.processes().iter().map(|process| process.jobs().len()).sum::<usize>()
    }

    /// All processes of tenants.
    pub fn processes(&self) -> Vec<Arc<TenantProcess>> {
        self.known().places.processes.values().map(|(process, _)| process.clone()).collect()
    }

    /// The ways out of a tenant whose jobs run here.
    pub(super) fn ways(&self, jobs: &Jobs, tenant: &str) -> Option<Ways> {
        let gate = || jobs.places.gates.get(tenant).map(|gate| Ways { out: gate.way.clone(), credentials: None });
        self.ways.clone().or_else(gate)
    }

    /// Has each tenant run where its file says. Who is to move does so when he has left where he was: the next look sees that.
    pub(super) fn place(&self, jobs: &mut Jobs) -> Result<()> {
        if self.ways.is_some() {
            return Ok(());
        }
        let Jobs { tenants, places, keepers, .. } = jobs;
        // The last checkpoints of its jobs may go this way.
        let is_here =
            |tenant: &String| keepers.iter().any(|(id, keeper)| id.tenant() == Some(tenant) && !keeper.is_finished());
        places.gates.retain(|tenant, _| tenants.contains_key(tenant) || is_here(tenant));
        for (tenant, (process, _)) in &places.processes {
            let stays = tenants.get(tenant).is_some_and(|tenant| self.class_of(tenant) == Class::Process);
            if !stays {
                process.leave();
            }
        }
        places.processes.retain(|_, (process, keeper)| !(process.is_leaving() && keeper.is_finished()));
        for (name, tenant) in tenants.iter() {
            if places.processes.contains_key(name) {
                continue;
            }
            let egress = || Egress::new(tenant.clone(), Arc::new(Machine));
            match self.class_of(tenant) {
                Class::Shared if !places.gates.contains_key(name) => {
                    places.gates.insert(name.clone(), Gate::open(egress()?)?);
                }
                Class::Shared => {}
                Class::Process => {
                    let (home, terminal) = (self.home.clone(), self.terminal.clone());
                    let process = Arc::new(TenantProcess::new(tenant.clone(), home, egress()?, terminal));
                    // Its jobs may still be here.
                    let waits: Vec<_> = keepers.extract_if(.., |id, _| id.tenant() == Some(name)).collect();
                    let (kept, gate) = (process.clone(), places.gates.remove(name));
                    let keeper = tokio::spawn(async move {
                        for (_, keeper) in waits {
                            let _ = keeper.await;
                        }
                        drop(gate);
                        kept.keep().await;
                    });
                    places.processes.insert(name.clone(), (process, keeper));
                }
            }
        }
        Ok(())
    }

    fn class_of(&self, tenant: &Tenant) -> Class {
        tenant.class().unwrap_or(self.class)
    }
}
