//! The admin API of a host: HTTP and JSON, described by an OpenAPI document that is made from the handlers.

mod caller;
mod checkpoints;
mod guard;
mod health;
mod hear;
mod jobs;
mod letters;
mod logs;
mod need;
mod plugins;
mod refusal;
pub mod relay;
mod steps;
mod tenants;

pub use guard::Guard;
pub use hear::Door;
pub use refusal::Refusal;
pub use relay::inner;

use super::fleet::Fleet;
use super::tokens::Verb;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Json, Router};
use need::Need;
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Description};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the document says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "wasmill",
        description = "Jobs of a wasmill host: how they are, and what can be done to them. Durations are in seconds, moments \
                       are RFC 3339 in UTC. Whatever is refused comes with a JSON object that has the reason as `error`. A \
                       job is called `NAME`, that of a tenant `TENANT:NAME`. A host without tokens asks for none."
    ),
    components(schemas(Refusal)),
    modifiers(&Tokens)
)]
struct Document;

/// How the document says what a token is.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut Description) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "Of `wasmill token create`. What it has to be good for is said with each path: read, rows, operate or deploy.",
        ));
        let components = document.components.get_or_insert_with(Components::new);
        components.add_security_scheme(need::SCHEME, SecurityScheme::Http(bearer.build()));
    }
}

/// All routes, behind a door.
pub fn router(fleet: Arc<Fleet>, door: Arc<Door>) -> Router {
    let (routes, document) = described().split_for_parts();
    let extensions = (Extension(Arc::new(document)), Extension(fleet.clone()));
    routes
        .fallback(refusal::nowhere)
        .method_not_allowed_fallback(refusal::no_such_method)
        .with_state(fleet)
        .layer(extensions)
        .layer(from_fn_with_state(door, hear::hear))
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, description = "as OpenAPI", body = Object)))]
async fn document(Extension(document): Extension<Arc<Description>>) -> Json<Description> {
    Json(Description::clone(&document))
}

/// What can be asked, and what it takes.
fn described() -> OpenApiRouter<Arc<Fleet>> {
    let open = |routes| Need::Nothing.of(routes);
    let read = |routes| Need::Verb(Verb::Read).of(routes);
    let rows = |routes| Need::Verb(Verb::Rows).of(routes);
    let operate = |routes| Need::Verb(Verb::Operate).of(routes);
    let deploy = |routes| Need::Verb(Verb::Deploy).of(routes);
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(open(routes!(health::alive)))
        .routes(open(routes!(health::ready)))
        .routes(Need::Token.of(routes!(document)))
        .routes(read(routes!(health::metrics)))
        .routes(read(routes!(jobs::list)))
        .routes(read(routes!(jobs::show)))
        .routes(deploy(routes!(jobs::put, jobs::remove)))
        .routes(operate(routes!(jobs::pause)))
        .routes(operate(routes!(jobs::resume)))
        .routes(operate(routes!(jobs::restart)))
        .routes(rows(routes!(logs::logs)))
        .routes(deploy(routes!(plugins::apply)))
        .routes(read(routes!(plugins::history)))
        .routes(read(routes!(plugins::trial)))
        .routes(deploy(routes!(plugins::swap)))
        .routes(read(routes!(checkpoints::list)))
        .routes(read(routes!(checkpoints::show)))
        .routes(operate(routes!(checkpoints::verify)))
        .routes(operate(routes!(checkpoints::keep)))
        .routes(rows(routes!(letters::list)))
        .routes(read(routes!(steps::explain)))
        .routes(rows(routes!(steps::sample)))
        .routes(operate(routes!(plugins::settle)))
        .routes(operate(routes!(plugins::roll_back)))
        .routes(read(routes!(tenants::list)))
        .routes(read(routes!(tenants::show)))
}
