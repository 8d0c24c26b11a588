//! A client of the API of a host: what the command line asks there, over HTTP, HTTPS or a Unix socket.

use crate::control::{Answer, Entry, Request};
use crate::live::history::Event;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;
use wasmill_stream::key::KEY_GROUPS;
use wasmill_stream::{Error, ErrorKind, Result};

/// How long it is waited for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At a URL, without a slash at the end.
    Url(String),
    /// At a Unix socket.
    Socket(PathBuf),
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Socket(path.into()));
        }
        let wrong = || format!("expected http://HOST:PORT, https://HOST:PORT or unix:PATH; found `{text}`");
        let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
        let is_bare =
            url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
        match (url.scheme(), url.has_host() && is_bare) {
            ("http" | "https", true) => Ok(Self::Url(text.trim_end_matches('/').to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who asks, and whom he trusts.
#[derive(Default)]
pub struct Credentials {
    /// The token.
    pub token: Option<String>,
    /// A file of certificates, as PEM, besides those that the system trusts.
    pub certificates: Option<PathBuf>,
}

/// Asks one host.
pub struct Client {
    http: reqwest::Client,
    url: String,
    place: Place,
    token: Option<String>,
    runtime: Runtime,
}

/// What a host says of a refusal.
#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Client {
    /// Of a host. Nothing is asked yet.
    pub fn new(place: Place, credentials: Credentials) -> Result<Self> {
        let Credentials { token, certificates } = credentials;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("wasmill/", env!("CARGO_PKG_VERSION")));
        let url = match &place {
            Place::Url(url) => {
                if token.is_some() && !is_private(url) {
                    let message = format!("{url} would get the token where others can listen in");
                    return Err(Error::invalid(message).hint("use https://"));
                }
                url.clone()
            }
            Place::Socket(path) => {
                builder = builder.unix_socket(path.as_path());
                "http://localhost".to_owned()
            }
        };
        if let Some(path) = certificates {
            let failed = |error| Error::invalid(format!("read {}", path.display())).with_source(error);
            let pem = std::fs::read(&path).map_err(failed)?;
            let wrong = |error| Error::invalid(format!("{} holds no certificate", path.display())).with_source(error);
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(&pem).map_err(wrong)?);
        }
        let http = builder.build().map_err(|error| Error::internal("make an HTTP client").with_source(error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::unavailable("start the I/O thread").with_source(error))?;
        Ok(Self { http, url, place, token, runtime })
    }

    /// Where the host is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Sends a request and reads what comes back as JSON.
    pub fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method, path, body)
    }

    /// The same with a body of TOML.
    pub fn put_toml<T: DeserializeOwned>(&self, path: &str, text: String) -> Result<T> {
        self.send(Method::PUT, path, Some(("application/toml", text)))
    }

    fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Result<T> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let answering = async {
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.bytes().await?))
        };
        let place = &self.place;
        let (status, text) = self
            .runtime
            .block_on(answering)
            .map_err(|error| Error::unavailable(format!("ask the host at {place}")).with_source(error.without_url()))?;
        if status.is_success() {
            let odd = |error: serde_json::Error| {
                Error::unavailable(format!("{place} is no host of wasmill, or of another version")).with_source(error)
            };
            return serde_json::from_slice(&text).map_err(odd);
        }
        let said = serde_json::from_slice(&text).map(|Refused { error }| error);
        let said = said.unwrap_or_else(|_| format!("{place} answers with status {status}"));
        let kind = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Denied,
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        let error = Error::new(kind, said);
        Err(match status {
            StatusCode::UNAUTHORIZED => error.hint("WASMILL_TOKEN holds the token"),
            _ => error,
        })
    }

    /// Asks for what a running job can be asked for over its own socket.
    pub fn of_job(&self, job: &str, request: &Request) -> Result<Answer> {
        let job = job_path(job);
        let step_path = |step: &str, what: &str| format!("{job}/steps/{}/{what}", segment(step));
        let done = |method, path: String, body: Option<Value>| {
            self.ask(method, &path, body.as_ref()).map(|Done { done }| Answer::Done(done))
        };
        match request {
            Request::Swap { step, plugin, grants, entry, reason } => {
                let mut body = json!({"plugin": plugin.to_string(), "grants": grants, "why": reason.why});
                for (name, value) in entry_fields(entry) {
                    body[name] = value;
                }
                done(Method::POST, step_path(step, "swap"), Some(body))
            }
            Request::Settle { step, promote, reason } => {
                let body = json!({"promote": promote, "why": reason.why});
                done(Method::POST, step_path(step, "settle"), Some(body))
            }
            Request::Trial { step } => done(Method::GET, step_path(step, "plugin"), None),
            Request::RollBack { step, rewind, reason } => {
                let body = json!({"rewind": rewind, "why": reason.why});
                done(Method::POST, step_path(step, "rollback"), Some(body))
            }
            Request::Apply { reason } => {
                let why = reason.why.as_ref().map(|why| format!("?why={}", segment(why))).unwrap_or_default();
                done(Method::POST, format!("{job}/apply{why}"), None)
            }
            Request::History => {
                self.ask::<Vec<Event>>(Method::GET, &format!("{job}/history"), None).map(Answer::Events)
            }
            Request::Explain { step, key } => {
                let key = key.as_ref().map(|key| format!("?key={}", segment(key))).unwrap_or_default();
                let path = format!("{}{key}", step_path(step, "explain"));
                self.ask(Method::GET, &path, None).map(|explained| Answer::Explained(Box::new(explained)))
            }
        }
    }
}

#[derive(Deserialize)]
struct Done {
    done: String,
}

/// How a version comes, as the API has it.
fn entry_fields(entry: &Entry) -> Vec<(&'static str, Value)> {
    let millis = |millis: &u64| json!(format!("{millis}ms"));
    match entry {
        Entry::TakeOver { probation, open_windows } => {
            let probation = probation.iter().map(|time| ("probation", millis(time)));
            probation.chain(open_windows.iter().map(|how| ("open_windows", json!(how)))).collect()
        }
        Entry::Shadow(time) => vec![("shadow", millis(time))],
        Entry::Canary(groups) => vec![("canary", json!(format!("{}%", *groups as f64 * 100.0 / KEY_GROUPS as f64)))],
    }
}

/// The path of a job.
pub fn job_path(job: &str) -> String {
    format!("/api/v1/jobs/{}", segment(job))
}

/// A name as a part of a path: whatever it holds, it leads nowhere else.
pub fn segment(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':');
    name.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Whether nobody can listen in on the way to a URL.
fn is_private(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.scheme() == "https" || host == "localhost" || is_loopback
}

/// The file of certificates to trust, and the token, as the environment has them.
pub fn credentials_of(token: Option<String>, certificates: Option<&Path>) -> Credentials {
    Credentials { token: token.filter(|token| !token.is_empty()), certificates: certificates.map(Path::to_owned) }
}

#[cfg(test)]
mod tests;
