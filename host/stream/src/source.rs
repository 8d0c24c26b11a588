//! What a source must do: announce its splits, then hand over chunks of records through a [`SplitSender`] that makes it
//! wait when the job is behind. Implemented in `connect`, driven by `engine`.

use crate::checkpoint::SplitMark;
use crate::{Binary, Error, Positions, Result, SplitId};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Records of one split, in order, as they were read.
#[derive(Debug)]
pub struct Chunk {
    /// The records. A chunk should hold some hundred kilobytes: small ones cost time per record, large ones memory.
    pub values: Binary,
    /// One position per record.
    pub positions: Positions,
}

/// What a split has to say.
#[derive(Debug)]
pub enum SplitEvent {
    /// Records.
    Rows(Chunk),
    /// There is nothing to read at the moment. Only a split that has caught up may be declared idle.
    CaughtUp(CaughtUp),
    /// The split has ended for good and holds no watermark any more.
    Done,
}

/// What a split that has caught up knows. Its next records end it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaughtUp {
    /// It would know of the next record: there is none until then.
    UntilNext,
    /// It has looked just now, and nobody knows of what has come since. If it cannot look again within this time, nobody
    /// knows whether it has caught up.
    Looked {
        /// The longest time to its next look.
        again_within: Duration,
    },
}

/// Where a source goes on: what a checkpoint knows of it.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// What it told [`Intake::note`] last.
    pub note: Value,
    /// Its splits.
    pub splits: BTreeMap<String, SplitMark>,
}

/// A source whose settings were checked. Nothing is opened yet.
#[async_trait]
pub trait Source: Send {
    /// Whether what was read can be read again.
    fn rereads(&self) -> bool {
        true
    }

    /// Reads until the source ends or [`Intake::stopped`]. Calls [`Intake::open`] exactly once and before anything else
    /// is sent: the job's watermark waits for it. An error ends the job.
    ///
    /// If there is an [`Intake::resume`], each split goes on behind its position there, and one that is done is opened no
    /// more. What cannot be read any more, or is not the same source any more, is an error that says so.
    async fn run(self: Box<Self>, intake: Intake) -> Result<()>;
}

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

/// The engine's side of a source: where splits are opened and where the wish to stop arrives.
pub struct Intake {
    queues: Vec<WorkerQueue>,
    budget: Arc<Semaphore>,
    budget_bytes: u32,
    stop: watch::Receiver<bool>,
    resume: Option<Resume>,
    note: SourceNote,
    hold_ups: HoldUps,
    keeps_checkpoints: bool,
    /// How many splits were opened.
    opened: AtomicUsize,
}

/// What a source wants to be told when it goes on; shared with whoever writes checkpoints.
#[derive(Debug, Clone, Default)]
pub struct SourceNote {
    current: Arc<Mutex<Note>>,
    /// The latest edition that a checkpoint holds.
    kept: Arc<watch::Sender<u64>>,
}

/// A note and which edition of it this is.
#[derive(Debug, Default)]
struct Note {
    value: Value,
    edition: u64,
}

impl SourceNote {
    /// The note as it is now.
    pub fn get(&self) -> Value {
        self.edition().0
    }

    /// The note as it is now, and what to tell [`SourceNote::kept`] when a checkpoint with it is published.
    pub fn edition(&self) -> (Value, u64) {
        let note = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (note.value.clone(), note.edition)
    }

    /// A checkpoint holds this edition.
    pub fn kept(&self, edition: u64) {
        self.kept.send_replace(edition);
    }

    fn set(&self, value: Value) {
        let mut note = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *note = Note { value, edition: note.edition + 1 };
    }
}

/// What keeps a source from reading although there may be more to read, by split. Shared with whoever watches the job.
#[derive(Debug, Clone, Default)]
pub struct HoldUps(Arc<Mutex<BTreeMap<String, String>>>);

impl HoldUps {
    /// One of them, for people; `None` if nothing is held up.
    pub fn look(&self) -> Option<String> {
        let splits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        splits.first_key_value().map(|(split, reason)| format!("{split}: {reason}"))
    }

    fn set(&self, split: &SplitId, reason: Option<String>) {
        let mut splits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => splits.insert(split.to_string(), reason),
            None => splits.remove(&split.to_string()),
        };
    }
}

impl Intake {
    /// An intake over one queue per worker, with a budget of bytes that may be in flight for this source.
    pub fn new(queues: Vec<WorkerQueue>, budget_bytes: u32, stop: watch::Receiver<bool>) -> Self {
        Self {
            queues,
            budget: Arc::new(Semaphore::new(budget_bytes as usize)),
            budget_bytes,
            stop,
            resume: None,
            note: SourceNote::default(),
            hold_ups: HoldUps::default(),
            keeps_checkpoints: false,
            opened: AtomicUsize::new(0),
        }
    }

    /// The same, to go on from a checkpoint.
    pub fn resuming(mut self, resume: Option<Resume>) -> Self {
        self.note.set(resume.as_ref().map(|resume| resume.note.clone()).unwrap_or_default());
        self.resume = resume;
        self
    }

    /// The same, in a job whose notes come into checkpoints: whoever writes those says when.
    pub fn keeping_checkpoints(mut self, keeps: bool) -> Self {
        self.keeps_checkpoints = keeps;
        self
    }

    /// Where the note will be.
    pub fn notes(&self) -> SourceNote {
        self.note.clone()
    }

    /// Where it will say what keeps it from reading.
    pub fn hold_ups(&self) -> HoldUps {
        self.hold_ups.clone()
    }

    /// Where to go on; `None` if the job starts afresh.
    pub fn resume(&self) -> Option<&Resume> {
        self.resume.as_ref()
    }

    /// What the checkpoint knows of a split.
    pub fn resume_split(&self, part: &str) -> Option<SplitMark> {
        self.resume.as_ref()?.splits.get(part).copied()
    }

    /// Leaves a note for the run that goes on after this one: every checkpoint from now on holds it. Say what proves that
    /// the source is still the same, before the first record is sent.
    pub fn note(&self, note: Value) {
        self.note.set(note);
    }

    /// Waits until a checkpoint holds the note as it is now, if the job keeps checkpoints. To be called after
    /// [`Intake::open`], for which the first checkpoint waits, and before the first record, by a source that could not find
    /// again where it begins.
    pub async fn note_kept(&self) -> Result<()> {
        if !self.keeps_checkpoints {
            return Ok(());
        }
        let edition = self.note.edition().1;
        let mut kept = self.note.kept.subscribe();
        tokio::select! {
            kept = kept.wait_for(|kept| *kept >= edition) => kept.map(drop).map_err(|_| closed()),
            // A job that fails makes no more checkpoints.
            () = self.stopped() => Err(closed()),
        }
    }

    /// Announces all splits and deals them to the workers. The senders come back in the same order.
    pub async fn open(&self, splits: Vec<SplitId>) -> Result<Vec<SplitSender>> {
        self.deal(splits, true).await
    }

    /// Announces splits that have appeared since. They hold the watermark from now on, so whoever finds children of a
    /// split announces them before it says that the split is done. Returns when their workers know of them.
    pub async fn open_more(&self, splits: Vec<SplitId>) -> Result<Vec<SplitSender>> {
        let senders = self.deal(splits, false).await?;
        for sender in &senders {
            taken(&sender.queue).await?;
        }
        Ok(senders)
    }

    async fn deal(&self, splits: Vec<SplitId>, first: bool) -> Result<Vec<SplitSender>> {
        let workers = self.queues.len();
        let before = self.opened.fetch_add(splits.len(), Relaxed);
        for (worker, queue) in self.queues.iter().enumerate() {
            let skipped = (worker + workers - before % workers) % workers;
            let mine: Vec<_> = splits.iter().skip(skipped).step_by(workers).cloned().collect();
            if first || !mine.is_empty() {
                deliver(queue, Delivery::Open(mine)).await?;
            }
        }
        let senders = splits.into_iter().zip(before..).map(|(split, at)| SplitSender {
            split,
            queue: self.queues[at % workers].clone(),
            budget: self.budget.clone(),
            budget_bytes: self.budget_bytes,
            stop: self.stop.clone(),
            hold_ups: self.hold_ups.clone(),
        });
        Ok(senders.collect())
    }

    /// Whether the job wants its sources to stop reading.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when the job wants its sources to stop reading.
    pub async fn stopped(&self) {
        wait_for_stop(self.stop.clone()).await;
    }
}

/// The way of one split's records into the job.
pub struct SplitSender {
    split: SplitId,
    queue: WorkerQueue,
    budget: Arc<Semaphore>,
    budget_bytes: u32,
    stop: watch::Receiver<bool>,
    hold_ups: HoldUps,
}

impl Drop for SplitSender {
    fn drop(&mut self) {
        self.reads_on();
    }
}

impl SplitSender {
    /// The split's id.
    pub fn split(&self) -> &SplitId {
        &self.split
    }

    /// Hands over records. Waits while the job has too many bytes in flight: this is where back-pressure reaches a source.
    pub async fn rows(&self, values: Binary, positions: Positions) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        // Many records may have few bytes, or none; where they stood is in memory as long as they are.
        let cost = ((values.total_bytes() + positions.bytes()) as u64).clamp(1, u64::from(self.budget_bytes)) as u32;
        let permit = tokio::select! {
            biased;
            permit = self.budget.clone().acquire_many_owned(cost) => permit.map_err(|_| closed())?,
            () = wait_for_stop(self.stop.clone()) => return Err(closed()),
        };
        let values = values.guard(|bytes| Bytes::from_owner(Budgeted { bytes, _permit: permit }));
        self.send(SplitEvent::Rows(Chunk { values, positions })).await
    }

    /// Says why nothing can be read at the moment although there may be more. It is tried again.
    pub fn held_up(&self, reason: &Error) {
        self.hold_ups.set(&self.split, Some(reason.report()));
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

/// Sends to a worker and wakes it.
pub async fn deliver(queue: &WorkerQueue, delivery: Delivery) -> Result<()> {
    queue.sender.send(delivery).await.map_err(|_| closed())?;
    (queue.wake)();
    Ok(())
}

/// Waits until a worker has taken in all that was sent to it.
async fn taken(queue: &WorkerQueue) -> Result<()> {
    // Whoever gets every place of a queue at once knows that nobody stands in it. The places are given in turn, so that
    // others who go on sending cannot keep them.
    let places = queue.sender.max_capacity();
    queue.sender.reserve_many(places).await.map(drop).map_err(|_| closed())
}

async fn wait_for_stop(mut stop: watch::Receiver<bool>) {
    // A dropped sender means that the job is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn closed() -> Error {
    Error::closed("the job has stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// An intake over one worker, what has arrived there, and what keeps the job alive.
    fn intake() -> (Intake, mpsc::Receiver<Delivery>, watch::Sender<bool>) {
        let (sender, receiver) = mpsc::channel(8);
        let stop = watch::Sender::new(false);
        let queue = WorkerQueue { sender, wake: Arc::new(|| {}) };
        (Intake::new(vec![queue], 1 << 10, stop.subscribe()), receiver, stop)
    }

    fn ready<T>(future: impl Future<Output = Result<T>>) -> T {
        match poll(pin!(future)) {
            Poll::Ready(Ok(value)) => value,
            _ => panic!("it does not wait, and succeeds"),
        }
    }

    /// The end of a split → the source gets further only when the worker has taken all that was sent before, and the end: it
    /// may open children then, which must not be in a checkpoint without this end.
    #[test]
    fn an_end_waits_until_it_is_known() {
        let (intake, mut arrived, _stop) = intake();
        let sender = ready(intake.open(vec![SplitId::new("list", 0)])).remove(0);
        ready(sender.rows(["a", "b"].iter().collect(), Positions::Consecutive { first: 0 }));
        let mut done = pin!(sender.done());
        for left in ["what there is", "rows", "the end"] {
            assert!(poll(done.as_mut()).is_pending(), "{left} was not taken");
            arrived.try_recv().expect(left);
        }
        assert!(matches!(poll(done), Poll::Ready(Ok(()))));
    }

    /// Splits that appear later → the source gets further only when their worker knows of them.
    #[test]
    fn new_splits_wait_until_they_are_known() {
        let (intake, mut arrived, _stop) = intake();
        ready(intake.open(vec![]));
        let mut opened = pin!(intake.open_more(vec![SplitId::new("list", 1)]));
        for left in ["what there is", "what there is since"] {
            assert!(poll(opened.as_mut()).is_pending(), "{left} was not taken");
            arrived.try_recv().expect(left);
        }
        assert!(matches!(poll(opened), Poll::Ready(Ok(_))));
    }

    /// A worker that goes while a source waits for it → the source learns that the job has stopped.
    #[test]
    fn a_worker_that_goes_is_not_waited_for() {
        let (intake, arrived, _stop) = intake();
        let sender = ready(intake.open(vec![SplitId::new("list", 0)])).remove(0);
        let mut done = pin!(sender.done());
        assert!(poll(done.as_mut()).is_pending());
        drop(arrived);
        assert!(matches!(poll(done), Poll::Ready(Err(error)) if error.kind() == crate::ErrorKind::Closed));
    }
}
