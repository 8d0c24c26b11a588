//! Who asks, and what of the host is his to see.

use super::refusal::Result;
use super::{Refusal, relay};
use crate::job::Parameters;
use crate::live::history::Reason;
use crate::serve::TenantStatus;
use crate::serve::fleet::Fleet;
use crate::serve::front::Peer;
use crate::serve::home::JobId;
use crate::serve::hosted::Hosted;
use crate::serve::process::TenantProcess;
use crate::serve::status::JobStatus;
use crate::serve::tokens::{Token, Verb};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::sync::Arc;

/// Whoever asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Where he is.
    pub peer: Peer,
    /// Who he is.
    pub who: Who,
}

/// Who somebody is.
#[derive(Debug, Clone)]
pub enum Who {
    /// Nobody is asked: the host has no tokens.
    Anyone,
    /// The bearer of a token, with its name.
    Bearer(Arc<str>, Arc<Token>),
    /// Somebody whom the host has heard, by his name: this is the process of a tenant.
    Relayed(Arc<str>),
    /// He is to have a token, and has none that counts: why.
    Unknown(String),
}

impl Caller {
    /// What the audit log and the history call him.
    pub fn name(&self) -> String {
        match &self.who {
            Who::Bearer(name, _) | Who::Relayed(name) => name.to_string(),
            Who::Anyone | Who::Unknown(_) => self.peer.who(),
        }
    }

    /// Why he may not do that, if he may not.
    pub fn require(&self, verb: Option<Verb>) -> Result<()> {
        match (&self.who, verb) {
            (Who::Unknown(why), _) => Err(Refusal::new(StatusCode::UNAUTHORIZED, why)),
            (Who::Bearer(name, token), Some(verb)) if !token.verbs.contains(&verb) => {
                let verbs: Vec<_> = token.verbs.iter().map(|verb| verb.name()).collect();
                let may = if verbs.is_empty() { "nothing".to_owned() } else { verbs.join(", ") };
                Err(Refusal::new(StatusCode::FORBIDDEN, format!("token {name} may {may}; this takes {verb}")))
            }
            _ => Ok(()),
        }
    }

    /// The tenant whose jobs he may see; `None`: all jobs.
    fn tenant(&self) -> Option<&str> {
        match &self.who {
            Who::Bearer(_, token) => token.tenant.as_deref(),
            Who::Anyone | Who::Relayed(_) | Who::Unknown(_) => None,
        }
    }

    /// Whether he may see what belongs to a tenant, or to whoever runs the host.
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        !matches!(self.who, Who::Unknown(_)) && self.tenant().is_none_or(|own| tenant == Some(own))
    }

    /// Refuses what belongs to others, whether it is there or not.
    pub fn require_sight(&self, tenant: Option<&str>) -> Result<()> {
        match (self.sees(tenant), &self.who) {
            (false, Who::Bearer(name, token)) => {
                let own = token.tenant.as_deref().unwrap_or_default();
                let error = format!("token {name} is for tenant {own}, whose jobs are called {own}:NAME");
                Err(Refusal::new(StatusCode::FORBIDDEN, error))
            }
            _ => Ok(()),
        }
    }
}

/// The jobs of a host as far as the caller may see them. Handlers see no others.
pub struct Scope {
    fleet: Arc<Fleet>,
    /// Whose it is.
    pub caller: Caller,
}

impl Scope {
    /// The jobs, by what they are called.
    pub fn jobs(&self) -> Vec<Arc<Hosted>> {
        let mut jobs = self.fleet.jobs();
        jobs.retain(|job| self.caller.sees(job.id().tenant()));
        jobs
    }

    /// How they are, with those in other processes.
    pub async fn statuses(&self) -> Vec<JobStatus> {
        let others = relay::jobs(&self.processes()).await;
        all(self.jobs(), others).await
    }

    /// Whatever the caller may see, how all jobs are: to be counted.
    pub async fn all_statuses(&self) -> Vec<JobStatus> {
        let others = relay::jobs(&self.fleet.processes()).await;
        all(self.fleet.jobs(), others).await
    }

    /// The processes of tenants.
    pub fn processes(&self) -> Vec<Arc<TenantProcess>> {
        let mut processes = self.fleet.processes();
        processes.retain(|process| self.caller.sees(Some(process.tenant().name())));
        processes
    }

    /// How tenants stand.
    pub async fn tenants(&self) -> Vec<TenantStatus> {
        let mut tenants = self.fleet.tenants();
        tenants.retain(|tenant| self.caller.sees(Some(&tenant.name)));
        relay::tenants(&self.fleet, tenants).await
    }

    /// One of them.
    pub fn job(&self, id: &str) -> Result<Arc<Hosted>> {
        let job = self.fleet.job(id).map_err(|error| Refusal::unknown(&error))?;
        self.caller.require_sight(job.id().tenant())?;
        Ok(job)
    }

    /// All of the host, for what has been found to be the caller's, or is about to become so.
    pub fn fleet(&self, id: &str) -> Result<&Arc<Fleet>> {
        let id: JobId = id.parse()?;
        self.caller.require_sight(id.tenant())?;
        Ok(&self.fleet)
    }

    /// Values of `${NAME}` in the file of a job, and what it may reach.
    pub fn parameters(&self, job: &Hosted) -> Result<Parameters> {
        Ok(self.fleet.parameters(job.id())?)
    }

    /// For the history.
    pub fn reason(&self, why: Option<String>) -> Reason {
        let by = match &self.caller.who {
            Who::Anyone => "api".to_owned(),
            _ => self.caller.name(),
        };
        Reason { by, why }
    }
}

/// How jobs of this process and others are, by what they are called.
async fn all(jobs: Vec<Arc<Hosted>>, mut all: Vec<JobStatus>) -> Vec<JobStatus> {
    for job in jobs {
        all.push(job.status().await);
    }
    all.sort_by_cached_key(|job| job.id.parse::<JobId>().ok());
    all
}

impl FromRequestParts<Arc<Fleet>> for Scope {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, fleet: &Arc<Fleet>) -> Result<Self> {
        // Every request comes through the door that puts it there.
        let unheard = || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody asked who this is");
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(unheard)?;
        Ok(Self { fleet: fleet.clone(), caller })
    }
}
