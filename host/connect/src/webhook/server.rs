//! The server that gets the rows: sends a request, and says what its answer means. Nothing is tried again in here.

use super::payload::Payload;
use super::settings::{Body, Settings};
use super::signature::SigningKey;
use crate::requests::{Answer, Fate, Service};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Proxy, Response, StatusCode};
use std::time::Duration;
use url::Url;
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::{Error, ErrorKind, Result};

/// Longest reason that is kept of an answer.
const LONGEST_REASON: usize = 200;
/// Longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that nobody needs are closed, so that names are resolved again.
const IDLE: Duration = Duration::from_secs(30);

/// A server, and how it is told rows.
pub struct Server {
    client: Client,
    url: Url,
    headers: HeaderMap,
    body: Body,
    key: Option<SigningKey>,
    /// Its address without what follows a question mark, for people.
    address: String,
}

impl Server {
    /// Resolves certificates. Sends nothing to the server: it would take it for a row.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let Settings { url, way_out, headers, body, key, ca, timeout, .. } = settings;
        let address = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let tls = || format!("{address}: set up TLS");
        let mut client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(*timeout)
            .pool_idle_timeout(IDLE);
        if let Some(way) = way_out {
            let proxy = Proxy::all(way.url()).map_err(|error| Error::internal(tls()).with_source(error))?;
            client = client.proxy(proxy);
        }
        if let Some(path) = ca {
            let wrong = || format!("`ca`: read {}", path.display());
            let pem = tokio::fs::read(path).await.map_err(|error| Error::invalid(wrong()).with_source(error))?;
            let all = Certificate::from_pem_bundle(&pem).map_err(|error| Error::invalid(wrong()).with_source(error))?;
            if all.is_empty() {
                return Err(Error::invalid(wrong()).hint("it has no certificate in PEM"));
            }
            client = client.tls_certs_merge(all);
        }
        let client = client.build().map_err(|error| Error::invalid(tls()).with_source(error))?;
        let (url, headers) = (url.clone(), headers.clone());
        Ok(Self { client, url, headers, body: *body, key: key.clone(), address })
    }

    fn body(&self, rows: &[&Payload]) -> Vec<u8> {
        let parts = rows.iter().map(|row| row.json.as_ref()).collect::<Vec<_>>();
        match self.body {
            Body::Row => parts.concat(),
            Body::Array => [b"[".as_slice(), &parts.join(&b","[..]), b"]"].concat(),
            Body::Lines => [&parts.join(&b"\n"[..]), b"\n".as_slice()].concat(),
        }
    }

    /// What an answer means for the rows of its request.
    async fn judge(&self, response: Response, rows: usize) -> Result<Answer> {
        let status = response.status();
        if status.is_success() {
            return Ok(Answer::Items(vec![Fate::Done; rows]));
        }
        let pause = pause(response.headers());
        let target = response.headers().get(LOCATION).is_some();
        let reason = reason(status, response).await;
        let told = format!("{}: {reason}", self.address);
        match status.as_u16() {
            300..=399 => {
                let what = if target { "redirects are not followed" } else { "no answer that says anything" };
                Err(Error::new(ErrorKind::Denied, format!("{told} ({what}: is `url` right?)")))
            }
            // Who is not let in, and a server that wants to hear nothing more, may have been set up wrong.
            401 | 403 | 407 | 410 => Err(Error::new(ErrorKind::Denied, told)),
            408 | 425 | 429 | 500.. => match pause {
                Some(pause) => Ok(Answer::Later(told, pause)),
                None => Err(Error::unavailable(told)),
            },
            _ => Ok(Answer::Malformed(reason)),
        }
    }
}

impl Service for Server {
    type Item = Payload;

    async fn send(&self, rows: &[&Payload]) -> Result<Answer> {
        let id = match rows {
            [row] => Digest::of(row.id.as_bytes()),
            rows => Digest::of(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join("\n").as_bytes()),
        };
        let (id, body, now) = (format!("msg_{id}"), self.body(rows), Timestamp::now().as_second());
        let mut request = self.client.post(self.url.clone()).headers(self.headers.clone());
        request = request.header("webhook-id", &id).header("idempotency-key", &id).header("webhook-timestamp", now);
        if let Some(key) = &self.key {
            request = request.header("webhook-signature", key.sign(&id, now, &body));
        }
        match request.body(body).send().await {
            Ok(response) => self.judge(response, rows.len()).await,
            // What the address has in it behind the path may be a secret.
            Err(error) => {
                Err(Error::unavailable(format!("{}: no answer", self.address)).with_source(error.without_url()))
            }
        }
    }
}

/// What a server says about a refusal, as far as it is worth keeping.
async fn reason(status: StatusCode, mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_REASON {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let text = text.trim().get(..text.trim().floor_char_boundary(LONGEST_REASON)).unwrap_or_default();
    let status = status.as_u16();
    if text.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {text}") }
}

/// How long a server asks to be left alone: seconds, or a time.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let pause = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds and times in the header → pauses, none that is longer than an hour or lies in the past; anything else → none.
    #[test]
    fn pauses() {
        let asked = |text: &str| {
            let value = reqwest::header::HeaderValue::from_str(text).expect("a header");
            pause(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("99999999"), Some(LONGEST_PAUSE));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Sat, 21 Oct 2215 07:28:00 GMT"), Some(LONGEST_PAUSE));
        assert_eq!(asked("soon"), None);
        assert_eq!(pause(&HeaderMap::new()), None);
    }
}
