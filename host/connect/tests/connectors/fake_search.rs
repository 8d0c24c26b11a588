//! A fake OpenSearch: keeps documents by id, refuses what its script says, and remembers every request.

use crate::http::{Reply, Request, Server};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Semaphore;

/// What happens to a bulk request.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Documents are stored, except those whose value contains one of these texts: they get this status and error type.
    Except(Vec<(&'static str, u16, &'static str)>),
    /// The whole request is refused with this status and body; nothing is stored.
    Refuse(u16, &'static str),
    /// Everything is stored, but the answer breaks off, is someone else's, or never comes.
    Lost(Loss),
}

/// How an answer is lost.
#[derive(Debug, Clone, Copy)]
pub enum Loss {
    /// Half of it comes.
    Cut,
    /// A proxy answers with a page and status 200.
    Html,
    /// The connection closes.
    HungUp,
    /// So many bytes of it come.
    CutAt(usize),
}

/// What the server holds.
#[derive(Default)]
pub struct State {
    /// Documents by `index/id`; those without an id by `index/#number`.
    pub documents: BTreeMap<String, String>,
    /// External versions of documents.
    pub versions: BTreeMap<String, i64>,
    /// Whether every index is a data stream, which only takes documents that are new.
    pub data_stream: bool,
    /// The next turns of bulk requests; then everything is stored.
    pub script: VecDeque<Turn>,
    /// Requests with more bytes are answered with 413.
    pub limit: Option<usize>,
    /// Whether there is no index yet, nor anything else that is asked for.
    pub missing: bool,
    /// Status and body of everything that is no bulk request.
    pub other: Option<(u16, &'static str)>,
    /// Answers to bulk requests wait at this gate.
    pub gate: Option<Arc<Semaphore>>,
    /// All requests.
    pub requests: Vec<Request>,
}

/// A running fake.
pub struct FakeSearch {
    /// Its server.
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeSearch {
    /// Starts an empty server.
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let held = state.clone();
        let server = Server::start(move |request| held.lock().expect("no test panics in here").answer(request)).await;
        Self { server, state }
    }

    /// What it holds.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }
}

impl State {
    /// The number of documents in each bulk request.
    pub fn bulk_sizes(&self) -> Vec<usize> {
        let bulks = self.requests.iter().filter(|request| request.target.ends_with("/_bulk"));
        bulks.map(|request| actions(request).count()).collect()
    }

    fn answer(&mut self, request: Request) -> Reply {
        self.requests.push(request.clone());
        let is_bulk = request.target.ends_with("/_bulk");
        let reply = self.reply(request);
        match self.gate.clone().filter(|_| is_bulk) {
            Some(gate) => Reply::Held(gate, Box::new(reply)),
            None => reply,
        }
    }

    fn reply(&mut self, request: Request) -> Reply {
        if !request.target.ends_with("/_bulk") {
            let missing =
                (404, r#"{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}"#);
            let (status, body) = match (&self.other, request.method.as_str()) {
                (Some(other), _) => *other,
                (None, "GET") if self.data_stream => (200, r#"{".ds-trips-000001":{"data_stream":"trips"}}"#),
                (None, "GET") if self.missing => missing,
                (None, "GET") => (200, r#"{"trips":{"mappings":{}}}"#),
                _ => (200, r#"{"acknowledged":true}"#),
            };
            return Reply::Full(status, body.to_owned());
        }
        if self.limit.is_some_and(|limit| request.body.len() > limit) {
            return Reply::Full(413, String::new());
        }
        match self.script.pop_front().unwrap_or(Turn::Except(Vec::new())) {
            Turn::Refuse(status, body) => Reply::Full(status, body.to_owned()),
            Turn::Except(refused) => Reply::Full(200, self.store(&request, &refused)),
            Turn::Lost(loss) => {
                let answer = self.store(&request, &[]);
                match loss {
                    Loss::Cut => Reply::Cut(200, answer.clone(), answer.len() / 2),
                    Loss::Html => Reply::Full(200, "<html>please wait</html>".to_owned()),
                    Loss::HungUp => Reply::HangUp,
                    Loss::CutAt(bytes) => Reply::Cut(200, answer, bytes),
                }
            }
        }
    }

    fn store(&mut self, request: &Request, refused: &[(&str, u16, &str)]) -> String {
        let index = request.target.trim_end_matches("/_bulk").trim_start_matches('/').to_owned();
        let items: Vec<Value> = actions(request)
            .map(|(action, document)| {
                let (verb, action) = action.as_object().and_then(|action| action.iter().next()).expect("an action");
                let refused = refused.iter().find(|(text, ..)| document.contains(text));
                let refused = refused.map(|(_, status, kind)| (*status, *kind));
                let outcome = match refused.or_else(|| self.refuse(&index, verb, action)) {
                    Some((status, kind)) => json!({"status": status, "error": {"type": kind, "reason": "scripted"}}),
                    None => self.keep(&index, action, document),
                };
                json!({verb.as_str(): outcome})
            })
            .collect();
        json!({"took": 1, "errors": !refused.is_empty(), "items": items}).to_string()
    }

    fn name(&self, index: &str, action: &Value) -> String {
        let index = action["_index"].as_str().unwrap_or(index);
        let id = action["_id"].as_str().map(str::to_owned);
        format!("{index}/{}", id.unwrap_or_else(|| format!("#{}", self.documents.len())))
    }

    /// What the rules about ids and versions have against a document.
    fn refuse(&self, index: &str, verb: &str, action: &Value) -> Option<(u16, &'static str)> {
        let name = self.name(index, action);
        let conflict = Some((409, "version_conflict_engine_exception"));
        let invalid = Some((400, "illegal_argument_exception"));
        let version = action["version"].as_i64();
        match verb {
            "create" if version.is_some() => invalid,
            "create" => conflict.filter(|_| self.documents.contains_key(&name)),
            _ if self.data_stream => invalid,
            _ if version.is_some() && action["version_type"] != "external_gte" => invalid,
            _ => {
                conflict.filter(|_| self.versions.get(&name).is_some_and(|held| version.is_some_and(|new| new < *held)))
            }
        }
    }

    fn keep(&mut self, index: &str, action: &Value, document: &str) -> Value {
        let name = self.name(index, action);
        if let Some(version) = action["version"].as_i64() {
            self.versions.insert(name.clone(), version);
        }
        self.documents.insert(name, document.to_owned());
        json!({"status": 201})
    }
}

/// The action and the document of every pair of lines.
fn actions(request: &Request) -> impl Iterator<Item = (Value, &str)> {
    let body = std::str::from_utf8(&request.body).expect("UTF-8");
    let mut lines = body.lines();
    std::iter::from_fn(move || {
        let action: Value = serde_json::from_str(lines.next()?).expect("an action is JSON");
        Some((action, lines.next().expect("a document follows its action")))
    })
}
