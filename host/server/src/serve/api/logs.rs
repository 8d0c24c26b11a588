//! What a job has said lately, and what it says from now on.

use super::Refusal;
use super::caller::Scope;
use super::refusal::Result;
use crate::log::Follower;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use utoipa::IntoParams;

/// The last word to a follower who was not fast enough.
const CUT_OFF: &str = r#"{"level":"warn","target":"note","message":"cut off: the log came faster than it was read, or the job has gone"}"#;

/// Which part of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// At most so many of the last lines; all that are kept if nothing is said.
    lines: Option<usize>,
    /// Whether what comes is sent as well, until the client goes.
    #[serde(default)]
    follow: bool,
}

/// The log of a job: a JSON object on each line, with `at`, `level`, `target`, `message`, and what belongs to it, such as `step` and
/// `plugin`. The host keeps a thousand lines of a job, 256 KiB at most. Whoever follows too slowly is cut off.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/logs", params(Part), responses(
    (status = 200, description = "lines of JSON", body = String, content_type = "application/x-ndjson"),
    (status = 400, body = Refusal, description = "the query is not understood"),
    (status = 404, body = Refusal),
    (status = 429, body = Refusal, description = "too many follow this job")
))]
pub async fn logs(scope: Scope, Path(job): Path<String>, Query(part): Query<Part>) -> Result<impl IntoResponse> {
    let ring = scope.fleet(&job)?.logs(scope.job(&job)?.id());
    let lines = part.lines.unwrap_or(usize::MAX);
    let body = match part.follow {
        true => follow(ring.follow(lines).ok_or_else(|| {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, format!("too many follow the log of {job} already"))
        })?),
        false => Body::from(ring.last(lines).iter().map(|line| format!("{line}\n")).collect::<String>()),
    };
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body))
}

fn follow(Follower { kept, coming }: Follower) -> Body {
    let coming = stream::unfold(Some(coming), |coming| async {
        let mut coming = coming?;
        match coming.recv().await {
            Some(line) => Some((line, Some(coming))),
            None => Some((Arc::from(CUT_OFF), None)),
        }
    });
    let lines = stream::iter(kept).chain(coming);
    Body::from_stream(lines.map(|line| Ok::<_, Infallible>(format!("{line}\n"))))
}
