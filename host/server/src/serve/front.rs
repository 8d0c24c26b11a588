//! The front of a host: connections come in, over TCP, TLS or a Unix socket, each with its time limits. What they ask for is for
//! the router; who is on the other side is told by [`Peer`].

mod listen;
mod tls;

pub use listen::{Listen, Listener, Peer};
pub use tls::{Tls, TlsFiles};

use crate::terminal::Terminal;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A client has so long for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// And so long for the head of a request, from when the connection is idle.
const HEAD: Duration = Duration::from_secs(10);
/// A head may have so many bytes.
const LONGEST_HEAD: usize = 32 << 10;

/// What connections come in through.
pub struct Front {
    listener: Listener,
    tls: Option<Arc<Tls>>,
    permits: Arc<Semaphore>,
    terminal: Terminal,
}

impl Front {
    /// One that lets so many connections in at a time; others wait outside.
    pub fn new(listener: Listener, tls: Option<Tls>, connections: usize, terminal: Terminal) -> Self {
        Self { listener, tls: tls.map(Arc::new), permits: Arc::new(Semaphore::new(connections)), terminal }
    }

    /// Has the router answer, until this is dropped.
    pub async fn serve(self, router: Router) {
        // It is closed when this is dropped, and not before.
        while let Ok(permit) = self.permits.clone().acquire_owned().await {
            let (stream, peer) = self.listener.accept().await;
            let (router, tls) = (router.clone(), self.tls.clone());
            let terminal = self.terminal.clone();
            tokio::spawn(async move {
                match tls {
                    Some(tls) => {
                        let accepting = tls.acceptor(&terminal).accept(stream);
                        // Whoever cannot do that is no client; port scanners come by every minute.
                        if let Ok(Ok(stream)) = timeout(HANDSHAKE, accepting).await {
                            talk(stream, peer, router).await;
                        }
                    }
                    None => talk(stream, peer, router).await,
                }
                drop(permit);
            });
        }
    }
}

/// Answers one connection until it ends. What goes wrong there is for the client to see.
pub(super) async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
