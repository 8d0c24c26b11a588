//! The door that every request comes through: whether it is heard, who asks, how often; and what of it is written down.

use super::caller::{Caller, Who};
use super::guard::Guard;
use super::need::About;
use super::refusal::{Refusal, Result, Why};
use crate::digest::sha256;
use crate::serve::audit::{Audit, Deed};
use crate::serve::front::Peer;
use crate::serve::keyring::Keyring;
use crate::serve::rate::Rate;
use crate::serve::tokens::{Token, Verb};
use crate::terminal::Terminal;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};

/// A request may have so many bytes: job files are the longest.
const LONGEST_BODY: usize = 1 << 20;

/// A client has so long for them.
const BODY: Duration = Duration::from_secs(30);

/// How often it is looked whether whoever hears an answer that goes on still may.
const LOOK: Duration = Duration::from_secs(1);

/// A path in the log is at most so long.
const LONGEST_PATH: usize = 1_000;

/// Whoever hears requests.
pub struct Door {
    /// Under which names.
    pub guard: RwLock<Guard>,
    /// From whom.
    pub keyring: Keyring,
    /// Whether a token is asked for even if there are none: others can reach the host.
    pub is_public: bool,
    /// How often.
    pub rate: Rate<String>,
    /// What is written of it.
    pub audit: Audit,
    /// Where it is said that this could not be.
    pub terminal: Terminal,
}

impl Door {
    /// It is called otherwise from now on.
    pub fn is_called(&self, guard: Guard) {
        *self.guard.write().unwrap_or_else(PoisonError::into_inner) = guard;
    }

    fn guard(&self) -> Guard {
        self.guard.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who asks, by his token.
    fn caller(&self, peer: Peer, headers: &HeaderMap) -> Result<Caller> {
        let unavailable = |error: wasmill_stream::Error| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("nobody can be heard: {}", error.report()))
        };
        let tokens = self.keyring.tokens().map_err(unavailable)?;
        let Some(tokens) = tokens else {
            let who = match self.is_public {
                false => Who::Anyone,
                true => Who::Unknown("this host hears nobody before it has a token: `wasmill token create`".to_owned()),
            };
            return Ok(Caller { peer, who });
        };
        let unknown = |why: &str| Who::Unknown(why.to_owned());
        let given = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let bearer = given.map(|given| given.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer")));
        let who = match bearer {
            None => unknown("a token is asked for: `Authorization: Bearer …`"),
            Some(None) => unknown("`Authorization` is to be `Bearer` and a token"),
            Some(Some((_, text))) => match tokens.find(text.trim()) {
                None => unknown("there is no such token, or it was revoked"),
                Some((name, token)) if token.has_expired(SystemTime::now()) => {
                    Who::Unknown(format!("token {name} has expired"))
                }
                Some((name, token)) => Who::Bearer(name.into(), Arc::new(token.clone())),
            },
        };
        Ok(Caller { peer, who })
    }

    /// Who asks, if he may now.
    fn admit(&self, request: &Request) -> Result<Caller> {
        if let Some(refusal) = self.guard().refuses(request.method(), request.headers()) {
            return Err(refusal);
        }
        let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::Unix(None));
        let caller = self.caller(peer, request.headers())?;
        let whose = match &caller.who {
            Who::Bearer(_, token) => token.id().to_owned(),
            Who::Anyone | Who::Relayed(_) | Who::Unknown(_) => peer.host().to_string(),
        };
        self.rate.take(whose, Instant::now()).map_err(Refusal::too_many)?;
        // Nothing changes without a token, so there is no reason to read on.
        if changes(request.method()) {
            caller.require(None)?;
        }
        Ok(caller)
    }

    /// Whether a token counts at this moment.
    fn honours(&self, token: &Token) -> bool {
        let tokens = self.keyring.tokens().ok().flatten();
        let is_known = tokens.is_some_and(|tokens| tokens.iter().any(|(_, known)| known.id() == token.id()));
        is_known && !token.has_expired(SystemTime::now())
    }

    /// An answer that goes on, such as a log that is followed, ends when the token does for which it was given.
    fn guarded(self: Arc<Self>, token: Arc<Token>, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        if body.size_hint().exact().is_some() {
            return Response::from_parts(parts, body);
        }
        let ended = async move {
            while self.honours(&token) {
                sleep(LOOK).await;
            }
        };
        Response::from_parts(parts, Body::from_stream(body.into_data_stream().take_until(Box::pin(ended))))
    }

    /// Writes what was asked, unless nothing could come of it.
    async fn tell(self: &Arc<Self>, deed: Deed, is_refusal: bool) {
        let door = self.clone();
        let telling =
            spawn_blocking(move || if is_refusal { door.audit.refuse(&deed) } else { door.audit.tell(&deed) });
        let told = telling.await.map_err(|error| wasmill_stream::Error::internal(format!("tell: {error}")));
        if let Err(error) = told.flatten() {
            self.terminal.note(&error.report());
        }
    }
}

/// Whether a request may change something.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Answers a request, or says why not, and writes down what is to be.
pub async fn hear(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if !changes(request.method()) {
        return answer(door, request, next).await;
    }
    // By itself: a change that has begun comes to its end, and into the log, even if the client goes away.
    let answered = tokio::spawn(answer(door, request, next)).await;
    answered.unwrap_or_else(|error| lost(&error).into_response())
}

fn lost(error: &JoinError) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer was lost: {error}"))
}

async fn answer(door: Arc<Door>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::Unix(None));
    let is_change = changes(request.method());
    let mut deed = Deed {
        who: peer.who(),
        token: None,
        peer: peer.to_string(),
        verb: None,
        method: request.method().to_string(),
        path: request.uri().path().chars().take(LONGEST_PATH).collect(),
        job: None,
        body_sha256: None,
        status: 0,
        error: None,
    };
    let response = match door.admit(&request) {
        Err(refusal) => refusal.into_response(),
        Ok(caller) => {
            deed.who = caller.name();
            let token = match &caller.who {
                Who::Bearer(_, token) => Some(token.clone()),
                Who::Anyone | Who::Relayed(_) | Who::Unknown(_) => None,
            };
            deed.token = token.as_ref().map(|token| token.id().to_owned());
            let response = match is_change {
                false => next.run(with(request, caller)).await,
                true => change(&door, with(request, caller), next, &mut deed).await.into_response(),
            };
            match token {
                Some(token) => door.clone().guarded(token, response),
                None => response,
            }
        }
    };
    let response = told(response).await;
    let about = response.extensions().get::<About>();
    deed.verb = about.and_then(|about| about.verb).map(Verb::name);
    deed.job = about.and_then(|about| about.job.clone());
    deed.status = response.status().as_u16();
    deed.error = response.extensions().get::<Why>().map(|why| why.0.clone());
    let is_refusal = matches!(deed.status, 401 | 403 | 421 | 429);
    let is_look_at_rows = about.is_some_and(|about| about.verb == Some(Verb::Rows));
    if is_change || is_refusal || is_look_at_rows {
        door.tell(deed, is_refusal).await;
    }
    response
}

/// What a handler could not even be asked, for its path or its body, is said as every other refusal is.
async fn told(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    if !response.status().is_client_error() || kind.is_some_and(|kind| !kind.starts_with(b"text/plain")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, LONGEST_BODY).await.unwrap_or_default();
    let mut said = Refusal::new(parts.status, String::from_utf8_lossy(&text)).into_response();
    said.extensions_mut().extend(parts.extensions);
    said
}

fn with(mut request: Request, caller: Caller) -> Request {
    request.extensions_mut().insert(caller);
    request
}

/// Has a change made, once its body is there and the log is ready for it.
async fn change(door: &Arc<Door>, request: Request, next: Next, deed: &mut Deed) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let body = match timeout(BODY, to_bytes(body, LONGEST_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let error = format!("the body has not come whole, or has more than {LONGEST_BODY} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Err(_) => {
            let error = format!("the body has not come within {} s", BODY.as_secs());
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error));
        }
    };
    if !body.is_empty() {
        deed.body_sha256 = Some(sha256(&body));
    }
    let ready = {
        let door = door.clone();
        spawn_blocking(move || door.audit.ready())
    };
    ready.await.map_err(|error| lost(&error))?.map_err(|error| {
        let error = format!("nothing is changed that cannot be written down: {}", error.report());
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
    })?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}
