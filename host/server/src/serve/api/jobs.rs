//! The jobs of a host: looked at, written, removed, paused, started again.

use super::Refusal;
use super::caller::Scope;
use super::refusal::Result;
use crate::serve::status::JobStatus;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

type Answer = Result<(StatusCode, Json<JobStatus>)>;

/// All jobs that the token is for, by name.
#[utoipa::path(get, path = "/api/v1/jobs", responses((status = 200, body = [JobStatus])))]
pub async fn list(scope: Scope) -> Json<Vec<JobStatus>> {
    Json(scope.statuses().await)
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{job}", responses(
    (status = 200, body = JobStatus),
    (status = 404, body = Refusal)
))]
pub async fn show(scope: Scope, Path(job): Path<String>) -> Answer {
    Ok((StatusCode::OK, Json(scope.job(&job)?.status().await)))
}

/// Writes a job file, which is the body. A new job starts; to one that runs it is applied.
#[utoipa::path(put, path = "/api/v1/jobs/{job}",
    request_body(description = "TOML, whatever its type is said to be",
        content((String = "application/toml"), (String = "text/plain"))),
    responses(
        (status = 202, body = JobStatus, description = "it is written; whether the job runs with it is seen in its state"),
        (status = 422, body = Refusal, description = "it is no job file")
    )
)]
pub async fn put(scope: Scope, Path(job): Path<String>, text: String) -> Answer {
    Ok((StatusCode::ACCEPTED, Json(scope.fleet(&job)?.write(&job, text).await?.status().await)))
}

/// Stops a job with a checkpoint, and removes its file. What it has written and its checkpoints stay.
#[utoipa::path(delete, path = "/api/v1/jobs/{job}", responses(
    (status = 202, body = JobStatus, description = "it stops"),
    (status = 404, body = Refusal)
))]
pub async fn remove(scope: Scope, Path(job): Path<String>) -> Answer {
    let hosted = scope.job(&job)?;
    scope.fleet(&job)?.remove(&job)?;
    Ok((StatusCode::ACCEPTED, Json(hosted.status().await)))
}

/// Stops a job with a checkpoint until it is resumed, also when the host is started again.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/pause", responses(
    (status = 202, body = JobStatus),
    (status = 404, body = Refusal)
))]
pub async fn pause(scope: Scope, Path(job): Path<String>) -> Answer {
    scope.job(&job)?;
    Ok((StatusCode::ACCEPTED, Json(scope.fleet(&job)?.set_paused(&job, true)?.status().await)))
}

/// Has a paused job go on from its last checkpoint.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/resume", responses(
    (status = 202, body = JobStatus),
    (status = 404, body = Refusal)
))]
pub async fn resume(scope: Scope, Path(job): Path<String>) -> Answer {
    scope.job(&job)?;
    Ok((StatusCode::ACCEPTED, Json(scope.fleet(&job)?.set_paused(&job, false)?.status().await)))
}

/// Stops a job with a checkpoint and starts it again; one that has failed or waits is tried at once.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/restart", responses(
    (status = 202, body = JobStatus),
    (status = 404, body = Refusal),
    (status = 409, body = Refusal, description = "it is paused")
))]
pub async fn restart(scope: Scope, Path(job): Path<String>) -> Answer {
    let hosted = scope.job(&job)?;
    if !hosted.restart() {
        return Err(Refusal::new(StatusCode::CONFLICT, format!("{job} is paused: resume it")));
    }
    Ok((StatusCode::ACCEPTED, Json(hosted.status().await)))
}
