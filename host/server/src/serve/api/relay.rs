//! What a host asks the processes of its tenants. A request about one of their jobs goes there as it is, once it is known that who
//! asks may ask that; what is about many is put together from what each says. Nothing that a process says is taken for another
//! tenant's.

use super::Refusal;
use super::caller::{Caller, Who};
use super::described;
use super::refusal::Why;
use crate::serve::fleet::Fleet;
use crate::serve::front::Peer;
use crate::serve::home::JobId;
use crate::serve::metrics;
use crate::serve::process::{Phase, TenantProcess};
use crate::serve::status::{JobStatus, State};
use crate::serve::tenant::TenantStatus;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Json, Router};
use futures::future::join_all;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use wasmill_stream::Error;

/// Who asks, as the host tells the process.
const CALLER: HeaderName = HeaderName::from_static("wasmill-caller");
/// Where the process gives its metrics to the host.
const FAMILIES: &str = "/families";
/// A process has so long to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// And may say so much, bytes.
const LONGEST: usize = 64 << 20;

/// The API of the process of a tenant, for its host alone.
pub fn inner(fleet: Arc<Fleet>) -> Router {
    let (routes, document) = described().split_for_parts();
    let families = move |Extension(fleet): Extension<Arc<Fleet>>| async move { Json(metrics::families(fleet.jobs())) };
    routes
        .route(FAMILIES, get(families))
        .with_state(fleet.clone())
        .layer(Extension(Arc::new(document)))
        .layer(Extension(fleet))
        .layer(from_fn(name))
}

/// Takes from the host who asks.
async fn name(mut request: Request, next: Next) -> impl IntoResponse {
    let name = request.headers().get(CALLER).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    let who = name.map_or(Who::Anyone, |name| Who::Relayed(name.into()));
    request.extensions_mut().insert(Caller { peer: Peer::Unix(None), who });
    next.run(request).await
}

/// The process that a job is in, if it is not in this one.
pub fn process_of(fleet: &Fleet, job: Option<&str>) -> Option<Arc<TenantProcess>> {
    fleet.process(job?.parse::<JobId>().ok()?.tenant()?)
}

/// Has a process answer.
pub async fn relay(process: &TenantProcess, caller: &Caller, request: Request) -> axum::response::Response {
    let (mut parts, body) = request.into_parts();
    // A token is for the host.
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.remove(CALLER);
    if !matches!(caller.who, Who::Anyone)
        && let Ok(name) = HeaderValue::from_str(&caller.name())
    {
        parts.headers.insert(CALLER, name);
    }
    let answer = match process.ask(Request::from_parts(parts, body)).await {
        Ok(answer) => answer,
        Err(error) => return Refusal::from(error).into_response(),
    };
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONNECTION);
    parts.headers.remove(header::TRANSFER_ENCODING);
    let is_refusal = parts.status.is_client_error() || parts.status.is_server_error();
    if !is_refusal || body.size_hint().upper().is_none_or(|size| size > LONGEST as u64) {
        return Response::from_parts(parts, Body::new(body));
    }
    // Why, for the log.
    let bytes = axum::body::to_bytes(Body::new(body), LONGEST).await.unwrap_or_default();
    if let Ok(Said { error }) = serde_json::from_slice(&bytes) {
        parts.extensions.insert(Why(error));
    }
    Response::from_parts(parts, Body::from(bytes))
}

#[derive(serde::Deserialize)]
struct Said {
    error: String,
}

/// What a process says to a question of the host itself.
async fn ask<T: DeserializeOwned>(process: &TenantProcess, path: &str) -> std::result::Result<T, Error> {
    let name = process.tenant().name();
    let asked = Request::get(path).header(header::HOST, "localhost").body(Body::empty());
    let asked = asked.map_err(|error| Error::internal(format!("ask for {path}: {error}")))?;
    let answering = async {
        let answer = process.ask(asked).await?;
        let failed =
            |error| Error::unavailable(format!("read what the process of tenant {name} says")).with_source(error);
        let bytes = axum::body::to_bytes(Body::new(answer.into_body()), LONGEST).await.map_err(failed)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::unavailable(format!("understand the process of tenant {name}")).with_source(error))
    };
    let late = |_| Err(Error::unavailable(format!("the process of tenant {name} does not answer")));
    timeout(PATIENCE, answering).await.unwrap_or_else(late)
}

/// How the jobs of processes are.
pub async fn jobs(processes: &[Arc<TenantProcess>]) -> Vec<JobStatus> {
    let all = processes.iter().map(|process| async move {
        let name = process.tenant().name();
        match ask::<Vec<JobStatus>>(process, "/api/v1/jobs").await {
            Ok(jobs) => jobs.into_iter().filter(|job| is_of(name, job)).collect(),
            Err(error) => absent(process, &error.report()),
        }
    });
    join_all(all).await.into_iter().flatten().collect()
}

fn is_of(tenant: &str, job: &JobStatus) -> bool {
    let is_named = job.id.parse::<JobId>().is_ok_and(|id| id.tenant() == Some(tenant) && id.name() == job.name);
    is_named && job.tenant.as_deref() == Some(tenant)
}

/// The jobs of a process that cannot say how they are: those that there are files of.
fn absent(process: &TenantProcess, why: &str) -> Vec<JobStatus> {
    let status = process.status();
    let state = match status.state {
        Phase::Starting => State::Starting,
        Phase::Stopping => State::Stopping,
        Phase::Running | Phase::Restarting | Phase::Gone => State::Restarting,
    };
    let since = crate::serve::status::moment(SystemTime::now());
    let of = |id: JobId| JobStatus {
        id: id.to_string(),
        tenant: id.tenant().map(str::to_owned),
        name: id.name().to_owned(),
        state,
        since: since.clone(),
        reason: Some(why.to_owned()),
        retry_in: status.retry_in,
        restarts: status.restarts,
        run: None,
    };
    process.jobs().into_iter().map(of).collect()
}

/// What is known of tenants, with what their processes say.
pub async fn tenants(fleet: &Fleet, known: Vec<TenantStatus>) -> Vec<TenantStatus> {
    let all = known.into_iter().map(|here| async {
        let Some(process) = fleet.process(&here.name) else { return here };
        let path = format!("/api/v1/tenants/{}", here.name);
        match ask::<TenantStatus>(&process, &path).await {
            Ok(TenantStatus { jobs, pools, rates, .. }) => TenantStatus { jobs, pools, rates, ..here },
            Err(_) => TenantStatus { jobs: process.jobs().len(), ..here },
        }
    });
    join_all(all).await
}

/// The metrics of processes, each with whose they are.
pub async fn families(processes: &[Arc<TenantProcess>]) -> Vec<(String, Vec<metrics::Portion>)> {
    let all = processes.iter().map(|process| async move {
        let name = process.tenant().name().to_owned();
        // The state of the process says why there are none.
        Some((name, ask::<Vec<metrics::Portion>>(process, FAMILIES).await.ok()?))
    });
    join_all(all).await.into_iter().flatten().collect()
}
