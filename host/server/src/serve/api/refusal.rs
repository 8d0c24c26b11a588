//! Why a request was not done.

use super::caller::Caller;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use wasmill_stream::{Error, ErrorKind};

/// Why a request was not done, as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refusal {
    /// The reason.
    error: String,
    #[serde(skip)]
    status: StatusCode,
    /// When to ask again.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// The reason, for whoever keeps the log.
#[derive(Debug, Clone)]
pub struct Why(pub String);

/// What handlers return.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// With a status of its own.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { error: error.into(), status, retry_after: None }
    }

    /// Too many requests.
    pub fn too_many(wait: Duration) -> Self {
        let error = "too many requests; `Retry-After` says when the next one is heard";
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, error) }
    }

    /// There is no such job.
    pub fn unknown(error: &Error) -> Self {
        Self::new(StatusCode::NOT_FOUND, error.report())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.report())
    }
}

/// A body of JSON.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Refusal))]
pub struct Body<T>(pub T);

/// What is asked after the `?` of a path.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Refusal))]
pub struct Asked<T>(pub T);

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// There is no such path.
pub async fn nowhere(Extension(caller): Extension<Caller>) -> Refusal {
    let refusal =
        || Refusal::new(StatusCode::NOT_FOUND, "there is nothing here: /api/v1/openapi.json names every path");
    caller.require(None).err().unwrap_or_else(refusal)
}

/// There is, but nothing of this kind can be done with it.
pub async fn no_such_method(Extension(caller): Extension<Caller>) -> Refusal {
    let refusal = || Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "that cannot be done here: `Allow` says what can");
    caller.require(None).err().unwrap_or_else(refusal)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, why) = (self.status, Why(self.error.clone()));
        let retry_after = self.retry_after.map(|wait| wait.as_secs_f64().ceil() as u64);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response.extensions_mut().insert(why);
        response
    }
}
