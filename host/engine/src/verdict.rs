//! How a job ends: the wish to stop, and the first error of any of its parts.

use crate::wake::Bell;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use wasmill_stream::{Error, ErrorKind};

/// Shared by every part of a running job.
pub struct Verdict {
    error: Mutex<Option<Error>>,
    aborted: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    /// The reader of a sink has seen enough.
    sink_closed: watch::Sender<bool>,
    /// Rung on abort, so that parked workers notice.
    bells: Mutex<Vec<Arc<Bell>>>,
}

impl Verdict {
    /// No verdict yet.
    pub fn new() -> Self {
        Self {
            error: Mutex::new(None),
            aborted: watch::Sender::new(false),
            stop: watch::Sender::new(false),
            sink_closed: watch::Sender::new(false),
            bells: Mutex::new(Vec::new()),
        }
    }

    /// Adds a bell to ring on abort.
    pub fn wake_on_abort(&self, bell: Arc<Bell>) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).push(bell);
    }

    /// Asks the sources to stop reading; what was read is still processed.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the sources were asked to stop reading.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Follows the wish to stop.
    pub fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Ends the job at once. Only the first error counts; [`ErrorKind::Closed`] is an echo of an end, not a reason.
    pub fn fail(&self, error: Error) {
        if error.kind() == ErrorKind::Closed {
            return self.stop();
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.aborted.send_replace(true);
        self.stop();
        for bell in self.bells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            bell.ring();
        }
    }

    /// A sink has failed. If it has not, but its reader has seen enough, the job stops, and there is no last checkpoint.
    pub fn fail_sink(&self, error: Error) {
        if error.kind() == ErrorKind::Closed {
            self.sink_closed.send_replace(true);
        }
        self.fail(error);
    }

    /// Whether a sink has ended because its reader has seen enough.
    pub fn is_sink_closed(&self) -> bool {
        *self.sink_closed.borrow()
    }

    /// Resolves when a sink has ended because its reader has seen enough.
    pub async fn sink_closed(&self) {
        // It cannot be closed while somebody waits for it here.
        let _ = self.sink_closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Whether workers have to drop everything.
    pub fn is_aborted(&self) -> bool {
        *self.aborted.borrow()
    }

    /// Resolves when workers have to drop everything.
    pub async fn aborted(&self) {
        // It cannot be closed while somebody waits for it here.
        let _ = self.aborted.subscribe().wait_for(|aborted| *aborted).await;
    }

    /// The first error, once.
    pub fn take_error(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
