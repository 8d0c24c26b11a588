//! The checkpoints of a job: which there are, what they hold, whether they are whole, names for those to keep.

use super::Refusal;
use super::caller::Scope;
use super::refusal::{Body, Result};
use crate::checkpoints::{self, Checkpoint, Listed, Summary, Verdict};
use crate::job::JobFile;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use wasmill_engine::Journal;
use wasmill_stream::{Error, Result as Done};

/// A name for the newest checkpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// a-z, 0-9, `-`, `_` and `.`, but not digits alone.
    name: String,
}

/// The checkpoints and savepoints of a job, the oldest first, those with names last. Its file says where they are, whether it runs
/// or not.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/checkpoints", responses(
    (status = 200, body = [Listed]),
    (status = 409, body = Refusal, description = "the job keeps none")
))]
pub async fn list(scope: Scope, Path(job): Path<String>) -> Result<Json<Vec<Listed>>> {
    let all = checkpoints::all(&journal(&scope, &job).await?).await?;
    let listed = all.into_iter().filter_map(|(name, found)| match found {
        Ok(manifest) => manifest.map(|manifest| Listed { name, checkpoint: Some(Summary::of(&manifest)), error: None }),
        Err(error) => Some(Listed { name, checkpoint: None, error: Some(error.report()) }),
    });
    Ok(Json(listed.collect()))
}

/// What a checkpoint holds. `which`: its number, the name of a savepoint, or `newest`.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/checkpoints/{which}", responses(
    (status = 200, body = Checkpoint),
    (status = 409, body = Refusal, description = "the job keeps none")
))]
pub async fn show(scope: Scope, Path((job, which)): Path<(String, String)>) -> Result<Json<Checkpoint>> {
    let which = (which != "newest").then_some(which);
    let found = checkpoints::find(&journal(&scope, &job).await?, which.as_deref()).await.map_err(absent)?;
    Ok(Json(Checkpoint::of(found)))
}

/// Reads a checkpoint with all its state and compares digests.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/checkpoints/{which}/verify", responses(
    (status = 200, body = Verdict),
    (status = 409, body = Refusal, description = "the job keeps none")
))]
pub async fn verify(scope: Scope, Path((job, which)): Path<(String, String)>) -> Result<Json<Verdict>> {
    let journal = journal(&scope, &job).await?;
    let wanted = (which != "newest").then_some(which.as_str());
    let manifest = checkpoints::find(&journal, wanted).await.map_err(absent)?;
    Ok(Json(Verdict::of(which, &journal.verify(&manifest).await)))
}

/// Keeps the newest checkpoint under a name. It is at most one interval old while the job runs, and exact when it is paused.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/savepoints", request_body = Keep, responses(
    (status = 201, body = Summary),
    (status = 409, body = Refusal, description = "the job keeps none, or has none yet"),
    (status = 422, body = Refusal, description = "it cannot be called so, or another one is")
))]
pub async fn keep(
    scope: Scope,
    Path(job): Path<String>,
    Body(Keep { name }): Body<Keep>,
) -> Result<(StatusCode, Json<Summary>)> {
    let journal = journal(&scope, &job).await?;
    if journal.newest().await?.is_none() {
        return Err(Refusal::new(StatusCode::CONFLICT, format!("{job} has no checkpoint yet")));
    }
    let kept = checkpoints::keep_newest(&journal, &name).await?;
    Ok((StatusCode::CREATED, Json(Summary::of(&kept))))
}

fn absent(error: Error) -> Refusal {
    match error.kind() {
        wasmill_stream::ErrorKind::Invalid => Refusal::unknown(&error),
        _ => error.into(),
    }
}

/// Where the checkpoints of a job are.
async fn journal(scope: &Scope, job: &str) -> Result<Journal> {
    let hosted = scope.job(job)?;
    let parameters = scope.parameters(&hosted)?;
    let path = hosted.file().clone();
    let reading = spawn_blocking(move || -> Done<_> { checkpoints::settings(&JobFile::read(&path)?, &parameters) });
    let settings = reading.await.map_err(|error| Error::internal(format!("read the job: {error}")))?;
    let none = |error: Error| Refusal::new(StatusCode::CONFLICT, error.report());
    let settings = settings.map_err(none)?.map_err(|problems| {
        let said = problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ");
        Refusal::new(StatusCode::CONFLICT, format!("the job file is wrong: {said}"))
    })?;
    Ok(Journal::new(settings.place.open().await?))
}
