//! What a route takes: said once, where the route is; checked here before its handler runs, and told by the document.

use super::Refusal;
use super::caller::Caller;
use super::relay::{process_of, relay};
use crate::serve::fleet::Fleet;
use crate::serve::tokens::Verb;
use axum::Extension;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

/// The name of the security scheme.
pub const SCHEME: &str = "token";

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Everybody is heard.
    Nothing,
    /// A token, whatever it may do.
    Token,
    /// A token that may do that, with the job if the path names one.
    Verb(Verb),
}

/// What a request was about, told by the answer to whoever keeps the log.
#[derive(Debug, Clone)]
pub struct About {
    /// What it takes.
    pub verb: Option<Verb>,
    /// The job that it names.
    pub job: Option<String>,
}

impl Need {
    fn verb(self) -> Option<Verb> {
        match self {
            Self::Verb(verb) => Some(verb),
            Self::Nothing | Self::Token => None,
        }
    }

    /// Adds routes that take this.
    pub fn of(self, mut routes: UtoipaMethodRouter<Arc<Fleet>>) -> UtoipaMethodRouter<Arc<Fleet>> {
        for (path, item) in &mut routes.1.paths {
            for operation in operations(item) {
                name_parameters(operation, path);
                self.document(operation, path.contains('{'), path.contains("{job}"));
            }
        }
        routes.2 = routes.2.route_layer(from_fn_with_state(self, check));
        routes
    }

    /// Says of an operation what every one has in common.
    fn document(self, operation: &mut Operation, has_names: bool, names_job: bool) {
        let mut say = |status: u16, words: &str| {
            let schema = Ref::from_schema_name(Refusal::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new().description(words).content("application/json", content).build();
            operation.responses.responses.entry(status.to_string()).or_insert_with(|| response.into());
        };
        say(421, "it goes to a host of another name");
        say(429, "too many requests; `Retry-After` says when the next one is heard");
        if self != Self::Nothing {
            say(401, "it has no token, or one that is wrong, revoked, or has expired");
            say(403, "the token may not do that, or not with this job; or a page of another site asks for a change");
            say(503, "the host cannot do that now: it stops, or cannot read its tokens, or write its audit log");
        }
        if has_names {
            say(400, "a name in the path is no text");
        }
        if names_job {
            say(404, "there is no such job");
        }
        if let Some(RefOr::T(body)) = &operation.request_body {
            say(408, "the body has not come in time");
            say(413, "the body is too long");
            if body.content.contains_key("application/json") {
                say(400, "the body is no JSON");
                say(415, "the body is said to be something else than JSON");
                say(422, "the body is not what is asked for");
            }
        }
        let has_query = operation.parameters.iter().flatten().any(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
            RefOr::Ref(_) => false,
        });
        if has_query {
            say(422, "what is asked after the `?` makes no sense");
        }
        let scopes: Vec<&str> = self.verb().map(Verb::name).into_iter().collect();
        operation.security = (self != Self::Nothing).then(|| vec![SecurityRequirement::new(SCHEME, scopes)]);
    }
}

/// Documents the names in a path.
fn name_parameters(operation: &mut Operation, path: &str) {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for name in names {
        let about = match name {
            "job" => "what the job is called: `NAME`, or `TENANT:NAME`",
            "step" => "the name of a step, source or sink in the job file",
            "which" => "the number of a checkpoint, the name of a savepoint, or `newest`",
            _ => "a name",
        };
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(about))
            .schema(Some(String::schema()));
        operation.parameters.get_or_insert_default().push(parameter.build().into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// Refuses who may not do that, and tells what it was about.
async fn check(
    State(need): State<Need>,
    Extension(caller): Extension<Caller>,
    Extension(fleet): Extension<Arc<Fleet>>,
    names: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let named = |wanted: &str| names.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
    let about = About { verb: need.verb(), job: named("job") };
    let mut response = match need.refuses(&caller, about.job.as_deref(), named("tenant").as_deref()) {
        Some(refusal) => refusal.into_response(),
        None => match process_of(&fleet, about.job.as_deref()) {
            Some(process) => relay(&process, &caller, request).await,
            None => next.run(request).await,
        },
    };
    response.extensions_mut().insert(about);
    response
}

impl Need {
    /// Why somebody is not heard, if he is not.
    fn refuses(self, caller: &Caller, job: Option<&str>, tenant: Option<&str>) -> Option<Refusal> {
        if self == Self::Nothing {
            return None;
        }
        // What is no name belongs to nobody, and there is nothing of that name either.
        let of_job = |job: &str| job.split_once(':').map(|(tenant, _)| tenant.to_owned());
        let sight = || {
            job.map_or(Ok(()), |job| caller.require_sight(of_job(job).as_deref()))?;
            tenant.map_or(Ok(()), |tenant| caller.require_sight(Some(tenant)))
        };
        caller.require(self.verb()).and_then(|()| sight()).err()
    }
}
