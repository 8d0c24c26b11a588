//! The plugins of a running job: what has become of them, and the same that `wasmill swap`, `rollback` and `apply` do.

use super::Refusal;
use super::caller::Scope;
use super::refusal::{Asked, Body, Result};
use crate::control::{self, Entry, Request};
use crate::job::{JobFile, OpenWindows, Origin};
use crate::live::history::Event;
use crate::serve::status::State as JobState;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wasmill_stream::units::Period;

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// In words.
    done: String,
}

/// A version for a step. At most one of `probation`, `shadow` and `canary`; without, it takes over as the job file says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// The component or the folder of its source, as seen from the job file; or `s3://…`, or `oci://…` pinned by digest.
    plugin: String,
    /// Names of capabilities that are approved for it.
    #[serde(default)]
    grants: Vec<String>,
    /// Why it comes, for the history.
    #[serde(default)]
    why: Option<String>,
    /// How long the plugin before stays ready to be put back, such as `30s`; `0s`: not at all.
    #[serde(default)]
    probation: Option<String>,
    /// What becomes of windows that are open: `continue` or `finish-old`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    open_windows: Option<OpenWindows>,
    /// How long it runs beside the plugin that is there and is only compared, such as `5m`.
    #[serde(default)]
    shadow: Option<String>,
    /// The share of the key groups for which it answers, such as `10%`.
    #[serde(default)]
    canary: Option<String>,
}

/// The end of a trial.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// Whether the version on trial takes over.
    promote: bool,
    /// Why, for the history.
    #[serde(default)]
    why: Option<String>,
}

/// The way back to the version before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// Whether the job goes back as well to where it was before the other version came; else the state stays as it is.
    #[serde(default)]
    rewind: bool,
    /// Why, for the history.
    #[serde(default)]
    why: Option<String>,
}

/// Why something is done.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ForWhat {
    /// For the history.
    why: Option<String>,
}

/// Applies the job file as it is now.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/apply", params(ForWhat), responses(
    (status = 200, body = Done),
    (status = 409, body = Refusal, description = "it was refused; nothing has changed")
))]
pub async fn apply(
    scope: Scope,
    Path(job): Path<String>,
    Asked(ForWhat { why }): Asked<ForWhat>,
) -> Result<Json<Done>> {
    done(&scope, &job, Request::Apply { reason: scope.reason(why) }).await
}

/// What has become of the plugins of a job, the oldest first.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/history", responses(
    (status = 200, body = Vec<Object>, description = "a list of events"),
    (status = 409, body = Refusal, description = "the job does not run")
))]
pub async fn history(scope: Scope, Path(job): Path<String>) -> Result<Json<Vec<Event>>> {
    match ask(&scope, &job, Request::History).await? {
        control::Answer::Events(events) => Ok(Json(events)),
        other => Err(unexpected(&other)),
    }
}

/// What a step runs, and how its trial stands.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/steps/{step}/plugin", responses(
    (status = 200, body = Done),
    (status = 409, body = Refusal, description = "the job does not run, or has no such step")
))]
pub async fn trial(scope: Scope, Path((job, step)): Path<(String, String)>) -> Result<Json<Done>> {
    done(&scope, &job, Request::Trial { step }).await
}

/// Replaces the plugin of a step, or tries another one.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/steps/{step}/swap", request_body = Swap, responses(
    (status = 200, body = Done),
    (status = 409, body = Refusal, description = "it was refused; nothing has changed")
))]
pub async fn swap(
    scope: Scope,
    Path((job, step)): Path<(String, String)>,
    Body(swap): Body<Swap>,
) -> Result<Json<Done>> {
    let invalid = |error: String| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error);
    let file = JobFile::new(scope.job(&job)?.file(), "");
    let plugin = Origin::read(&file, &swap.plugin).map_err(invalid)?;
    let entry = swap.entry().map_err(invalid)?;
    let Swap { grants, why, .. } = swap;
    done(&scope, &job, Request::Swap { step, plugin, grants, entry, reason: scope.reason(why) }).await
}

/// Ends the trial of a step.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/steps/{step}/settle", request_body = Settle, responses(
    (status = 200, body = Done),
    (status = 409, body = Refusal, description = "it was refused; nothing has changed")
))]
pub async fn settle(
    scope: Scope,
    Path((job, step)): Path<(String, String)>,
    Body(Settle { promote, why }): Body<Settle>,
) -> Result<Json<Done>> {
    done(&scope, &job, Request::Settle { step, promote, reason: scope.reason(why) }).await
}

/// Puts the version before back into a step.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/steps/{step}/rollback", request_body = RollBack, responses(
    (status = 200, body = Done),
    (status = 409, body = Refusal, description = "it was refused; nothing has changed")
))]
pub async fn roll_back(
    scope: Scope,
    Path((job, step)): Path<(String, String)>,
    Body(RollBack { rewind, why }): Body<RollBack>,
) -> Result<Json<Done>> {
    done(&scope, &job, Request::RollBack { step, rewind, reason: scope.reason(why) }).await
}

impl Swap {
    fn entry(&self) -> std::result::Result<Entry, String> {
        let millis = |text: &String| text.parse::<Period>().map(|period| period.millis().unsigned_abs());
        match (&self.probation, &self.shadow, &self.canary) {
            (probation, None, None) => {
                let probation = probation.as_ref().map(millis).transpose()?;
                Ok(Entry::TakeOver { probation, open_windows: self.open_windows })
            }
            (None, Some(time), None) => millis(time).map(Entry::Shadow),
            (None, None, Some(share)) => control::key_groups(share).map(Entry::Canary),
            _ => Err("at most one of `probation`, `shadow` and `canary`".to_owned()),
        }
    }
}

async fn ask(scope: &Scope, job: &str, request: Request) -> Result<control::Answer> {
    let hosted = scope.job(job)?;
    match hosted.state() {
        JobState::Running => Ok(control::ask(hosted.file(), &request).await?),
        state => {
            Err(Refusal::new(StatusCode::CONFLICT, format!("{job} is {state}, and only a running job can be asked")))
        }
    }
}

async fn done(scope: &Scope, job: &str, request: Request) -> Result<Json<Done>> {
    match ask(scope, job, request).await? {
        control::Answer::Done(done) => Ok(Json(Done { done })),
        control::Answer::Refused(reason) => Err(Refusal::new(StatusCode::CONFLICT, reason)),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &control::Answer) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the job answered something else: {answer:?}"))
}
