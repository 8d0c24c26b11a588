//! One OpenSearch cluster: sends requests, and says of each answer as a whole what it means. Nothing is tried again in
//! here except while the sink opens.

use super::answer::{self, Answer};
use super::endpoints::Endpoints;
use super::settings::Settings;
use crate::retry::Backoff;
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

    /// Proves that the server answers and lets us in, and creates the index if the job file says how. Returns whether it is
    /// a data stream.
    pub async fn prepare(&self, settings: &Settings) -> Result<bool> {
        let index = settings.index.covering("*");
        let mut backoff = Backoff::new(settings.patience);
        loop {
            match self.prepare_once(&index, settings).await {
                Ok(is_data_stream) => return Ok(is_data_stream),
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    async fn prepare_once(&self, index: &str, settings: &Settings) -> Result<bool> {
        let reply = self.send(Method::Get, &format!("/{index}"), Bytes::new()).await?;
        let wanted = settings.data_stream;
        match (reply.status, &settings.mappings) {
            (StatusCode::OK, _) => match (answer::is_data_stream(&reply.body), wanted) {
                // Nothing matches the pattern: as if there were no such index.
                (None, wanted) => Ok(wanted.unwrap_or(false)),
                (Some(is), Some(wanted)) if is != wanted => Err(Error::invalid(format!(
                    "{}: {index} is {}, but the job file says `data_stream = {wanted}`",
                    self.address,
                    if is { "a data stream" } else { "an index and no data stream" }
                ))),
                (Some(is), _) => Ok(is),
            },
            // The first document creates it, from a template if there is one.
            (StatusCode::NOT_FOUND, None) => Ok(wanted.unwrap_or(false)),
            (StatusCode::NOT_FOUND, Some(mappings)) => self.create(index, mappings).await.map(|()| false),
            _ => Err(self.refusal(&format!("look at index {index}"), &reply)),
        }
    }

    async fn create(&self, index: &str, mappings: &str) -> Result<()> {
        let body = format!("{{\"mappings\":{mappings}}}");
        let reply = self.send(Method::Put, &format!("/{index}"), body.into()).await?;
        // Another writer may have been faster.
        if reply.status.is_success() || reply.body.contains("resource_already_exists_exception") {
            return Ok(());
        }
        Err(self.refusal(&format!("create index {index}"), &reply))
    }

    /// Sends documents. `index` is absent when every document names its own.
    pub async fn bulk(&self, index: Option<&str>, body: Bytes, documents: usize) -> Result<Answer> {
        let path = index.map_or("/_bulk".to_owned(), |index| format!("/{index}/_bulk"));
        let reply = self.send(Method::Post, &path, body).await?;
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
        let reply = self.send(Method::Post, "/_mget", json!({"docs": wanted}).to_string().into()).await?;
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
        let refreshed = self.send(Method::Post, &format!("/{stream}/_refresh"), Bytes::new()).await?;
        let reply = match refreshed.status {
            StatusCode::NOT_FOUND => return Ok(()),
            status if status.is_success() => {
                let query = json!({"query": {"ids": {"values": ids}}}).to_string();
                let path = format!("/{stream}/_delete_by_query?conflicts=proceed");
                self.send(Method::Post, &path, query.into()).await?
            }
            _ => refreshed,
        };
        match reply.status {
            status if status.is_success() && answer::removed(&reply.body) => Ok(()),
            status if status.is_success() => Err(Error::unavailable(format!("{}: {what}: not all", self.address))),
            _ => Err(self.refusal(&what, &reply)),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Reply> {
        let mut headers = HeaderMap::new();
        if path.ends_with("_bulk") {
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
    fn refusal(&self, what: &str, reply: &Reply) -> Error {
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

struct Reply {
    status: StatusCode,
    body: String,
    /// The address of the server that gave it, for messages.
    from: String,
}
