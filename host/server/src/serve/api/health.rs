//! Whether the host is alive, whether its jobs run, and its metrics.

use super::caller::{Scope, Who};
use super::refusal::Result;
use super::{Refusal, relay};
use crate::serve::metrics::{self, Format};
use crate::serve::status::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;

/// The host answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "always")))]
pub async fn alive() -> &'static str {
    "alive\n"
}

/// Every job that is to run does.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "every job runs, has ended, or was paused"),
    (status = 503, description = "some do not: a line for each, or their number for whoever has no token")
))]
pub async fn ready(scope: Scope) -> (StatusCode, String) {
    let is_well = |state| matches!(state, State::Running | State::Paused | State::Finished);
    let is_known = !matches!(scope.caller.who, Who::Unknown(_));
    let jobs = if is_known { scope.statuses().await } else { scope.all_statuses().await };
    let states = jobs.iter().map(|job| (&job.id, job.state));
    let others: Vec<_> = states.filter(|(_, state)| !is_well(*state)).collect();
    let text = match others.len() {
        0 => return (StatusCode::OK, "ready\n".to_owned()),
        _ if is_known => others.iter().map(|(id, state)| format!("{id} is {state}\n")).collect(),
        number => format!("{number} jobs are not\n"),
    };
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

/// The metrics of all jobs that the token is for: OpenMetrics for whoever accepts it, else Prometheus' older text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "for Prometheus")))]
pub async fn metrics(scope: Scope, headers: HeaderMap) -> Result<impl IntoResponse> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    // The process belongs to whoever runs the host.
    let (tenants, others) = (scope.tenants().await, relay::families(&scope.processes()).await);
    let text = metrics::text(scope.jobs(), &tenants, others, scope.caller.sees(None), format)
        .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], text))
}
