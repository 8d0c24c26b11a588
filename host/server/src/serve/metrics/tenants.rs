//! What tenants may take, and take.

use super::page::{Labels, Page};
use crate::serve::RateStatus;
use crate::serve::TenantStatus;
use crate::serve::process::Phase;
use prometheus_client::registry::Unit;

impl Page {
    /// Each limit of each tenant. One that is not set has no series.
    pub(super) fn tenants(&mut self, tenants: &[TenantStatus]) {
        let of = |tenant: &TenantStatus| vec![("tenant".into(), tenant.name.clone())];
        let jobs = tenants.iter().map(|tenant| (of(tenant), tenant.jobs as f64));
        self.gauge(("wasmill_tenant_jobs", "Jobs that a tenant has"), None, jobs);
        let limits = pools(tenants, |used, limit| limit.map(|limit| (limit, used)));
        let about = ("wasmill_quota_limit", "How much of something all jobs of a tenant may have together");
        let jobs = tenants.iter().filter_map(|tenant| Some((of_quota(tenant, "jobs"), tenant.jobs_limit? as f64)));
        self.gauge(about, None, limits.into_iter().map(|(labels, (limit, _))| (labels, limit as f64)).chain(jobs));
        let used = pools(tenants, |used, _| Some(used as f64));
        self.gauge(("wasmill_quota_used", "How much of it they have"), None, used);
        let each = tenants.iter().flat_map(|tenant| tenant.rates.iter().map(move |rate| (tenant, rate)));
        let rates: Vec<(Labels, &RateStatus)> =
            each.map(|(tenant, (name, rate))| (of_quota(tenant, name), rate)).collect();
        let rates = || rates.iter().map(|(labels, rate)| (labels.clone(), *rate));
        let allowed = rates().filter_map(|(labels, rate)| Some((labels, rate.limit? as f64)));
        let about = ("wasmill_quota_rate_limit", "How much of something all jobs of a tenant may spend in a second");
        self.gauge(about, None, allowed);
        let spent = rates().map(|(labels, rate)| (labels, rate.spent));
        self.counter(("wasmill_quota_spent", "How much of it they have spent: CPU time in nanoseconds, bytes"), spent);
        let waited = rates().map(|(labels, rate)| (labels, rate.waited));
        self.seconds(("wasmill_quota_waited", "For how long they had to wait for it, all together"), waited);
        let refused = rates().map(|(labels, rate)| (labels, rate.refused));
        let pools = tenants
            .iter()
            .flat_map(|tenant| tenant.pools.iter().map(|(name, pool)| (of_quota(tenant, name), pool.refused)));
        let about = ("wasmill_quota_refused", "How often there was not enough, and it was done without");
        self.counter(about, refused.chain(pools));
        let connections = tenants.iter().map(|tenant| (of(tenant), tenant.connections));
        let about = ("wasmill_tenant_connections", "How often the jobs of a tenant were connected to a server");
        self.counter(about, connections);
        let refused = tenants.iter().map(|tenant| (of(tenant), tenant.refused_connections));
        let about = ("wasmill_tenant_connections_refused", "How often they were not, as they may not go there");
        self.counter(about, refused);
        self.processes(tenants);
    }

    /// Of tenants that have a process to themselves.
    fn processes(&mut self, tenants: &[TenantStatus]) {
        let each = || {
            let process =
                |tenant: &TenantStatus| Some((vec![("tenant".into(), tenant.name.clone())], tenant.process.clone()?));
            tenants.iter().filter_map(process)
        };
        let up = each().map(|(labels, process)| (labels, f64::from(process.state == Phase::Running)));
        self.gauge(("wasmill_tenant_process_up", "1 while the process of a tenant runs"), None, up);
        let restarts = each().map(|(labels, process)| (labels, process.restarts));
        let about = ("wasmill_tenant_process_restarts", "How often it has died or could not be started");
        self.counter(about, restarts);
        let cpu = each().map(|(labels, process)| (labels, process.cpu));
        self.seconds(("wasmill_tenant_process_cpu", "CPU time of the process of a tenant"), cpu);
        let memory = each().filter_map(|(labels, process)| Some((labels, process.memory? as f64)));
        let about = ("wasmill_tenant_process_resident_memory", "Memory that it has in use");
        self.gauge(about, Some(Unit::Bytes), memory);
    }
}

fn of_quota(tenant: &TenantStatus, quota: &str) -> Labels {
    vec![("tenant".into(), tenant.name.clone()), ("quota".into(), quota.to_owned())]
}

/// Something about what is used and the limit of each pool.
fn pools<T>(tenants: &[TenantStatus], value: impl Fn(u64, Option<u64>) -> Option<T>) -> Vec<(Labels, T)> {
    let each = tenants.iter().flat_map(|tenant| tenant.pools.iter().map(move |pool| (tenant, pool)));
    each.filter_map(|(tenant, (name, pool))| Some((of_quota(tenant, name), value(pool.used, pool.limit)?))).collect()
}
