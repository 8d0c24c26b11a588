//! Which requests are heard at all. A host that listens on loopback trusts the users of the machine, not the pages that their
//! browsers show: a page may have its own name resolve to 127.0.0.1 (DNS rebinding), and may post without asking.

use super::Refusal;
use crate::serve::front::Listen;
use axum::http::{HeaderMap, Method, StatusCode, header};
use std::sync::Arc;

/// The names by which a host may be called.
#[derive(Debug, Clone)]
pub struct Guard {
    /// `None`: any.
    hosts: Option<Arc<[String]>>,
    /// What comes before them in the address of a page of the host's own.
    scheme: &'static str,
}

impl Guard {
    /// Of a host that listens there, and that its operator calls so. Browsers do not reach sockets; and where everybody needs a
    /// token, that of another page is none the wiser for a name.
    pub fn of(listen: &Listen, names: &[String], has_tls: bool) -> Self {
        let mut hosts = names.to_vec();
        match listen {
            Listen::Tcp(address) if address.ip().is_loopback() || !names.is_empty() => {
                let own = [address.ip().to_string(), "localhost".to_owned()];
                hosts.extend([address.to_string(), format!("localhost:{}", address.port())]);
                hosts.extend(names.iter().map(|name| format!("{name}:{}", address.port())));
                // Nobody names the port that goes without saying.
                hosts.extend(own.into_iter().filter(|_| address.port() == if has_tls { 443 } else { 80 }));
            }
            _ => hosts.clear(),
        }
        let hosts = Some(hosts).filter(|hosts| !hosts.is_empty()).map(Arc::from);
        Self { hosts, scheme: if has_tls { "https://" } else { "http://" } }
    }

    fn is_own(&self, host: &str) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    }

    /// Why a request is not heard, if it is not.
    pub fn refuses(&self, method: &Method, headers: &HeaderMap) -> Option<Refusal> {
        let value = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let host = value(header::HOST);
        if !host.is_some_and(|host| self.is_own(host)) {
            let own = self.hosts.as_deref().unwrap_or_default();
            let error = match own {
                [] => "a request names the host that it goes to".to_owned(),
                own => format!("this host is called {}", own.join(" or ")),
            };
            return Some(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error));
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        // Browsers name the page that a request comes from.
        let is_own_page = |origin: &str| {
            origin.strip_prefix(self.scheme).is_some_and(|origin| self.is_own(origin) && Some(origin) == host)
        };
        let is_foreign = value(header::ORIGIN).is_some_and(|origin| !is_own_page(origin));
        (is_foreign && !is_read)
            .then(|| Refusal::new(StatusCode::FORBIDDEN, "a page of another site may not change anything here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use axum::response::IntoResponse;

    fn status(guard: &Guard, method: Method, host: Option<&str>, origin: Option<&str>) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            value.map(|value| headers.insert(name, HeaderValue::from_str(value).expect("a header")));
        }
        guard.refuses(&method, &headers).map(|refusal| refusal.into_response().status().as_u16())
    }

    /// Requests under the host's own names → heard; under any other, or none, or from another site's page → not.
    #[test]
    fn only_its_own_name() {
        let guard = Guard::of(&"127.0.0.1:9180".parse().expect("an address"), &[], false);
        let status = |method, host, origin| status(&guard, method, host, origin);
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

    /// Elsewhere: with names, only these; without, any, since a token is asked for. A socket: any.
    #[test]
    fn names_of_others() {
        let public = "0.0.0.0:443".parse().expect("an address");
        let named = Guard::of(&public, &["a.example".to_owned()], true);
        for host in ["a.example", "a.example:443", "A.example"] {
            assert_eq!(status(&named, Method::GET, Some(host), None), None, "{host}");
        }
        assert_eq!(status(&named, Method::GET, Some("b.example"), None), Some(421));
        let own = Some("https://a.example");
        assert_eq!(status(&named, Method::POST, Some("a.example"), own), None);
        assert_eq!(status(&named, Method::POST, Some("a.example"), Some("http://a.example")), Some(403));
        for listen in [public, "unix:x".parse().expect("a path")] {
            let any = Guard::of(&listen, &[], true);
            assert_eq!(status(&any, Method::POST, Some("whatever"), None), None);
            assert_eq!(status(&any, Method::POST, Some("whatever"), Some("https://evil.example")), Some(403));
            assert_eq!(status(&any, Method::GET, None, None), Some(421));
        }
    }
}
