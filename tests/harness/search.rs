//! As much of OpenSearch as the sink needs: documents by id, external versions, one result per item. It keeps what it has
//! while the programs that write are killed.

use super::loopback::{self, Reply, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// A running endpoint.
pub struct Search {
    /// Its URL, without a slash at the end.
    pub url: String,
    indexes: Arc<Mutex<BTreeMap<String, Index>>>,
    deaf: Arc<AtomicBool>,
}

/// Documents by id, each with its version.
type Index = BTreeMap<String, (i64, String)>;

impl Search {
    /// Starts an empty one.
    pub fn start() -> Self {
        let (indexes, deaf) = (Arc::<Mutex<BTreeMap<String, Index>>>::default(), Arc::new(AtomicBool::new(false)));
        let (held, is_deaf) = (indexes.clone(), deaf.clone());
        let url = loopback::serve(move |request| {
            while is_deaf.load(SeqCst) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            answer(&mut held.lock().expect("no thread panics in here"), &request)
        });
        Self { url, indexes, deaf }
    }

    /// The documents of an index by their ids.
    pub fn documents(&self, index: &str) -> BTreeMap<String, String> {
        let indexes = self.indexes.lock().expect("no thread panics in here");
        let documents = indexes.get(index).into_iter().flatten();
        documents.map(|(id, (_, document))| (id.clone(), document.clone())).collect()
    }

    /// Whether it lets everyone wait for an answer.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, SeqCst);
    }
}

fn answer(indexes: &mut BTreeMap<String, Index>, request: &Request) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default().trim_matches('/');
    if let Some(index) = path.strip_suffix("/_bulk") {
        return Reply::Json(200, bulk(indexes.entry(index.to_owned()).or_default(), &request.body));
    }
    match (request.method.as_str(), indexes.contains_key(path)) {
        ("GET", true) => Reply::Json(200, json!({path: {"mappings": {}}}).to_string()),
        ("GET", false) => Reply::Json(404, json!({"error": {"type": "index_not_found_exception"}}).to_string()),
        _ => Reply::Json(400, json!({"error": {"type": "illegal_argument_exception"}}).to_string()),
    }
}

fn bulk(index: &mut Index, body: &[u8]) -> String {
    let body = std::str::from_utf8(body).expect("bulk requests are text");
    let mut lines = body.lines();
    let mut items = Vec::new();
    while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
        let action: Value = serde_json::from_str(action).expect("an action is JSON");
        let (verb, about) = action.as_object().and_then(|action| action.iter().next()).expect("an action has a verb");
        items.push(json!({verb.as_str(): keep(index, verb, about, document)}));
    }
    let errors = items.iter().any(|item| !item.pointer("/index/error").unwrap_or(&Value::Null).is_null());
    json!({"took": 1, "errors": errors, "items": items}).to_string()
}

fn keep(index: &mut Index, verb: &str, about: &Value, document: &str) -> Value {
    // A document without an id would be a new one each time it is sent again.
    let number = index.len();
    let id = about["_id"].as_str().map_or_else(|| format!("#{number}"), str::to_owned);
    let held = index.get(&id).map(|(version, _)| *version);
    let conflict = json!({"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": id}});
    let version = match (verb, about["version"].as_i64(), held) {
        ("create", _, Some(_)) => return conflict,
        (_, Some(new), Some(held)) if new < held => return conflict,
        (_, Some(new), _) => new,
        (_, None, held) => held.unwrap_or(0) + 1,
    };
    index.insert(id, (version, document.to_owned()));
    json!({"status": if held.is_some() { 200 } else { 201 }})
}
