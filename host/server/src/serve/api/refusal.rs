//! Why a request was not done.

use axum::Json;
use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use wasmill_stream::{Error, ErrorKind};

/// Why a request was not done, as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refusal {
    /// The reason.
    error: String,
    #[serde(skip)]
    status: StatusCode,
}

/// What handlers return.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// With a status of its own.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { error: error.into(), status }
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

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// There is no such path.
pub async fn nowhere() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing here: /api/v1/openapi.json names every path")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
