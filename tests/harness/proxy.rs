//! A proxy in front of a server, for what the server does not do by itself: it loses answers, cuts them short, holds them
//! back, or refuses what it was asked for, by a plan for each request.

use super::chance::Chance;
use super::loopback::{self, Reply, Request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How much later an answer comes that is late.
const LATE: Duration = Duration::from_millis(300);

/// A running proxy.
pub struct Proxy {
    /// Its URL, without a slash at the end.
    pub url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    planned: AtomicUsize,
    disturbed: AtomicUsize,
}

/// Passes a request on and returns the answer.
pub type Upstream<'a> = dyn Fn(&Request) -> Vec<u8> + 'a;

/// What becomes of a request.
pub enum Turn {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is done, and the connection closes without a word.
    Silent,
    /// It is done, and the answer breaks off in the middle.
    Half,
    /// It is done, and the gateway says that it does not know.
    BadGateway,
    /// It is done, and the answer takes its time.
    Late,
    /// It is not done, and this is the answer.
    Refused(Reply),
    /// Whoever is given the request and the way to the server makes the answer. Wanted by the tests of the connectors.
    #[allow(dead_code)]
    Changed(fn(&Request, &Upstream<'_>) -> Vec<u8>),
}

impl Turn {
    /// Kinesis is asked for too much.
    pub fn throttle() -> Self {
        let body = r#"{"__type":"ProvisionedThroughputExceededException","message":"by plan"}"#;
        Self::Refused(Reply::Json(400, body.to_owned()))
    }

    /// Kinesis is broken.
    pub fn server_error() -> Self {
        Self::Refused(Reply::Json(500, r#"{"__type":"InternalFailure","message":"by plan"}"#.to_owned()))
    }
}

impl Proxy {
    /// In front of `upstream`, which is `http://HOST:PORT`. Of a hundred writes it loses the answers of `percent`: half
    /// of them without a word, the others in the middle or behind an error of a gateway.
    pub fn start(upstream: &str, percent: usize, chance: Chance) -> Self {
        let chance = Mutex::new(chance);
        Self::before(upstream, move |request| {
            if !matches!(request.method.as_str(), "PUT" | "POST" | "DELETE") {
                return None;
            }
            let mut chance = chance.lock().expect("no thread panics in here");
            if chance.below(100) >= percent {
                return Some(Turn::Pass);
            }
            Some(match chance.below(4) {
                0 | 1 => Turn::Silent,
                2 => Turn::Half,
                _ => Turn::BadGateway,
            })
        })
    }

    /// In front of a service of AWS: the plan is asked for each operation.
    pub fn planned(upstream: &str, plan: impl FnMut(&str) -> Turn + Send + 'static) -> Self {
        let plan = Mutex::new(plan);
        Self::before(upstream, move |request| {
            let target = request.header("x-amz-target").unwrap_or_default();
            let mut plan = plan.lock().expect("no thread panics in here");
            Some(plan(target.rsplit('.').next().unwrap_or_default()))
        })
    }

    /// In front of any server. `plan` says nothing about requests that do not count; it may take its time.
    pub fn before(upstream: &str, plan: impl Fn(&Request) -> Option<Turn> + Send + Sync + 'static) -> Self {
        let host = upstream.strip_prefix("http://").expect("a plain URL").to_owned();
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let url = loopback::serve(move |request| {
            let Some(turn) = plan(&request) else { return Reply::Last(answer(&host, &request)) };
            counted.planned.fetch_add(1, Relaxed);
            counted.disturbed.fetch_add(usize::from(!matches!(turn, Turn::Pass)), Relaxed);
            match turn {
                Turn::Refused(reply) => reply,
                Turn::Changed(change) => Reply::Last(change(&request, &|request| answer(&host, request))),
                Turn::Pass => Reply::Last(answer(&host, &request)),
                Turn::Late => {
                    let answer = answer(&host, &request);
                    std::thread::sleep(LATE);
                    Reply::Last(answer)
                }
                Turn::Silent => {
                    answer(&host, &request);
                    Reply::Last(Vec::new())
                }
                Turn::Half => {
                    let answer = answer(&host, &request);
                    Reply::Last(answer[..answer.len() / 2].to_vec())
                }
                Turn::BadGateway => {
                    answer(&host, &request);
                    Reply::Last(gateway_error("the answer was lost"))
                }
            }
        });
        Self { url, counts }
    }

    /// How many writes there were, and how many of their answers were lost.
    pub fn counts(&self) -> (usize, usize) {
        (self.counts.planned.load(Relaxed), self.counts.disturbed.load(Relaxed))
    }

    /// How many requests did not simply pass.
    pub fn disturbed(&self) -> usize {
        self.counts.disturbed.load(Relaxed)
    }
}

/// The whole answer of the server, or that it gives none.
fn answer(host: &str, request: &Request) -> Vec<u8> {
    forward(host, request).unwrap_or_else(|error| gateway_error(&error.to_string()))
}

/// Passes a request on and returns the whole answer.
fn forward(host: &str, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host)?;
    let (first, headers) = request.head.split_once("\r\n").expect("a head has lines");
    let kept: String = headers
        .lines()
        .filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    write!(stream, "{first}\r\n{kept}Connection: close\r\n\r\n")?;
    stream.write_all(&request.body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn gateway_error(why: &str) -> Vec<u8> {
    format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{why}", why.len()).into_bytes()
}
