//! The server: takes requests apart, and asks `State` for the answers.

use super::super::loopback::{self, Reply, Request};
use super::call::{Call, Outcome, Refusal, arguments, not_found, operation};
use super::fan_out::subscribe;
use super::shard::FakeShard;
use super::state::State;
use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard};

/// A running fake.
pub struct FakeKinesis {
    /// Its URL, without a slash at the end.
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl FakeKinesis {
    /// Starts a server that holds `shards`.
    pub fn start(shards: impl IntoIterator<Item = (&'static str, FakeShard)>) -> Self {
        Self::serve(State::new(shards.into_iter().map(|(id, shard)| (id.to_owned(), shard))))
    }

    /// Starts a server with so many empty shards, which have equal shares of all hashes.
    pub fn with_shards(shards: u64) -> Self {
        Self::serve(State::new(State::even(shards)))
    }

    /// Starts a server without a stream.
    pub fn empty() -> Self {
        let mut state = State::new([]);
        state.is_deleted = true;
        Self::serve(state)
    }

    fn serve(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let held = state.clone();
        let url = loopback::serve(move |request| reply(&held, &request));
        Self { url, state }
    }

    /// What it holds.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test panics in here")
}

/// The answer to a request, with the server's time.
fn reply(state: &Arc<Mutex<State>>, request: &Request) -> Reply {
    let (outcome, now) = {
        let mut held = lock(state);
        let now = held.clock.now();
        (held.admit_call(request, now), now)
    };
    let outcome = match outcome {
        Err(refusal) => refusal.into(),
        Ok(body) => match operation(request) {
            "SubscribeToShard" => subscribe(state, &body),
            name => lock(state).call(name, &body),
        },
    };
    let date = DateTime::from_millis(now).fmt(DateTimeFormat::HttpDate).expect("a time of our age");
    let kind = |body: &str| if body.starts_with('<') { "text/html" } else { "application/x-amz-json-1.1" };
    let headers = |kind: &str| vec![("content-type", kind.to_owned()), ("date", date.clone())];
    match outcome {
        Outcome::Body(status, body) => Reply::Full(status, headers(kind(&body)), body.into_bytes()),
        Outcome::Cut(status, body, keep) => {
            let whole = loopback::render(status, &headers(kind(&body)), body.as_bytes());
            let behind = body.len().saturating_sub(keep);
            Reply::Last(whole[..whole.len() - behind].to_vec())
        }
        Outcome::HangUp => Reply::Last(Vec::new()),
        Outcome::Stream(send) => Reply::Stream(headers("application/vnd.amazon.eventstream"), send),
    }
}

impl State {
    /// The arguments of a call that may be made.
    fn admit_call(&mut self, request: &Request, now: i64) -> Result<Value, Refusal> {
        let body = arguments(request);
        let iterator = body["ShardIterator"].as_str().and_then(|iterator| iterator.split('@').nth(1));
        let shard = body["ShardId"].as_str().or(iterator).map(str::to_owned);
        self.calls.push(Call { operation: operation(request).to_owned(), shard, at: now });
        if let Some(keys) = &self.keys {
            keys.check(request, now)?;
        }
        if let Some((status, code)) = self.refusal {
            self.refused += 1;
            return Err(Refusal::new(code, "scripted").with_status(status));
        }
        let (name, arn) = (body["StreamName"].as_str(), body["StreamARN"].as_str());
        let is_there = !self.is_deleted || operation(request) == "CreateStream";
        if !is_there || !self.is_called(name, arn) {
            return Err(not_found(format!("Stream {} not found.", name.or(arn).unwrap_or_default())));
        }
        Ok(body)
    }

    fn call(&mut self, operation: &str, body: &Value) -> Outcome {
        match operation {
            "CreateStream" => self.create_stream(body).into(),
            "DeleteStream" => self.delete_stream().into(),
            "DescribeStreamSummary" => self.describe().into(),
            "ListShards" => self.list(body).into(),
            "GetShardIterator" => self.iterator(body).into(),
            "GetRecords" => self.records(body),
            "PutRecord" => self.put_record(body),
            "PutRecords" => self.put_records(body),
            "SplitShard" => self.split_shard(body).into(),
            "MergeShards" => self.merge_shards(body).into(),
            "RegisterStreamConsumer" => self.register(body).into(),
            "DescribeStreamConsumer" => self.describe_consumer(body).into(),
            "DeregisterStreamConsumer" => self.deregister(body).into(),
            _ => Refusal::new("UnknownOperationException", operation).into(),
        }
    }
}
