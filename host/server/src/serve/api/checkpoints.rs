//! The checkpoints of a job: which there are, what they hold, whether they are whole, names for those to keep.

use super::Refusal;
use super::caller::Scope;
use super::refusal::{Body, Result};
use crate::checkpoints;
use crate::job::JobFile;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use wasmill_engine::Journal;
use wasmill_stream::checkpoint::{Kind, Manifest, Run};
use wasmill_stream::time::iso8601;
use wasmill_stream::{Error, Result as Done};

/// A checkpoint in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed {
    /// Its number, or the name of a savepoint.
    name: String,
    /// What it is; nothing if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Summary>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A checkpoint in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Its number.
    number: u64,
    /// When it was written, as RFC 3339 in UTC.
    at: String,
    /// Why: `begin` of a run, `periodic`, `stop`, `end` of all sources, or `restore`.
    kind: &'static str,
    /// The number of the run that wrote it.
    run: u64,
    /// Bytes of state.
    state_bytes: u64,
    /// How many splits its sources had.
    splits: usize,
}

/// A checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checkpoint {
    /// What it is.
    checkpoint: Summary,
    /// The name of the job, as its file has it.
    job: String,
    /// The version of wasmill that wrote it.
    wasmill: String,
    /// How many workers there were.
    workers: usize,
    /// Where the splits of each source were.
    sources: BTreeMap<String, BTreeMap<String, Split>>,
    /// What each step knew.
    steps: BTreeMap<String, Step>,
    /// The plugin of each step and source.
    plugins: BTreeMap<String, Plugin>,
}

/// Where a split was.
#[derive(Debug, Serialize, ToSchema)]
pub struct Split {
    /// The last record that was taken in; nothing before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    /// Its watermark, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<String>,
    /// Whether it had ended.
    done: bool,
}

/// What a step knew.
#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    /// What kind of state it is, and the settings that it depends on.
    shape: String,
    /// How far event time had come, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<String>,
    /// The version of the state, as its plugin counts.
    state_version: u32,
    /// Entries of state.
    entries: u64,
    /// Their bytes.
    bytes: u64,
}

/// A plugin.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plugin {
    /// Its name, as it says itself.
    name: String,
    /// Its version, as it says itself.
    version: String,
    /// The digest of the component.
    sha256: String,
}

/// Whether a checkpoint is whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verdict {
    /// Its number, or the name of a savepoint.
    name: String,
    /// What is wrong with it; nothing: it is whole.
    problems: Vec<String>,
}

/// A name for the newest checkpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// a-z, 0-9, `-`, `_` and `.`, but not digits alone.
    name: String,
}

impl Summary {
    fn of(manifest: &Manifest) -> Self {
        let kind = match manifest.kind {
            Kind::Begin => "begin",
            Kind::Periodic => "periodic",
            Kind::Stop => "stop",
            Kind::End => "end",
            Kind::Restore => "restore",
        };
        Self {
            number: manifest.number,
            at: manifest.at.clone(),
            kind,
            run: manifest.run,
            state_bytes: manifest.steps.values().flat_map(|step| &step.runs).map(Run::bytes).sum(),
            splits: manifest.sources.values().map(|source| source.splits.len()).sum(),
        }
    }
}

impl Checkpoint {
    fn of(manifest: Manifest) -> Self {
        let checkpoint = Summary::of(&manifest);
        let Manifest { job, wasmill, workers, sources, steps, plugins, .. } = manifest;
        let sources = sources.into_iter().map(|(name, source)| {
            let split = source.splits.into_iter().map(|(split, mark)| {
                let position = mark.position.map(|position| position.to_string());
                (split, Split { position, watermark: mark.watermark.map(iso8601), done: mark.done })
            });
            (name, split.collect())
        });
        let steps = steps.into_iter().map(|(name, step)| {
            let entries = step.runs.iter().flat_map(|run| &run.segments).map(|segment| segment.entries).sum();
            let bytes = step.runs.iter().map(Run::bytes).sum();
            let (shape, watermark) = (step.shape, step.watermark.map(iso8601));
            (name, Step { shape, watermark, state_version: step.state_version, entries, bytes })
        });
        let plugins = plugins
            .into_iter()
            .map(|(step, mark)| (step, Plugin { name: mark.name, version: mark.version, sha256: mark.sha256 }));
        let (sources, steps, plugins) = (sources.collect(), steps.collect(), plugins.collect());
        Self { checkpoint, job, wasmill, workers, sources, steps, plugins }
    }
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
    let problems = journal.verify(&manifest).await.iter().map(Error::report).collect();
    Ok(Json(Verdict { name: which, problems }))
}

/// Keeps the newest checkpoint under a name. It is at most one interval old while the job runs, and exact when it is paused.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/savepoints", request_body = Keep, responses(
    (status = 201, body = Summary),
    (status = 409, body = Refusal, description = "the job keeps none, or has none yet"),
    (status = 422, body = Refusal, description = "it cannot be called so, or there is one of that name")
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
    let (hosted, parameters) = (scope.job(job)?, scope.parameters());
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
