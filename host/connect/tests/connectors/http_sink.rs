//! The `http` sink against a server on loopback that answers by script. Signatures are verified here by what the specification of
//! Standard Webhooks says.

use crate::harness::{self, PATIENCE, SECRET};
use crate::http::{Reply, Request, Server, refusing_address};
use crate::sink_suite::{self, records, rows, write_all, write_batches};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use wasmill_stream::Guarantee;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink};

/// What has come, and what is said to it.
#[derive(Default)]
struct State {
    /// Requests that were answered with a success, and those whose answers were lost.
    taken: Vec<Request>,
    /// All of them.
    all: Vec<(std::time::Instant, Request)>,
    script: VecDeque<Turn>,
}

#[derive(Clone)]
enum Turn {
    Fine,
    /// It is taken, and nobody says so.
    Lost,
    /// Status, a header, and a body.
    Says(u16, Option<(&'static str, String)>),
    /// The same of every request whose body contains this.
    Poison(&'static str),
}

struct Hook {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Hook {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let held = state.clone();
        let answer = move |request: Request| {
            let mut state = held.lock().expect("no test panics in here");
            state.all.push((std::time::Instant::now(), request.clone()));
            let turn = state.script.pop_front().unwrap_or(Turn::Fine);
            match turn {
                Turn::Fine => {}
                Turn::Lost => {
                    state.taken.push(request);
                    return Reply::HangUp;
                }
                Turn::Says(status, header) => {
                    return Reply::Bytes(status, header.into_iter().collect(), b"why".to_vec());
                }
                Turn::Poison(words) => {
                    state.script.push_front(Turn::Poison(words));
                    if String::from_utf8_lossy(&request.body).contains(words) {
                        return Reply::Bytes(422, vec![], b"why".to_vec());
                    }
                }
            }
            state.taken.push(request);
            Reply::Full(204, String::new())
        };
        Self { server: Server::start(answer).await, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }

    fn sink(&self, more: &str) -> Box<dyn Sink> {
        harness::sink("http", &format!("url = \"{}/in?token=hush\"\n{more}", self.server.address))
            .expect("good settings")
    }

    /// The rows that were taken, in order, each request once.
    fn rows(&self) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let state = self.state();
        let once = state.taken.iter().filter(|request| seen.insert(request.header("webhook-id").to_owned()));
        once.flat_map(|request| {
            let text = String::from_utf8(request.body.clone()).expect("UTF-8");
            match serde_json::from_str(&text) {
                Ok(Value::Array(rows)) => rows,
                Ok(row) => vec![row],
                Err(_) => text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(),
            }
        })
        .collect()
    }
}

fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"n": n})).collect()
}

/// A row in a request, an array, and lines → all rows, and each request says what its body is.
#[tokio::test]
async fn bodies() {
    for (more, kind, size) in [
        ("", "application/json", 12),
        ("body = \"array\"\nbatch_rows = 5", "application/json", 3),
        ("body = \"lines\"", "application/x-ndjson", 1),
        ("body = \"lines\"\nbatch_bytes = \"20\"", "application/x-ndjson", 6),
    ] {
        let hook = Hook::start().await;
        assert_eq!(hook.sink(more).guarantee(), Guarantee::AtLeastOnce);
        write_all(hook.sink(more), &rows(12), 10).await;
        let state = hook.state();
        assert!(
            state.all.iter().all(|(_, request)| request.header("content-type") == kind && request.method == "POST")
        );
        assert!(state.all.iter().all(|(_, request)| request.target == "/in?token=hush"));
        assert!(state.taken.len() >= size.min(3), "{more}: {}", state.taken.len());
        drop(state);
        assert_eq!(hook.rows(), numbered(12), "{more}");
    }
}

/// Servers that are busy, broken or slow to say so, and lost answers → every row in order, and what came twice has the same id and
/// the same body.
#[tokio::test]
async fn requests_are_tried_again() {
    for more in [
        "",
        "body = \"array\"\nbatch_rows = 4",
        "body = \"lines\"\nbatch_rows = 7\nconcurrency = 4\norder_by = \"/same\"",
    ] {
        let hook = Hook::start().await;
        let turns = [
            Turn::Says(503, None),
            Turn::Lost,
            Turn::Fine,
            Turn::Says(429, None),
            Turn::Says(408, None),
            Turn::Fine,
            Turn::Says(500, None),
        ];
        hook.state().script = turns.into_iter().cycle().take(30).collect();
        let values: Vec<_> = (0..60).map(|n| json!({"n": n, "same": "x"}).to_string()).collect();
        let ledger = write_batches(hook.sink(more), &[records(0, &values)]).await.expect("nothing fatal");
        assert_eq!((ledger.counts().written, ledger.counts().in_flight()), (60, 0));
        assert!(ledger.retries.load(Relaxed) > 3);
        let found: Vec<_> = hook.rows().iter().map(|row| row["n"].as_u64().expect("a number")).collect();
        assert_eq!(found, (0..60).collect::<Vec<_>>(), "{more}");
        let state = hook.state();
        let mut bodies = BTreeMap::new();
        for request in &state.taken {
            let before = bodies.insert(request.header("webhook-id").to_owned(), request.body.clone());
            assert!(before.is_none_or(|before| before == request.body));
            assert_eq!(request.header("webhook-id"), request.header("idempotency-key"));
        }
        assert!(state.taken.len() > bodies.len(), "answers were lost");
    }
}

/// Signed requests → signatures that the specification's way of checking accepts, of what was sent, at the time when it was.
#[tokio::test]
async fn signatures_can_be_verified() {
    let hook = Hook::start().await;
    hook.state().script = [Turn::Says(503, None)].into();
    write_all(hook.sink("signing_secret = \"${SECRET}\""), &rows(5), 5).await;
    let now = jiff::Timestamp::now().as_second();
    for (_, request) in &hook.state().all {
        let time: i64 = request.header("webhook-timestamp").parse().expect("seconds");
        assert!((now - 3_600..=now).contains(&time));
        let signed = format!("{}.{time}.{}", request.header("webhook-id"), String::from_utf8_lossy(&request.body));
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
        mac.update(signed.as_bytes());
        let expected = base64_simd::STANDARD.encode_to_string(mac.finalize().into_bytes());
        assert_eq!(request.header("webhook-signature"), format!("v1,{expected}"));
    }
    let plain = Hook::start().await;
    write_all(
        plain.sink("headers = { X-Team = \"air\" }\nsecret_headers = { Authorization = \"${SECRET}\" }"),
        &rows(1),
        1,
    )
    .await;
    let state = plain.state();
    let request = &state.taken[0];
    assert_eq!(
        (request.header("x-team"), request.header("authorization"), request.header("webhook-signature")),
        ("air", SECRET, "")
    );
}

/// Rows that a server refuses, alone or among others, and those that are no JSON → dead letters with its words; all others arrive.
#[tokio::test]
async fn refused_rows_are_rejected() {
    for (more, requests) in [("", 8), ("body = \"array\"", 0), ("body = \"lines\"\nbatch_rows = 3", 0)] {
        let hook = Hook::start().await;
        hook.state().script = [Turn::Poison("bad")].into();
        let values = [
            r#"{"n":0}"#,
            r#"{"n":1,"x":"bad"}"#,
            "no JSON",
            "{\"n\":\n2}",
            r#"{"n":3}"#,
            r#"{"n":4,"x":"bad"}"#,
            r#"{"n":5}"#,
            r#"{"n":6}"#,
            r#"{"n":7}"#,
        ];
        let ledger = write_batches(hook.sink(more), &[records(0, values)]).await.expect("nothing fatal");
        assert_eq!((ledger.counts().written, ledger.counts().rejected, ledger.counts().in_flight()), (6, 3, 0));
        assert_eq!(ledger.rejects().reasons, [("HTTP 422: why".to_owned(), 2), ("not JSON".to_owned(), 1)].into());
        let found: Vec<_> = hook.rows().iter().map(|row| row["n"].as_u64().expect("a number")).collect();
        assert_eq!(found, [0, 2, 3, 5, 6, 7], "{more}");
        assert!(requests == 0 || hook.state().all.len() == requests);
    }
}

/// A server that asks to be left alone for a second → it is.
#[tokio::test]
async fn a_server_is_left_alone() {
    let hook = Hook::start().await;
    hook.state().script = [Turn::Says(429, Some(("retry-after", "1".to_owned())))].into();
    write_all(hook.sink(""), &rows(1), 1).await;
    let times: Vec<_> = hook.state().all.iter().map(|(at, _)| *at).collect();
    assert!(times[1].duration_since(times[0]) >= Duration::from_secs(1));
}

/// A server that lets nobody in, or sends elsewhere → the sink pauses and says so, goes nowhere else, and goes on once it may; no secret
/// is in what it says.
#[tokio::test]
async fn it_pauses_until_it_is_let_in() {
    let elsewhere = Hook::start().await;
    let moved = Turn::Says(307, Some(("location", format!("{}/other", elsewhere.server.address))));
    for (turn, words) in [
        (Turn::Says(401, None), "HTTP 401"),
        (Turn::Says(410, None), "HTTP 410"),
        (moved, "redirects are not followed"),
    ] {
        let hook = Hook::start().await;
        let ledger = Arc::new(StepLedger::new("out"));
        let mut writer = hook.sink("").open(Opening::new(ledger.clone())).await.expect("it opens");
        hook.state().script = std::iter::repeat_n(turn, 100_000).collect();
        writer.write(sink_suite::batch(&rows(1))).await.expect("a write");
        let watch = async {
            while !ledger.paused().is_some_and(|reason| reason.contains(words)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(!ledger.paused().unwrap_or_default().contains("hush"));
            hook.state().script.clear();
        };
        let both = async { tokio::join!(writer.flush(), watch).0 };
        tokio::time::timeout(PATIENCE, both).await.expect("in time").expect("it goes on");
        assert_eq!((ledger.paused(), ledger.counts().written), (None, 1));
        assert_eq!(hook.rows(), numbered(1));
    }
    assert!(elsewhere.state().all.is_empty(), "a redirect was followed");
}

/// A server that does not answer in time, and one that is not there until later → tried again until it takes the row.
#[tokio::test]
async fn silence_is_not_waited_for() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (held, count) = (gate.clone(), Arc::new(Mutex::new(0)));
    let seen = count.clone();
    let server = Server::start(move |_| {
        let mut count = seen.lock().expect("no test panics in here");
        *count += 1;
        let fine = Reply::Full(200, String::new());
        if *count < 3 { Reply::Held(held.clone(), Box::new(fine)) } else { fine }
    })
    .await;
    let sink =
        harness::sink("http", &format!("url = \"{}\"\ntimeout = \"50ms\"", server.address)).expect("good settings");
    let ledger = write_all(sink, &rows(1), 1).await;
    assert!(ledger.retries.load(Relaxed) >= 2);
    assert!(*count.lock().expect("no test panics in here") >= 3);
}

/// Every mistake in the settings is found at once, and no message has a secret in it.
#[test]
fn settings_are_checked() {
    let text = "url = \"https://user:hunter2@host/\"\nbody = \"xml\"\nbatch_rows = 3\nsigning_secret = \"whsec_1\"\n\
                headers = { Authorization = \"hunter2\", Host = \"x\", \"a b\" = \"c\" }\nsecret_headers = { X-Key = \"hunter2\" }\n\
                order_by = \"key\"\ntimeout = 3\nretries = 1";
    let problems = harness::sink("http", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for words in [
        "`url` must be",
        "`body`: \"xml\"",
        "`batch_rows` and",
        "`signing_secret` must not",
        "\"Authorization\" is a secret",
        "\"Host\" is no header",
        "\"a b\" is no header",
        "`secret_headers.X-Key` must not",
        "`order_by`",
        "`timeout`",
        "`retries`",
    ] {
        assert!(messages.iter().any(|message| message.contains(words)), "{words}: {messages:?}");
    }
    assert!(!problems.iter().any(|problem| format!("{problem:?}").contains("hunter2")), "{problems:?}");
    for url in ["ftp://host", "host/path", ""] {
        let problems = harness::sink("http", &format!("url = \"{url}\"")).err().expect("a mistake");
        assert!(problems[0].message.contains("`url` is not an address"), "{problems:?}");
    }
}

/// Certificates that are not there, or are none → said when the sink is opened.
#[tokio::test]
async fn certificates_are_read_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let address = refusing_address().await;
    let sink = || {
        harness::sink("http", &format!("url = \"{address}\"\nca = {:?}", path.display().to_string()))
            .expect("good settings")
    };
    sink_suite::cannot_open(sink(), &["`ca`", "ca.pem"]).await;
    std::fs::write(&path, "nothing").expect("a file");
    sink_suite::cannot_open(sink(), &["`ca`", "ca.pem"]).await;
}
