//! Which requests are heard at all. A host that listens on loopback trusts the users of the machine, not the pages that their
//! browsers show: a page may have its own name resolve to 127.0.0.1 (DNS rebinding), and may post without asking.

use super::Refusal;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;

/// The names by which a host may be called.
#[derive(Debug, Clone)]
pub struct Guard {
    hosts: Arc<[String]>,
}

impl Guard {
    /// Of a host that listens there.
    pub fn of(address: SocketAddr) -> Self {
        let mut hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        if address.port() == 80 {
            // Nobody names the port that goes without saying.
            hosts.extend([address.ip().to_string(), "localhost".to_owned()]);
        }
        Self { hosts: hosts.into() }
    }

    /// Why a request is not heard, if it is not.
    fn refuses(&self, method: &Method, headers: &HeaderMap) -> Option<Refusal> {
        let value = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let is_own = |host: &str| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if !value(header::HOST).is_some_and(is_own) {
            let error = format!("this host is called {}", self.hosts.join(" or "));
            return Some(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error));
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        // Browsers name the page that a request comes from.
        let is_foreign =
            value(header::ORIGIN).is_some_and(|origin| !origin.strip_prefix("http://").is_some_and(is_own));
        (is_foreign && !is_read)
            .then(|| Refusal::new(StatusCode::FORBIDDEN, "a page of another site may not change anything here"))
    }
}

/// Refuses what is not heard.
pub async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.refuses(request.method(), request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    /// Requests under the host's own names → heard; under any other, or none, or from another site's page → not.
    #[test]
    fn only_its_own_name() {
        let guard = Guard::of(([127, 0, 0, 1], 9180).into());
        let status = |method: Method, host: Option<&str>, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
                value.map(|value| headers.insert(name, HeaderValue::from_str(value).expect("a header")));
            }
            guard.refuses(&method, &headers).map(|refusal| refusal.into_response().status().as_u16())
        };
        for host in ["127.0.0.1:9180", "localhost:9180", "LOCALHOST:9180"] {
            assert_eq!(status(Method::POST, Some(host), None), None, "{host}");
        }
        for host in [None, Some("evil.example:9180"), Some("127.0.0.1:80"), Some("127.0.0.1"), Some("")] {
            assert_eq!(status(Method::GET, host, None), Some(421), "{host:?}");
        }
        let own = Some("localhost:9180");
        assert_eq!(status(Method::POST, own, Some("http://localhost:9180")), None);
        for origin in ["http://evil.example", "https://localhost:9180", "null", "http://localhost:1"] {
            assert_eq!(status(Method::DELETE, own, Some(origin)), Some(403), "{origin}");
            assert_eq!(status(Method::GET, own, Some(origin)), None, "{origin}: it cannot read the answer");
        }
    }
}
