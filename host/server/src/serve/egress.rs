//! The way out of a tenant's jobs: a proxy, over which all their connections go, wherever the jobs run. It knows the rules of the
//! tenant, finds the addresses of names by itself, looks at each, and connects to what it has looked at. So it does not matter
//! which forms an address has, where a name leads the second time, or to whom a server sends on. It lends the credentials of the
//! tenant's role to a process that has no others.

mod address;
mod destination;
mod forward;

pub use destination::{Destination, Failed, Machine, Resolve};

use super::tenant::{Tenant, session_of};
use forward::{Answer, Upstream, refusal};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, PROXY_AUTHORIZATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use url::form_urlencoded;
use wasmill_connect::aws::{Lender, is_region};
use wasmill_stream::access::WayOut;
use wasmill_stream::{Error, Result};

/// A tenant has so many connections at a time; others wait.
const CONNECTIONS: usize = 1_024;
/// A server has so long to take one.
const PATIENCE: Duration = Duration::from_secs(5);
/// A client has so long for the head of a request, from when the connection is idle.
const HEAD: Duration = Duration::from_secs(300);
/// How long it is waited after a connection could not be taken.
const AGAIN: Duration = Duration::from_millis(100);
/// Refusals are said no more often than this: those who are refused may go on and on.
const QUIET: Duration = Duration::from_secs(1);
/// Where credentials are lent.
pub const CREDENTIALS: &str = "/credentials";

/// The way out of one tenant.
pub struct Egress {
    tenant: Arc<Tenant>,
    resolver: Arc<dyn Resolve>,
    /// What whoever comes has to know.
    password: String,
    lender: Lender,
    permits: Arc<Semaphore>,
    connections: AtomicU64,
    refused: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl Egress {
    /// That of a tenant, which finds names so.
    pub fn new(tenant: Arc<Tenant>, resolver: Arc<dyn Resolve>) -> Result<Arc<Self>> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| Error::unavailable("draw random bits").with_source(error))?;
        let password = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let (connections, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        let (lender, said) = (Lender::default(), Mutex::new(None));
        Ok(Arc::new(Self { tenant, resolver, password, lender, permits, connections, refused, said }))
    }

    /// The way to a listener of it, without whose connection it is.
    pub fn way(&self, at: SocketAddr) -> WayOut {
        WayOut { address: format!("http://{at}"), user: String::new(), password: self.password.clone() }
    }

    /// What whoever comes has to know.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// How often a server was connected to, and how often that was refused.
    pub fn counts(&self) -> (u64, u64) {
        (self.connections.load(Relaxed), self.refused.load(Relaxed))
    }

    /// Serves whoever comes to a listener, until this is dropped. `lends`: whether credentials are lent there.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, lends: bool) {
        while let Ok(permit) = self.permits.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let egress = self.clone();
                    // As long as there is a connection, or what it has become.
                    let permit = Arc::new(permit);
                    tokio::spawn(async move { egress.talk(stream, lends, permit).await });
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn talk(self: Arc<Self>, stream: TcpStream, lends: bool, permit: Arc<OwnedSemaphorePermit>) {
        let _ = stream.set_nodelay(true);
        let upstream = Arc::new(Upstream::default());
        let service = service_fn(move |request| {
            let (egress, upstream, permit) = (self.clone(), upstream.clone(), permit.clone());
            async move { Ok::<_, Infallible>(egress.answer(request, &upstream, lends, permit).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD).preserve_header_case(true);
        // What goes wrong there is for the client to see.
        let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        upstream: &Upstream,
        lends: bool,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> Answer {
        let uri = request.uri();
        if uri.scheme().is_none() && request.method() != Method::CONNECT {
            return match lends && uri.path() == CREDENTIALS && request.method() == Method::GET {
                true => self.lend(uri.query().unwrap_or_default()).await,
                false => refusal(StatusCode::NOT_FOUND, "this is a proxy"),
            };
        }
        let Some(job) = request.headers().get(PROXY_AUTHORIZATION).and_then(|given| self.job(given)) else {
            self.refused.fetch_add(1, Relaxed);
            let why = "this is a tenant's way out, and it was not said of which: clients say no more when a server sends them on";
            return refusal(StatusCode::PROXY_AUTHENTICATION_REQUIRED, why);
        };
        let is_tunnel = request.method() == Method::CONNECT;
        let default = (uri.scheme_str() == Some("http")).then_some(80);
        let (Some(host), Some(port)) = (uri.host(), uri.port_u16().or(default)) else {
            return refusal(StatusCode::BAD_REQUEST, "expected CONNECT host:port, or http://host/");
        };
        let destination = match Destination::parse(host, port) {
            Ok(destination) => destination,
            Err(why) => return self.refuse(&job, &why),
        };
        if !is_tunnel && upstream.is_to(&destination).await {
            return upstream.forward(request).await;
        }
        let server = match self.connect(&destination).await {
            Ok(server) => server,
            Err(Failed::Barred(why)) => return self.refuse(&job, &why),
            Err(Failed::Absent(why)) => return refusal(StatusCode::BAD_GATEWAY, &why),
        };
        self.connections.fetch_add(1, Relaxed);
        if !is_tunnel {
            upstream.open(destination, server).await;
            return upstream.forward(request).await;
        }
        tokio::spawn(async move {
            if let Ok(client) = hyper::upgrade::on(request).await {
                let (mut client, mut server) = (TokioIo::new(client), server);
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
            drop(permit);
        });
        refusal(StatusCode::OK, "")
    }

    /// Whose connection it is, if he knows the password.
    fn job(&self, given: &HeaderValue) -> Option<String> {
        let encoded = given.to_str().ok()?.strip_prefix("Basic ")?;
        let decoded = base64_simd::STANDARD.decode_to_vec(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (job, password) = text.split_once(':')?;
        bool::from(password.as_bytes().ct_eq(self.password.as_bytes())).then(|| job.to_owned())
    }

    async fn connect(&self, destination: &Destination) -> std::result::Result<TcpStream, Failed> {
        let rules = self.tenant.rules();
        let addresses = destination.addresses(&rules, &*self.resolver).await?;
        let mut why = format!("{destination} has no address");
        for address in addresses {
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => why = format!("{destination}: {error}"),
                Err(_) => why = format!("{destination}: no answer within {} s", PATIENCE.as_secs()),
            }
        }
        Err(Failed::Absent(why))
    }

    fn refuse(&self, job: &str, why: &str) -> Answer {
        self.refused.fetch_add(1, Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= QUIET) {
            *said = Some(Instant::now());
            tracing::warn!(tenant = self.tenant.name(), job, "a connection was refused: {why}");
        }
        refusal(StatusCode::FORBIDDEN, &format!("tenant {}: {why}", self.tenant.name()))
    }

    async fn lend(&self, query: &str) -> Answer {
        let value = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let (session, region) = (value("session").unwrap_or_default(), value("region").unwrap_or_default());
        let job = session.strip_prefix(self.tenant.name()).and_then(|rest| rest.strip_prefix('@'));
        let (Some(job), true) = (job, is_region(&region)) else {
            return refusal(StatusCode::BAD_REQUEST, "expected ?session=TENANT@JOB&region=REGION");
        };
        let Some(role) = self.tenant.rules().role(session_of(self.tenant.name(), job)) else {
            return refusal(StatusCode::NOT_FOUND, "the tenant has no role");
        };
        match self.lender.lend(&role, &region).await {
            Ok(json) => forward::json(json),
            Err(error) => refusal(StatusCode::BAD_GATEWAY, &error.report()),
        }
    }
}

/// The way out of a tenant whose jobs run in this process: a port of loopback.
pub struct Gate {
    /// The way to it.
    pub way: WayOut,
    egress: Arc<Egress>,
    serving: JoinHandle<()>,
}

impl Gate {
    /// Opens it. Needs a tokio runtime.
    pub fn open(egress: Arc<Egress>) -> Result<Self> {
        let failed =
            |error| Error::unavailable("open a port of loopback for the way out of a tenant").with_source(error);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let way = egress.way(listener.local_addr().map_err(failed)?);
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let serving = tokio::spawn(egress.clone().serve(listener, false));
        Ok(Self { way, egress, serving })
    }

    /// What it leads to.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[cfg(test)]
mod tests;
