//! The way to the other side of a sink: a proxy that lets happen to requests what a case wants, before any server. It also
//! lends the credentials that requests are signed with.

use crate::loopback::{self, Reply, Request, render};
use crate::proxies::{Proxy, Turn, Upstream};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What the proxy has to know of how a service speaks.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// What a request writes; `None`: nothing.
    pub parcel: fn(&Request) -> Option<Parcel>,
    /// That it is asked for too much.
    pub throttled: fn() -> Reply,
    /// That it is broken.
    pub broken: fn() -> Reply,
    /// That the credentials have expired.
    pub expired: fn() -> Reply,
    /// Lets some of the rows of a request be refused for now; `None`: a request is taken as a whole. It is given the way to the
    /// server.
    pub partly: Option<fn(&Request, &Upstream<'_>) -> Vec<u8>>,
}

/// Rows that came together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parcel {
    pub rows: usize,
    pub bytes: usize,
}

/// What happens to a request that writes.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It is refused: too much.
    Throttled,
    /// It is refused: the server is broken.
    Broken,
    /// Some of it is refused. Where it is taken as a whole, all.
    Partly,
    /// It is done, and the connection closes without an answer.
    Lost,
    /// It is done, and the answer breaks off in the middle.
    Cut,
    /// It is done, and the answer comes from a gateway that does not know.
    Gateway,
}

/// A way to a server.
pub struct Network {
    /// Where the sink finds the server.
    pub url: String,
    /// Where the job is lent credentials.
    pub lender: String,
    plan: Arc<Plan>,
    proxy: Proxy,
}

struct Plan {
    dialect: Dialect,
    faults: Mutex<VecDeque<Option<Fault>>>,
    parcels: Mutex<Vec<Parcel>>,
    is_frozen: AtomicBool,
    /// The number of the credentials that are good; 0: any are.
    good: AtomicUsize,
    /// How many requests came with others.
    expired: AtomicUsize,
}

impl Network {
    /// To a server at `upstream`.
    pub fn to(upstream: &str, dialect: Dialect) -> Self {
        let plan = Arc::new(Plan {
            dialect,
            faults: Mutex::default(),
            parcels: Mutex::default(),
            is_frozen: AtomicBool::new(false),
            good: AtomicUsize::new(0),
            expired: AtomicUsize::new(0),
        });
        let (planned, lending) = (plan.clone(), plan.clone());
        let proxy = Proxy::before(upstream, move |request| Some(planned.turn(request)));
        let lender = loopback::serve(move |_| {
            let number = lending.good.load(SeqCst);
            let (id, token) = (format!("KEY{number}"), format!("TOKEN{number}"));
            Reply::Json(200, json!({"AccessKeyId": id, "SecretAccessKey": "secret", "Token": token}).to_string())
        });
        Self { url: proxy.url.clone(), lender, plan, proxy }
    }

    /// What happens to the next requests that write; later ones pass.
    pub fn next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        *held(&self.plan.faults) = faults.into_iter().collect();
    }

    /// Whether all of that has happened.
    pub fn has_done_its_worst(&self) -> bool {
        held(&self.plan.faults).is_empty()
    }

    /// How many requests did not simply pass.
    pub fn disturbed(&self) -> usize {
        self.proxy.disturbed()
    }

    /// Lets no request through and answers none, or goes on.
    pub fn freeze(&self, frozen: bool) {
        self.plan.is_frozen.store(frozen, SeqCst);
    }

    /// From now on other credentials are lent, and only those are good.
    pub fn rotate(&self) {
        self.plan.good.fetch_add(1, SeqCst);
    }

    /// How many requests came with credentials that were not good any more.
    pub fn expired(&self) -> usize {
        self.plan.expired.load(SeqCst)
    }

    /// What has come to the server so far in requests that write.
    pub fn parcels(&self) -> Vec<Parcel> {
        held(&self.plan.parcels).clone()
    }
}

impl Plan {
    fn turn(&self, request: &Request) -> Turn {
        while self.is_frozen.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let good = self.good.load(SeqCst);
        if good > 0 && !request.head.contains(&format!("KEY{good}/")) {
            self.expired.fetch_add(1, SeqCst);
            return Turn::Refused((self.dialect.expired)());
        }
        let Some(parcel) = (self.dialect.parcel)(request) else { return Turn::Pass };
        let fault = held(&self.faults).pop_front().flatten();
        let turn = match (fault, self.dialect.partly) {
            (None, _) => Turn::Pass,
            (Some(Fault::Throttled), _) | (Some(Fault::Partly), None) => Turn::Refused((self.dialect.throttled)()),
            (Some(Fault::Broken), _) => Turn::Refused((self.dialect.broken)()),
            (Some(Fault::Partly), Some(change)) => Turn::Changed(change),
            (Some(Fault::Lost), _) => Turn::Silent,
            (Some(Fault::Cut), _) => Turn::Half,
            (Some(Fault::Gateway), _) => Turn::BadGateway,
        };
        if !matches!(turn, Turn::Refused(_)) {
            held(&self.parcels).push(parcel);
        }
        turn
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics in here")
}

/// The same request with another body.
pub fn request_with(request: &Request, body: impl Into<Vec<u8>>) -> Request {
    let body = body.into();
    let is_length = |line: &str| line.to_ascii_lowercase().starts_with("content-length:");
    let lines: Vec<_> = request.head.lines().filter(|line| !line.is_empty() && !is_length(line)).collect();
    let head = format!("{}\r\ncontent-length: {}\r\n\r\n", lines.join("\r\n"), body.len());
    Request { head, method: request.method.clone(), target: request.target.clone(), body }
}

/// An answer with another body.
pub fn answer_with(status: u16, body: impl Into<Vec<u8>>) -> Vec<u8> {
    render(status, &vec![("content-type", "application/json".to_owned())], &body.into())
}

/// The body of a whole answer.
pub fn body_of(answer: &[u8]) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let mut rest = &answer[end + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk has a size");
        let size = String::from_utf8_lossy(&rest[..line]);
        let size = usize::from_str_radix(size.trim(), 16).expect("a size in hexadecimal");
        if size == 0 {
            return body;
        }
        let start = line + 2;
        body.extend_from_slice(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
}
