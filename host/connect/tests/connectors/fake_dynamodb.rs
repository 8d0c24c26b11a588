//! A DynamoDB of one table, which refuses by script.

use crate::http::{Reply, Request, Server};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

/// What the table does with one request that writes.
#[derive(Debug, Clone)]
pub enum Turn {
    /// It does what it is asked to.
    Fine,
    /// It leaves out every so manyth item, and says so.
    Unprocessed(usize),
    /// It does what it is asked to, and hangs up.
    Lost,
    /// It does nothing but say this, with this status.
    Says(u16, &'static str),
}

/// What the table is like and what has come to it.
#[derive(Default)]
pub struct State {
    /// Items by their key, as JSON of DynamoDB.
    pub items: BTreeMap<String, Value>,
    /// What becomes of the next requests.
    pub script: VecDeque<Turn>,
    /// What the description of the table says.
    pub description: Value,
    /// The number of items in each request that wrote.
    pub requests: Vec<usize>,
}

/// A running fake.
pub struct FakeDynamoDb {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeDynamoDb {
    /// A table with the key `id`, which is a number, or with keys of these types.
    pub async fn start(keys: &[(&str, &str, &str)]) -> Self {
        let schema: Vec<_> =
            keys.iter().map(|(name, kind, _)| json!({"AttributeName": name, "KeyType": kind})).collect();
        let types: Vec<_> =
            keys.iter().map(|(name, _, of)| json!({"AttributeName": name, "AttributeType": of})).collect();
        let description = json!({"TableStatus": "ACTIVE", "KeySchema": schema, "AttributeDefinitions": types});
        let state = Arc::new(Mutex::new(State { description, ..State::default() }));
        let held = state.clone();
        let names: Vec<String> = keys.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let server =
            Server::start(move |request| answer(&mut held.lock().expect("no test panics in here"), &request, &names))
                .await;
        Self { server, state }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// What it is like.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }
}

fn failure(status: u16, code: &str) -> Reply {
    Reply::Full(
        status,
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "why"}).to_string(),
    )
}

fn answer(state: &mut State, request: &Request, keys: &[String]) -> Reply {
    assert!(request.header("authorization").contains("/eu-west-1/dynamodb/aws4_request"), "not signed");
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let action = request.header("x-amz-target").split_once('.').map_or("", |(_, action)| action);
    if action == "DescribeTable" {
        return match state.description.is_null() {
            true => failure(400, "ResourceNotFoundException"),
            false => Reply::Full(200, json!({"Table": state.description}).to_string()),
        };
    }
    let turn = state.script.pop_front().unwrap_or(Turn::Fine);
    if let Turn::Says(status, code) = turn {
        return failure(status, code);
    }
    let reply = match action {
        "BatchWriteItem" => batch(state, &body, keys, &turn),
        "PutItem" => put(state, &body, keys),
        other => panic!("an unknown action: {other}"),
    };
    match turn {
        Turn::Lost => Reply::HangUp,
        _ => reply,
    }
}

/// As the service does it: all of a request or nothing, but for what it leaves out.
fn batch(state: &mut State, body: &Value, keys: &[String], turn: &Turn) -> Reply {
    let tables = body["RequestItems"].as_object().expect("requests");
    let (table, puts) = tables.iter().next().expect("a table");
    let puts = puts.as_array().expect("requests");
    state.requests.push(puts.len());
    assert!(puts.len() <= 25, "{} items", puts.len());
    let items: Vec<_> = puts.iter().map(|put| &put["PutRequest"]["Item"]).collect();
    let names: std::collections::BTreeSet<_> = items.iter().map(|item| key(item, keys)).collect();
    assert_eq!(names.len(), items.len(), "an item twice");
    if items.iter().any(|item| item.get("poison").is_some()) {
        return failure(400, "ValidationException");
    }
    let mut left = Vec::new();
    for (number, (put, item)) in puts.iter().zip(items).enumerate() {
        match turn {
            Turn::Unprocessed(every) if number % every == 0 => left.push(put.clone()),
            _ => drop(state.items.insert(key(item, keys), item.clone())),
        }
    }
    let unprocessed: Map<_, _> =
        if left.is_empty() { Map::new() } else { [(table.clone(), left.into())].into_iter().collect() };
    Reply::Full(200, json!({"UnprocessedItems": unprocessed}).to_string())
}

fn put(state: &mut State, body: &Value, keys: &[String]) -> Reply {
    assert_eq!(body["ConditionExpression"], "attribute_not_exists(#version) OR #version < :version");
    let attribute = body["ExpressionAttributeNames"]["#version"].as_str().expect("a name");
    let number = |value: &Value| value["N"].as_str().expect("a number").parse::<f64>().expect("a number");
    let wanted = number(&body["ExpressionAttributeValues"][":version"]);
    let item = &body["Item"];
    state.requests.push(1);
    let there = state.items.get(&key(item, keys)).and_then(|there| there.get(attribute));
    if there.is_some_and(|there| number(there) >= wanted) {
        return failure(400, "ConditionalCheckFailedException");
    }
    state.items.insert(key(item, keys), item.clone());
    Reply::Full(200, "{}".to_owned())
}

fn key(item: &Value, keys: &[String]) -> String {
    let values: Vec<_> = keys.iter().map(|name| item.get(name).expect("a key").to_string()).collect();
    values.join("|")
}
