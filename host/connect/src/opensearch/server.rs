//! One OpenSearch cluster: sends requests, and says of each answer as a whole what it means. Nothing is tried again in
//! here.

use super::answer::{self, Answer};
use super::endpoints::Endpoints;
use super::settings::Settings;
use bytes::Bytes;
use opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::{Method, StatusCode};
use serde_json::{Value, json};
use std::fmt;
use wasmill_stream::{Error, ErrorKind, Result};

/// Most bytes of an answer: each document has a few hundred in it.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A cluster, and the way to it.
pub struct Server {
    endpoints: Endpoints,
    /// Its addresses, for messages.
    address: String,
}

impl Server {
    /// Resolves credentials and certificates. Sends nothing to the server.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let endpoints = Endpoints::connect(settings).await?;
        let address = endpoints.names();
        Ok(Self { endpoints, address })
    }

    /// The next request has fresh credentials, if there are some.
    pub fn renew_credentials(&self) {
        self.endpoints.renew_credentials();
    }

    /// Sends documents. `path` names the index unless each names its own.
    pub async fn bulk(&self, path: &str, body: Bytes, documents: usize) -> Result<Answer> {
        let reply = self.send(Method::Post, path, body).await?;
        match reply.status {
            status if status.is_success() => answer::items(&reply.body, documents)
                .map_err(|error| error.context(format!("{}: answer to {documents} documents", self.address))),
            StatusCode::PAYLOAD_TOO_LARGE => Ok(Answer::TooLarge(answer::reason(413, &reply.body))),
            StatusCode::BAD_REQUEST => Ok(Answer::Malformed(answer::reason(400, &reply.body))),
            _ => Err(self.refusal(&format!("write {documents} documents"), &reply)),
        }
    }

    /// The documents in these indexes under these ids, as they are now.
    pub async fn documents(&self, places: &[(String, String)]) -> Result<Vec<Option<Value>>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<_> = places.iter().map(|(index, id)| json!({"_index": index, "_id": id})).collect();
        let reply = self.send(Method::Post, "/_mget", json!({"docs": wanted}).to_string()).await?;
        match reply.status {
            status if status.is_success() => answer::documents(&reply.body, places.len())
                .map_err(|error| error.context(format!("{}: look at {} documents", self.address, places.len()))),
            _ => Err(self.refusal(&format!("look at {} documents", places.len()), &reply)),
        }
    }

    /// Removes documents from a data stream, which takes nothing by id but new ones.
    pub async fn remove(&self, stream: &str, ids: &[&str]) -> Result<()> {
        let what = format!("remove {} documents from {stream}", ids.len());
        // What is not refreshed is not found.
        let refreshed = self.send(Method::Post, &format!("/{stream}/_refresh"), "").await?;
        let reply = match refreshed.status {
            StatusCode::NOT_FOUND => return Ok(()),
            status if status.is_success() => {
                let query = json!({"query": {"ids": {"values": ids}}}).to_string();
                let path = format!("/{stream}/_delete_by_query?conflicts=proceed");
                self.send(Method::Post, &path, query).await?
            }
            _ => refreshed,
        };
        match reply.status {
            status if status.is_success() && answer::removed(&reply.body) => Ok(()),
            status if status.is_success() => Err(Error::unavailable(format!("{}: {what}: not all", self.address))),
            _ => Err(self.refusal(&what, &reply)),
        }
    }

    /// Asks whether it is there, for an answer of any kind but that it is overloaded or out of order.
    pub async fn is_there(&self) -> Result<()> {
        let reply = self.send(Method::Get, "/", "").await?;
        let refusal = self.refusal("ask whether it is there", &reply);
        if refusal.kind() == ErrorKind::Unavailable { Err(refusal) } else { Ok(()) }
    }

    /// Sends a request, without a body if that is empty.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Reply> {
        let body = body.into();
        let mut headers = HeaderMap::new();
        if path.contains("_bulk") {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        }
        let body = (!body.is_empty()).then_some(body);
        let choice = self.endpoints.choose()?;
        let answer = async {
            let response = choice.transport.send(method, path, headers, None::<&()>, body, None).await?;
            let (status, length) = (response.status_code(), response.content_length());
            if length.is_some_and(|length| length > LONGEST_ANSWER) {
                return Ok(Err(length.unwrap_or_default()));
            }
            Ok(Ok(Reply { status, body: response.text().await?, from: choice.address.clone() }))
        };
        let answer: Result<_, opensearch::Error> = answer.await;
        let is_broken = |reply: &Reply| matches!(reply.status.as_u16(), 502..=504);
        self.endpoints.learn(&choice, matches!(&answer, Ok(Ok(reply)) if !is_broken(reply)));
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(length)) => {
                Err(Error::unavailable(format!("{}: an answer of {length} bytes is too long", choice.address)))
            }
            Err(error) => Err(Error::unavailable(format!("{}: no answer", choice.address)).with_source(error)),
        }
    }

    /// The error for a request that was refused as a whole.
    pub fn refusal(&self, what: &str, reply: &Reply) -> Error {
        let status = reply.status.as_u16();
        let kind = match status {
            408 | 429 | 500.. => ErrorKind::Unavailable,
            401 | 403 => ErrorKind::Denied,
            _ => ErrorKind::Invalid,
        };
        Error::new(kind, format!("{}: {what}: {}", reply.from, answer::reason(status, &reply.body)))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// An answer.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: String,
    /// The address of the server that gave it, for messages.
    pub from: String,
}
