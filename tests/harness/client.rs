//! A client of a host that speaks TLS or comes through a Unix socket.

use reqwest::{Certificate, Client, ClientBuilder, Method};
use std::path::Path;
use tokio::runtime::Runtime;

/// Asks one host.
pub struct Caller {
    runtime: Runtime,
    client: Client,
    url: String,
}

impl Caller {
    /// Over TLS: it trusts these certificates, and no others.
    pub fn over_tls(url: &str, certificate: &str) -> Self {
        let certificate = Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
        Self::new(Client::builder().tls_certs_only([certificate]), url)
    }

    /// Through a socket.
    pub fn through(socket: &Path) -> Self {
        Self::new(Client::builder().unix_socket(socket), "http://localhost")
    }

    fn new(builder: ClientBuilder, url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // Each request finds out anew whom it speaks to.
        let client = builder.no_proxy().pool_max_idle_per_host(0).build().expect("a client");
        Self { runtime, client, url: url.to_owned() }
    }

    /// The status of the answer and what it says; or why there is none.
    pub fn ask(&self, token: Option<&str>, method: &str, path: &str) -> Result<(u16, String), String> {
        self.runtime.block_on(async {
            let method: Method = method.parse().expect("a method");
            let mut request = self.client.request(method, format!("{}{path}", self.url));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
            Ok((answer.status().as_u16(), answer.text().await.map_err(|error| format!("{error:?}"))?))
        })
    }
}
