//! The wish that something ends: of the outside, by Ctrl-C or what `kill` and container runtimes send, or of whoever runs a job
//! beside others.

use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use wasmill_stream::{Error, Result};

/// Hears that something is to end.
pub enum Shutdown {
    /// From SIGINT and SIGTERM.
    #[allow(missing_docs)]
    Signals { interrupt: Signal, terminate: Signal },
    /// From within this process.
    Asked(UnboundedReceiver<()>),
}

impl Shutdown {
    /// Hears SIGINT and SIGTERM from now on; they no longer end the process by themselves. Needs a tokio runtime.
    pub fn of_process() -> Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::unavailable("listen for signals of the system").with_source(error))
        };
        Ok(Self::Signals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Resolves each time that the end is asked for.
    pub async fn asked(&mut self) {
        match self {
            Self::Signals { interrupt, terminate } => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Self::Asked(asked) => match asked.recv().await {
                Some(()) => {}
                // Nobody is there who could ask any more.
                None => pending().await,
            },
        }
    }
}
