//! The dead letters of a job, if they are files of this machine: counted, and shown. To send them once more is a run of its own,
//! which may overwrite results: `wasmill dead-letter replay`.

use super::Refusal;
use super::caller::Scope;
use super::refusal::{Asked, Result};
use crate::dead_letters::{Filter, Letter, Since, files, for_each};
use crate::job::{JobFile, dead_letter_path};
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::{Error, Result as Done};

/// The most that are shown at a time.
const MOST: u32 = 1_000;

/// The most that are left out before.
const FURTHEST: u32 = 1_000_000;

/// Which letters, and how many of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only of this cause, such as `rejected`.
    cause: Option<String>,
    /// Only of this source, step or sink.
    step: Option<String>,
    /// Only what left the pipeline since: a time such as `2024-05-01T10:00:00Z`, or how long ago, such as `2h`.
    since: Option<String>,
    /// At most so many.
    #[serde(default = "some")]
    #[param(default = 10, minimum = 0, maximum = 1000, required = false)]
    limit: u32,
    /// Leave out so many before.
    #[serde(default)]
    #[param(default = 0, minimum = 0, maximum = 1000000, required = false)]
    offset: u32,
}

fn some() -> u32 {
    10
}

/// Letters, in the order in which they were written.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// How many there are of those that are meant.
    total: u64,
    /// Those that were asked for.
    #[schema(value_type = Vec<Object>)]
    letters: Vec<DeadLetter>,
}

/// The dead letters of a job: rows that left the pipeline, with why and from where. Those that it is writing count once their
/// file is complete.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/dead-letters", params(Wanted), responses(
    (status = 200, body = Page),
    (status = 409, body = Refusal, description = "the job keeps none, or not in files of this machine"),
    (status = 422, body = Refusal, description = "the question makes no sense")
))]
pub async fn list(scope: Scope, Path(job): Path<String>, Asked(wanted): Asked<Wanted>) -> Result<Json<Page>> {
    let Wanted { cause, step, since, limit, offset } = wanted;
    let invalid = |error: String| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error);
    if limit > MOST || offset > FURTHEST {
        return Err(invalid(format!("`limit` is at most {MOST}, `offset` at most {FURTHEST}")));
    }
    let since = since.map(|text| text.parse::<Since>()).transpose().map_err(invalid)?;
    let filter = Filter { cause, step, since };
    let hosted = scope.job(&job)?;
    let parameters = scope.parameters(&hosted)?;
    let path = hosted.file().clone();
    let reading = spawn_blocking(move || -> Done<std::result::Result<Page, String>> {
        let letters = match dead_letter_path(&JobFile::read(&path)?, &parameters) {
            Ok(letters) => letters,
            Err(why) => return Ok(Err(why)),
        };
        // Before the first one there is nothing.
        let found = if letters.exists() { files(&[letters]).unwrap_or_default() } else { Vec::new() };
        let (mut page, range) =
            (Page { total: 0, letters: Vec::new() }, u64::from(offset)..u64::from(offset) + u64::from(limit));
        for_each(&found, |Letter { letter, .. }| {
            if filter.takes(&letter) {
                if range.contains(&page.total) {
                    page.letters.push(letter);
                }
                page.total += 1;
            }
            Ok(())
        })?;
        Ok(Ok(page))
    });
    let read = reading.await.map_err(|error| Error::internal(format!("read dead letters: {error}")))??;
    read.map(Json).map_err(|why| Refusal::new(StatusCode::CONFLICT, why))
}
