//! A CloudWatch that refuses by script, and may hand on what it takes to moto, which does not speak the newest of its protocols.

use crate::cbor;
use crate::http::{Reply, Request, Server};
use crate::servers::{MOTO, http};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};
use url::form_urlencoded;

/// What becomes of one request.
#[derive(Debug, Clone)]
pub enum Turn {
    /// It is taken.
    Fine,
    /// It is taken, and nobody says so.
    Lost,
    /// This is said, with this status.
    Says(u16, &'static str),
    /// This is said of requests with a data point of this metric.
    Poison(&'static str),
}

/// What has come.
#[derive(Default)]
pub struct State {
    /// Data points as JSON, of those requests that were taken.
    pub points: Vec<Value>,
    /// Requests: how many data points each has, and whether it is zipped.
    pub requests: Vec<(usize, bool)>,
    /// What becomes of the next requests; the last one stays.
    pub script: VecDeque<Turn>,
    /// Whether moto gets them, too.
    pub relays: bool,
}

/// A running fake.
pub struct FakeCloudWatch {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl FakeCloudWatch {
    /// One that nothing has come to.
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

    /// What has come.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }
}

fn reply(status: u16, body: Vec<u8>) -> Reply {
    let headers = vec![("content-type", "application/cbor".to_owned()), ("smithy-protocol", "rpc-v2-cbor".to_owned())];
    Reply::Bytes(status, headers, body)
}

fn failure(status: u16, code: &str) -> Reply {
    let text = |text: &str| [&[0x78, text.len() as u8], text.as_bytes()].concat();
    reply(status, [&[0xa2][..], &text("__type"), &text(code), &text("message"), &text("why")].concat())
}

fn answer(state: &mut State, request: &Request) -> Reply {
    assert!(request.header("authorization").contains("/eu-west-1/monitoring/aws4_request"), "not signed");
    assert!(request.target.ends_with("/operation/PutMetricData"), "{}", request.target);
    let is_zipped = request.header("content-encoding") == "gzip";
    let mut body = Vec::new();
    match is_zipped {
        true => drop(GzDecoder::new(&request.body[..]).read_to_end(&mut body).expect("gzip")),
        false => body.extend_from_slice(&request.body),
    }
    assert!(body.len() <= 1_000_000, "{} bytes", body.len());
    let body = cbor::read(&body);
    let points = body["MetricData"].as_array().expect("data points").clone();
    assert!(points.len() <= 1_000, "{} data points", points.len());
    state.requests.push((points.len(), is_zipped));
    let turn = state.script.pop_front().unwrap_or(Turn::Fine);
    match turn {
        Turn::Says(status, code) => return failure(status, code),
        Turn::Poison(metric) => {
            state.script.push_front(turn.clone());
            if points.iter().any(|point| point["MetricName"] == metric) {
                return failure(400, "InvalidParameterValue");
            }
        }
        Turn::Fine | Turn::Lost => {}
    }
    if state.relays {
        relay(&body);
    }
    state.points.extend(points);
    if matches!(turn, Turn::Lost) { Reply::HangUp } else { reply(200, vec![0xa0]) }
}

/// As a form, which moto understands.
fn relay(body: &Value) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "PutMetricData");
    form.append_pair("Namespace", body["Namespace"].as_str().expect("a namespace"));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (number, point) in (1..).zip(body["MetricData"].as_array().expect("data points")) {
        let mut put = |name: &str, value: &Value| {
            form.append_pair(&format!("MetricData.member.{number}.{name}"), &text(value));
        };
        for name in ["MetricName", "Unit", "StorageResolution"] {
            put(name, &point[name]);
        }
        let seconds = point["Timestamp"].as_f64().expect("a time") as i64;
        let time = jiff::Timestamp::from_second(seconds).expect("a time").to_string();
        put("Timestamp", &time.into());
        for (at, dimension) in (1..).zip(point["Dimensions"].as_array().into_iter().flatten()) {
            put(&format!("Dimensions.member.{at}.Name"), &dimension["Name"]);
            put(&format!("Dimensions.member.{at}.Value"), &dimension["Value"]);
        }
        for list in ["Values", "Counts"] {
            for (at, value) in (1..).zip(point[list].as_array().into_iter().flatten()) {
                put(&format!("{list}.member.{at}"), value);
            }
        }
        for (name, value) in point["StatisticValues"].as_object().into_iter().flatten() {
            put(&format!("StatisticValues.{name}"), value);
        }
    }
    ask(&form.finish()).expect("moto");
}

/// Asks moto something about metrics.
pub fn ask(form: &str) -> Option<String> {
    let scope = "AWS4-HMAC-SHA256 Credential=k/20260101/eu-west-1/monitoring/aws4_request";
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", scope)];
    let (status, _, text) = http::send_with("POST", &format!("{}/", MOTO.url()?), &headers, form.as_bytes());
    assert_eq!(status, 200, "{text}");
    Some(text)
}
