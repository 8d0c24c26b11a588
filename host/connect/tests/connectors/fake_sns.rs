//! An SNS of one topic, which refuses by script.

use crate::http::{Reply, Request, Server};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;
use url::form_urlencoded;

/// What the topic does with one request that publishes.
#[derive(Debug, Clone)]
pub enum Turn {
    /// It does what it is asked to.
    Fine,
    /// It leaves out every so manyth message, for this reason; whether that is the sender's fault.
    Except(usize, &'static str, bool),
    /// It does what it is asked to, and hangs up.
    Lost,
    /// It does nothing but say this, with this status.
    Says(u16, &'static str),
}

/// What has come to the topic.
#[derive(Default)]
pub struct State {
    /// Parts of requests, by what they are called there, when they came.
    pub messages: Vec<(Instant, BTreeMap<String, String>)>,
    /// What becomes of the next requests.
    pub script: VecDeque<Turn>,
    /// What it says when it is looked at, unless it is there.
    pub looks: Option<(u16, &'static str)>,
    /// The number of messages in each request.
    pub requests: Vec<usize>,
}

/// A running fake.
pub struct FakeSns {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeSns {
    /// An empty topic.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let held = state.clone();
        let server =
            Server::start(move |request| answer(&mut held.lock().expect("no test panics in here"), &request)).await;
        Self { server, state }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// What has come to it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }

    /// What the messages say, in the order in which they came.
    pub fn texts(&self) -> Vec<String> {
        self.state().messages.iter().map(|(_, message)| message["Message"].clone()).collect()
    }
}

fn failure(status: u16, code: &str) -> Reply {
    Reply::Full(
        status,
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>why</Message></Error></ErrorResponse>"),
    )
}

fn answer(state: &mut State, request: &Request) -> Reply {
    assert!(request.header("authorization").contains("/eu-west-1/sns/aws4_request"), "not signed");
    let form: BTreeMap<String, String> = form_urlencoded::parse(&request.body).into_owned().collect();
    assert!(form["TopicArn"].starts_with("arn:aws:sns:eu-west-1:1:alarms"));
    if form["Action"] == "GetTopicAttributes" {
        return match state.looks {
            Some((status, code)) => failure(status, code),
            None => {
                Reply::Full(200, "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes/></GetTopicAttributesResult></GetTopicAttributesResponse>".to_owned())
            }
        };
    }
    assert_eq!(form["Action"], "PublishBatch");
    let turn = state.script.pop_front().unwrap_or(Turn::Fine);
    if let Turn::Says(status, code) = turn {
        return failure(status, code);
    }
    let mut entries = BTreeMap::<usize, BTreeMap<String, String>>::new();
    for (name, value) in form {
        let Some(rest) = name.strip_prefix("PublishBatchRequestEntries.member.") else { continue };
        let (number, name) = rest.split_once('.').expect("a part of an entry");
        entries.entry(number.parse().expect("a number")).or_default().insert(name.to_owned(), value);
    }
    assert!(entries.len() <= 10, "{} messages", entries.len());
    state.requests.push(entries.len());
    let (mut done, mut failed) = (String::new(), String::new());
    for (number, (_, entry)) in entries.into_iter().enumerate() {
        let id = entry["Id"].clone();
        match &turn {
            Turn::Except(every, code, is_fault) if number % every == 0 => failed.push_str(&format!(
                "<member><Id>{id}</Id><Code>{code}</Code><Message>why</Message><SenderFault>{is_fault}</SenderFault></member>"
            )),
            _ => {
                done.push_str(&format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>"));
                state.messages.push((Instant::now(), entry));
            }
        }
    }
    match turn {
        Turn::Lost => Reply::HangUp,
        _ => Reply::Full(
            200,
            format!(
                "<PublishBatchResponse><PublishBatchResult><Successful>{done}</Successful><Failed>{failed}</Failed></PublishBatchResult></PublishBatchResponse>"
            ),
        ),
    }
}
