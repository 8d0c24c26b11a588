//! The wish of the outside to end: Ctrl-C, or what `kill` and container runtimes send.

use tokio::signal::unix::{Signal, SignalKind, signal};
use wasmill_stream::{Error, Result};

/// Hears SIGINT and SIGTERM from its creation on; they no longer end the process by themselves.
pub struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
}

impl Shutdown {
    /// Starts to listen. Needs a tokio runtime.
    pub fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::unavailable("listen for signals of the system").with_source(error))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Resolves at each signal.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
