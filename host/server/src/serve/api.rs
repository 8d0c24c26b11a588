//! The admin API of a host: HTTP and JSON, described by an OpenAPI document that is made from the handlers.

mod guard;
mod health;
mod jobs;
mod plugins;
mod refusal;
mod tenants;

pub use guard::Guard;
pub use refusal::Refusal;

use super::fleet::Fleet;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A request may have so many bytes: job files are the longest.
const LONGEST_BODY: usize = 1 << 20;

/// What the document says of the API as a whole.
#[derive(OpenApi)]
#[openapi(info(
    title = "wasmill",
    description = "Jobs of a wasmill host: how they are, and what can be done to them. Durations are in seconds, moments are \
                   RFC 3339 in UTC. Whatever is refused comes with a JSON object that has the reason as `error`."
))]
struct Document;

/// All routes. `guard`: which requests are heard at all.
pub fn router(fleet: Arc<Fleet>, guard: Guard) -> Router {
    let (routes, document) = described().split_for_parts();
    routes
        .route("/api/v1/openapi.json", get(|| async { Json(document) }))
        .fallback(refusal::nowhere)
        .with_state(fleet)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(from_fn_with_state(guard, guard::check))
}

fn described() -> OpenApiRouter<Arc<Fleet>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show, jobs::put, jobs::remove))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::restart))
        .routes(routes!(plugins::apply))
        .routes(routes!(plugins::history))
        .routes(routes!(plugins::trial))
        .routes(routes!(plugins::swap))
        .routes(routes!(plugins::settle))
        .routes(routes!(plugins::roll_back))
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::show))
}
