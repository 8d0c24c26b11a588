//! Whether the host is alive, whether its jobs run, and its metrics.

use super::Refusal;
use super::refusal::Result;
use crate::serve::fleet::Fleet;
use crate::serve::metrics;
use crate::serve::status::State as JobState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use std::sync::Arc;

/// The host answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "always")))]
pub async fn alive() -> &'static str {
    "alive\n"
}

/// Every job that is to run does.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "every job runs, has ended, or was paused"),
    (status = 503, description = "some do not: a line for each")
))]
pub async fn ready(State(fleet): State<Arc<Fleet>>) -> (StatusCode, String) {
    let is_well = |state| matches!(state, JobState::Running | JobState::Paused | JobState::Finished);
    let others: Vec<String> = fleet
        .jobs()
        .iter()
        .map(|job| (job.id().to_string(), job.state()))
        .filter(|(_, state)| !is_well(*state))
        .map(|(name, state)| format!("{name} is {state}\n"))
        .collect();
    match others.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, others.concat()),
    }
}

/// The metrics of all jobs, as OpenMetrics.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "for Prometheus")))]
pub async fn metrics(State(fleet): State<Arc<Fleet>>) -> Result<impl IntoResponse> {
    let text = metrics::text(&fleet)
        .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}
