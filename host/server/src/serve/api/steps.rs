//! A step of a running job, looked into: which windows are open and what holds them, and rows on their way out of it.

use super::Refusal;
use super::caller::Scope;
use super::refusal::{Asked, Result};
use crate::explain::{self, Explanation};
use crate::serve::status::State as JobState;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};
use wasmill_engine::{Lookouts, SampledRow};
use wasmill_stream::dead_letter::Payload;
use wasmill_stream::time::iso8601;

/// Of which key.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfKey {
    /// Only windows of this key.
    key: Option<String>,
}

/// Which rows, how many, and for how long.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// `main`, `late`, `dead`, or the name of a side output: one that somebody reads.
    #[serde(default = "main")]
    #[param(default = "main", required = false)]
    output: String,
    /// At most so many rows.
    #[serde(default = "some")]
    #[param(default = 10, minimum = 1, maximum = 1000, required = false)]
    limit: u16,
    /// For at most so many seconds.
    #[serde(default = "a_while")]
    #[param(default = 10, minimum = 1, maximum = 60, required = false)]
    seconds: u16,
}

fn main() -> String {
    "main".to_owned()
}

fn some() -> u16 {
    10
}

fn a_while() -> u16 {
    10
}

/// A row on its way, one in a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct Row {
    /// Its event time, as RFC 3339 in UTC.
    time: String,
    /// Its key: text, or an object with `base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    key: Option<Payload>,
    /// Its value, the same. There is none where nobody reads values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    value: Option<Payload>,
    /// The key or the value goes on: more than 16 KiB are not shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

impl Row {
    fn of(row: &SampledRow) -> Self {
        let payload = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(Payload::new);
        Self { time: iso8601(row.time), key: payload(&row.key), value: payload(&row.value), cut: row.is_cut }
    }
}

/// Says which windows of a step are open, and which split of which source holds them.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/steps/{step}/explain", params(OfKey), responses(
    (status = 200, body = Explanation),
    (status = 409, body = Refusal, description = "the job does not run"),
    (status = 422, body = Refusal, description = "it has no such step, or nothing waits there"),
))]
pub async fn explain(
    scope: Scope,
    Path((job, step)): Path<(String, String)>,
    Asked(OfKey { key }): Asked<OfKey>,
) -> Result<Json<Explanation>> {
    Ok(Json(explain::explain(&running(&scope, &job)?, &step, key).await?))
}

/// Shows some of the rows that leave a step by an output from now on, a line of JSON for each as it comes: at most five of a
/// batch. Whoever reads slowly sees fewer; the job does not wait.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/steps/{step}/sample", params(Wanted), responses(
    (status = 200, body = Row, content_type = "application/x-ndjson", description = "a line for each row"),
    (status = 409, body = Refusal, description = "the job does not run"),
    (status = 422, body = Refusal, description = "it has no such step, or nobody reads that output"),
))]
pub async fn sample(
    scope: Scope,
    Path((job, step)): Path<(String, String)>,
    Asked(Wanted { output, limit, seconds }): Asked<Wanted>,
) -> Result<Response> {
    if !(1..=1_000).contains(&limit) || !(1..=60).contains(&seconds) {
        let error = "`limit` is from 1 to 1000, `seconds` from 1 to 60";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error));
    }
    let rows = running(&scope, &job)?.step(&step)?.sample(&output, limit.into())?;
    let until = Instant::now() + Duration::from_secs(seconds.into());
    let lines = stream::unfold(rows, move |mut rows| async move {
        let row = timeout_at(until, rows.recv()).await.ok().flatten()?;
        let mut line = serde_json::to_vec(&Row::of(&row)).ok()?;
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), rows))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// The steps of a job that runs.
fn running(scope: &Scope, job: &str) -> Result<Lookouts> {
    let hosted = scope.job(job)?;
    match (hosted.state(), hosted.observed()) {
        (JobState::Running, Some((observed, _))) => Ok(observed.lookouts),
        (state, _) => Err(Refusal::new(
            StatusCode::CONFLICT,
            format!("{job} is {state}, and only a running job can be looked into"),
        )),
    }
}
