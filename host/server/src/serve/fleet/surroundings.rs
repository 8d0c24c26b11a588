//! What is around the file of a job: where its values come from, what it may reach, and which way.

use super::{Fleet, Jobs};
use crate::job::Parameters;
use crate::serve::home::JobId;
use crate::serve::tenant::{Tenant, Ways};
use std::sync::Arc;
use wasmill_stream::{Error, Result};

/// Where the values in a job file come from, and what the job may reach.
#[derive(Clone)]
pub struct Surroundings {
    job: String,
    tenant: Option<(Arc<Tenant>, Option<Ways>)>,
    parameters: Vec<(String, String)>,
}

impl Surroundings {
    /// Those of a job.
    pub(super) fn of(fleet: &Fleet, id: &JobId, jobs: &Jobs) -> Self {
        let tenant = id.tenant().and_then(|tenant| {
            let known = jobs.tenants.get(tenant).cloned()?;
            Some((known, fleet.ways(jobs, tenant)))
        });
        Self { job: id.name().to_owned(), tenant, parameters: fleet.parameters.clone() }
    }

    /// As they are now.
    pub fn parameters(&self) -> Result<Parameters> {
        match &self.tenant {
            Some((tenant, Some(ways))) => tenant.surroundings(&self.job, ways.clone()),
            Some((tenant, None)) => Err(Error::unavailable(format!("find the way out of tenant {}", tenant.name()))),
            None => Ok(Parameters::new(self.parameters.iter().cloned())),
        }
    }
}
