//! How a tenant stands, as the API tells it.

use super::{Class, Tenant};
use crate::serve::process::ProcessStatus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A tenant of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantStatus {
    /// Its name.
    pub name: String,
    /// Where its jobs run.
    pub class: Class,
    /// Its process, if it has one to itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessStatus>,
    /// How often its jobs were connected to a server.
    pub connections: u64,
    /// How often they were not, as they may not go there.
    pub refused_connections: u64,
    /// How many jobs it has.
    pub jobs: usize,
    /// How many it may have; nothing: as many as it likes.
    pub jobs_limit: Option<usize>,
    /// What its jobs take together, by name: `memory` and `state` in bytes, `windows`, `metrics`.
    pub pools: BTreeMap<String, PoolStatus>,
    /// What its jobs take per second: `cpu` in nanoseconds, `output` and `log` in bytes.
    pub rates: BTreeMap<String, RateStatus>,
}

/// Something of which there is so much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PoolStatus {
    /// How much is taken.
    pub used: u64,
    /// How much there is; nothing: no limit.
    pub limit: Option<u64>,
    /// How often there was not enough.
    pub refused: u64,
}

/// Something of which there is so much in a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RateStatus {
    /// How much was spent since the host was started.
    pub spent: u64,
    /// How much there is in a second; nothing: no limit.
    pub limit: Option<u64>,
    /// For how long its jobs had to wait for it, all together, in seconds.
    pub waited: f64,
    /// How often there was not enough, and it was done without.
    pub refused: u64,
}

impl TenantStatus {
    /// How a tenant with so many jobs stands.
    pub fn of(tenant: &Tenant, jobs: usize) -> Self {
        let quota = tenant.quota();
        let pools = quota.pools().map(|(name, pool)| {
            (name.to_owned(), PoolStatus { used: pool.used(), limit: pool.limit(), refused: pool.refused() })
        });
        let rates = quota.rates().map(|(name, rate)| {
            let waited = rate.waited().as_secs_f64();
            (name.to_owned(), RateStatus { spent: rate.spent(), limit: rate.limit(), waited, refused: rate.refused() })
        });
        let (name, jobs_limit) = (tenant.name().to_owned(), tenant.jobs());
        let (class, process, connections, refused_connections) = (Class::Shared, None, 0, 0);
        let (pools, rates) = (pools.into(), rates.into());
        Self { name, class, process, connections, refused_connections, jobs, jobs_limit, pools, rates }
    }
}
