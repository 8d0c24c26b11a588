//! What tenants may take, and take.

use super::page::{Labels, Page};
use crate::serve::RateStatus;
use crate::serve::TenantStatus;

impl Page {
    /// Each limit of each tenant. One that is not set has no series.
    pub(super) fn tenants(&mut self, tenants: &[TenantStatus]) {
        let of = |tenant: &TenantStatus| vec![("tenant", tenant.name.clone())];
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
    }
}

fn of_quota(tenant: &TenantStatus, quota: &str) -> Labels {
    vec![("tenant", tenant.name.clone()), ("quota", quota.to_owned())]
}

/// Something about what is used and the limit of each pool.
fn pools<T>(tenants: &[TenantStatus], value: impl Fn(u64, Option<u64>) -> Option<T>) -> Vec<(Labels, T)> {
    let each = tenants.iter().flat_map(|tenant| tenant.pools.iter().map(move |pool| (tenant, pool)));
    each.filter_map(|(tenant, (name, pool))| Some((of_quota(tenant, name), value(pool.used, pool.limit)?))).collect()
}
