//! The way of records into the job, which makes a source wait when the job is behind.

use super::queue::{closed, taken, wait_for_stop};
use super::{CaughtUp, Chunk, Delivery, HoldUps, SplitEvent, WorkerQueue, deliver};
use crate::ledger::{SplitGauge, StepLedger};
use crate::{Binary, Error, Positions, Result, SplitId};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The way of one split's records into the job.
pub struct SplitSender {
    pub(super) split: SplitId,
    pub(super) queue: WorkerQueue,
    pub(super) budget: Arc<Semaphore>,
    pub(super) budget_bytes: u32,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) hold_ups: HoldUps,
    pub(super) ledger: Arc<StepLedger>,
    /// What is known of the split from outside.
    pub(super) gauge: Arc<SplitGauge>,
}

impl Drop for SplitSender {
    fn drop(&mut self) {
        self.reads_on();
        self.remark(None);
    }
}

impl SplitSender {
    /// The split's id.
    pub fn split(&self) -> &SplitId {
        &self.split
    }

    /// Hands over records. Waits while the job has too many bytes in flight: this is where back-pressure reaches a source.
    pub async fn rows(&self, values: Binary, positions: Positions) -> Result<()> {
        self.chunk(Chunk { values, positions, arrivals: None }).await
    }

    /// The same, of a source that knows when they arrived, if somebody wants to know.
    pub async fn chunk(&self, chunk: Chunk) -> Result<()> {
        let Chunk { values, positions, arrivals } = chunk;
        if values.is_empty() {
            return Ok(());
        }
        // Many records may have few bytes, or none; where they stood is in memory as long as they are.
        let times = arrivals.as_ref().map_or(0, |arrivals| size_of_val(arrivals.as_slice()));
        let bytes = values.total_bytes() + positions.bytes() + times;
        let cost = (bytes as u64).clamp(1, u64::from(self.budget_bytes)) as u32;
        let permit = match self.budget.clone().try_acquire_many_owned(cost) {
            Ok(permit) => permit,
            Err(_) => {
                let _held_back = HeldBack::new(&self.ledger);
                tokio::select! {
                    biased;
                    permit = self.budget.clone().acquire_many_owned(cost) => permit.map_err(|_| closed())?,
                    () = wait_for_stop(self.stop.clone()) => return Err(closed()),
                }
            }
        };
        let values = values.guard(|bytes| Bytes::from_owner(Budgeted { bytes, _permit: permit }));
        self.send(SplitEvent::Rows(Chunk { values, positions, arrivals })).await
    }

    /// Says that the split goes on after others: what their watermark says of them holds for it, too. To be called before
    /// the first record.
    pub async fn inherit(&self, watermark: i64) -> Result<()> {
        self.send(SplitEvent::Inherits(watermark)).await
    }

    /// Says how many milliseconds what is read next is older than the end of the split, as its server sees it.
    pub fn is_behind(&self, millis: i64) {
        self.gauge.is_behind(millis);
    }

    /// Says why nothing can be read at the moment although there may be more. It is tried again.
    pub fn held_up(&self, reason: &Error) {
        self.ledger.retries.fetch_add(1, Relaxed);
        self.hold_ups.set(&self.split, Some(reason.report()));
    }

    /// Says in what way the split is read otherwise than the settings ask for, or that it is not any more. It is read: that it
    /// is not is for [`SplitSender::held_up`].
    pub fn remark(&self, remark: Option<String>) {
        self.ledger.remark(self.split.as_str(), remark);
    }

    /// Says that reading goes on.
    pub fn reads_on(&self) {
        self.hold_ups.set(&self.split, None);
    }

    /// Says that the split has nothing to read at the moment.
    pub async fn caught_up(&self, caught_up: CaughtUp) -> Result<()> {
        self.send(SplitEvent::CaughtUp(caught_up)).await
    }

    /// Says that the split has ended. Returns when its worker knows: what is sent after that, for whatever split, is in no
    /// checkpoint without this end.
    pub async fn done(self) -> Result<()> {
        self.send(SplitEvent::Done).await?;
        taken(&self.queue).await
    }

    /// Whether the job wants its sources to stop reading.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when the job wants its sources to stop reading.
    pub async fn stopped(&self) {
        wait_for_stop(self.stop.clone()).await;
    }

    async fn send(&self, event: SplitEvent) -> Result<()> {
        deliver(&self.queue, Delivery::Event(self.split.clone(), event)).await
    }
}

/// A split that has records for which the job has no room.
struct HeldBack<'l>(&'l StepLedger);

impl<'l> HeldBack<'l> {
    fn new(ledger: &'l StepLedger) -> Self {
        ledger.held_back.fetch_add(1, Relaxed);
        Self(ledger)
    }
}

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.0.held_back.fetch_sub(1, Relaxed);
    }
}

/// Bytes that give their share of the budget back when the last batch that shares them is dropped.
struct Budgeted {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Budgeted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
