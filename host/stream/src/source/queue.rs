//! The way to one worker.

use super::SplitEvent;
use crate::{Error, Result, SplitId};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Where split events of one worker go.
#[derive(Clone)]
pub struct WorkerQueue {
    /// Events with the index of their split; `None` opens a split.
    pub sender: mpsc::Sender<Delivery>,
    /// Wakes the worker's thread.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// One message to a worker.
#[derive(Debug)]
pub enum Delivery {
    /// Splits that this worker has to expect. Sent to every worker at the start, also when it gets none, and to some later
    /// for splits that appear then.
    Open(Vec<SplitId>),
    /// Something of one of its splits.
    Event(SplitId, SplitEvent),
    /// The source has returned: all its splits are done.
    Closed,
}

/// Sends to a worker and wakes it.
pub async fn deliver(queue: &WorkerQueue, delivery: Delivery) -> Result<()> {
    queue.sender.send(delivery).await.map_err(|_| closed())?;
    (queue.wake)();
    Ok(())
}

/// Waits until a worker has taken in all that was sent to it.
pub(super) async fn taken(queue: &WorkerQueue) -> Result<()> {
    // Whoever gets every place of a queue at once knows that nobody stands in it. The places are given in turn, so that
    // others who go on sending cannot keep them.
    let places = queue.sender.max_capacity();
    queue.sender.reserve_many(places).await.map(drop).map_err(|_| closed())
}

pub(super) async fn wait_for_stop(mut stop: watch::Receiver<bool>) {
    // A dropped sender means that the job is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

pub(super) fn closed() -> Error {
    Error::closed("the job has stopped")
}
