//! As much of OpenSearch as the sink needs: documents by id, external versions, one result per item. It keeps what it has
//! while the programs that write are killed.

use super::loopback::{self, Reply, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// Documents with this in them are refused.
pub const UNFIT: &str = "\"unfit\"";

/// A running endpoint.
pub struct Search {
    /// Its URL, without a slash at the end.
    pub url: String,
    indexes: Arc<Mutex<BTreeMap<String, Index>>>,
    deaf: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    /// How many wait for an answer since it is deaf.
    in_vain: Arc<AtomicUsize>,
}

/// Documents by id, each with its version; `None`: it was removed.
type Index = BTreeMap<String, (i64, Option<String>)>;

impl Search {
    /// Starts an empty one.
    pub fn start() -> Self {
        Self::start_with(|_, _| {})
    }

    /// Starts an empty one. `seen` is told of every document that is written: its index, and what it is.
    pub fn start_with(seen: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        let (indexes, deaf) = (Arc::<Mutex<BTreeMap<String, Index>>>::default(), Arc::new(AtomicBool::new(false)));
        let (held, is_deaf, in_vain) = (indexes.clone(), deaf.clone(), Arc::<AtomicUsize>::default());
        let broken = Arc::new(AtomicBool::new(false));
        let is_broken = broken.clone();
        let waiting = in_vain.clone();
        let url = loopback::serve(move |request| {
            while is_deaf.load(SeqCst) {
                waiting.fetch_add(1, SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(5));
                waiting.fetch_sub(1, SeqCst);
            }
            if is_broken.load(SeqCst) {
                return Reply::Json(503, json!({"error": {"type": "unavailable", "reason": "by plan"}}).to_string());
            }
            answer(&mut held.lock().expect("no thread panics in here"), &request, &seen)
        });
        Self { url, indexes, deaf, broken, in_vain }
    }

    /// The documents of an index by their ids.
    pub fn documents(&self, index: &str) -> BTreeMap<String, String> {
        let indexes = self.indexes.lock().expect("no thread panics in here");
        let documents = indexes.get(index).into_iter().flatten();
        documents.filter_map(|(id, (_, document))| Some((id.clone(), document.clone()?))).collect()
    }

    /// Whether it lets everyone wait for an answer.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, SeqCst);
    }

    /// Whether it answers that it cannot do anything.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, SeqCst);
    }

    /// Whether somebody waits in vain.
    pub fn is_asked_in_vain(&self) -> bool {
        self.in_vain.load(SeqCst) > 0
    }
}

fn answer(indexes: &mut BTreeMap<String, Index>, request: &Request, seen: &dyn Fn(&str, &str)) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default().trim_matches('/');
    if path == "_mget" {
        return Reply::Json(200, documents(indexes, &request.body));
    }
    if path.ends_with("_bulk") {
        return Reply::Json(200, bulk(indexes, path.strip_suffix("/_bulk"), &request.body, seen));
    }
    match request.method.as_str() {
        // Every index is there, and empty.
        "GET" => Reply::Json(200, json!({path: {"mappings": {}}}).to_string()),
        _ => Reply::Json(400, json!({"error": {"type": "illegal_argument_exception"}}).to_string()),
    }
}

/// What there is under some ids.
fn documents(indexes: &BTreeMap<String, Index>, body: &[u8]) -> String {
    let wanted: Value = serde_json::from_slice(body).expect("it is JSON");
    let document = |wanted: &Value| {
        let Some(index) = wanted["_index"].as_str().and_then(|index| indexes.get(index)) else {
            return json!({"error": {"type": "index_not_found_exception", "reason": "no such index"}});
        };
        match wanted["_id"].as_str().and_then(|id| index.get(id)) {
            Some((_, Some(document))) => json!({"found": true, "_source": source(document)}),
            _ => json!({"found": false}),
        }
    };
    json!({"docs": wanted["docs"].as_array().expect("a list").iter().map(document).collect::<Vec<_>>()}).to_string()
}

fn source(document: &str) -> Value {
    serde_json::from_str(document).expect("documents are JSON")
}

fn bulk(indexes: &mut BTreeMap<String, Index>, of_all: Option<&str>, body: &[u8], seen: &dyn Fn(&str, &str)) -> String {
    let body = std::str::from_utf8(body).expect("bulk requests are text");
    let mut lines = body.lines();
    let mut items = Vec::new();
    while let Some(action) = lines.next() {
        let action: Value = serde_json::from_str(action).expect("an action is JSON");
        let (verb, about) = action.as_object().and_then(|action| action.iter().next()).expect("an action has a verb");
        let document = (verb != "delete").then(|| lines.next().expect("a document"));
        let index = about["_index"].as_str().or(of_all).expect("an index");
        document.into_iter().for_each(|document| seen(index, document));
        let index = indexes.entry(index.to_owned()).or_default();
        let item = match document {
            Some(document) if document.contains(UNFIT) => unfit(),
            _ => keep(index, verb, about, document),
        };
        items.push(json!({verb.as_str(): item}));
    }
    let failed = |item: &Value| item.as_object().is_some_and(|item| item.values().any(|it| it.get("error").is_some()));
    json!({"took": 1, "errors": items.iter().any(failed), "items": items}).to_string()
}

fn unfit() -> Value {
    json!({"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "it is unfit"}})
}

fn keep(index: &mut Index, verb: &str, about: &Value, document: Option<&str>) -> Value {
    // A document without an id would be a new one each time it is sent again.
    let number = index.len();
    let id = about["_id"].as_str().map_or_else(|| format!("#{number}"), str::to_owned);
    let held = index.get(&id).map(|(version, document)| (*version, document.is_some()));
    let is_there = held.is_some_and(|(_, is_there)| is_there);
    let conflict = json!({"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": id}});
    let version = match (verb, about["version"].as_i64(), held) {
        ("create", _, Some((_, true))) => return conflict,
        (_, Some(new), Some((held, _))) if new < held => return conflict,
        (_, Some(new), _) => new,
        (_, None, held) => held.map_or(0, |(version, _)| version) + 1,
    };
    index.insert(id, (version, document.map(str::to_owned)));
    let status = match (verb, is_there) {
        ("delete", false) => 404,
        (_, true) => 200,
        (_, false) => 201,
    };
    json!({"status": status})
}
