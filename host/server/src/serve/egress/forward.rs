//! Requests without TLS, which a proxy sends on one by one, and the answers that it gives by itself.

use super::Destination;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, PROXY_AUTHORIZATION};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// An answer.
pub type Answer = Response<Body>;

/// What is between the client and the proxy, and nobody else's.
const HOP: [&str; 3] = ["proxy-connection", "keep-alive", "te"];

/// The server that a client's connection has led to last: its next request most likely goes there, too.
#[derive(Default)]
pub struct Upstream(Mutex<Option<(Destination, SendRequest<Incoming>)>>);

impl Upstream {
    /// Whether there is a connection to it that can be used.
    pub async fn is_to(&self, destination: &Destination) -> bool {
        match &mut *self.0.lock().await {
            Some((known, server)) => known == destination && server.ready().await.is_ok(),
            None => false,
        }
    }

    /// Takes a new one into use.
    pub async fn open(&self, destination: Destination, stream: TcpStream) {
        *self.0.lock().await = match handshake(TokioIo::new(stream)).await {
            Ok((server, connection)) => {
                // It ends with the connection of the client.
                tokio::spawn(connection);
                Some((destination, server))
            }
            Err(_) => None,
        };
    }

    /// Sends a request on.
    pub async fn forward(&self, mut request: Request<Incoming>) -> Answer {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let Ok(path) = path.parse::<Uri>() else {
            return refusal(StatusCode::BAD_REQUEST, "the path is none");
        };
        *request.uri_mut() = path;
        let headers = request.headers_mut();
        headers.remove(PROXY_AUTHORIZATION);
        headers.remove(CONNECTION);
        HOP.iter().for_each(|name| drop(headers.remove(HeaderName::from_static(name))));
        let sent = match &mut *self.0.lock().await {
            Some((_, server)) => server.send_request(request),
            None => return refusal(StatusCode::BAD_GATEWAY, "the server does not answer"),
        };
        match sent.await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("the server does not answer: {error}")),
        }
    }
}

/// An answer in words.
pub fn refusal(status: StatusCode, why: &str) -> Answer {
    let mut answer = Response::new(Body::from(why.to_owned()));
    *answer.status_mut() = status;
    answer
}

/// An answer in JSON.
pub fn json(text: String) -> Answer {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    answer
}
