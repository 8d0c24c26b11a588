//! Where a source opens its splits.

#[cfg(doc)]
use super::Chunk;
use super::queue::{closed, taken, wait_for_stop};
use super::{Delivery, Ends, HoldUps, Resume, SourceNote, SplitSender, WorkerQueue, deliver};
use crate::checkpoint::SplitMark;
use crate::ledger::StepLedger;
use crate::{Result, SplitId};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::{Semaphore, watch};

/// The engine's side of a source: where splits are opened and where the wish to stop arrives.
pub struct Intake {
    queues: Vec<WorkerQueue>,
    budget: Arc<Semaphore>,
    budget_bytes: u32,
    stop: watch::Receiver<bool>,
    resume: Option<Resume>,
    note: SourceNote,
    hold_ups: HoldUps,
    ends: Ends,
    ledger: Arc<StepLedger>,
    keeps_checkpoints: bool,
    wants_arrivals: bool,
    /// How many splits were opened.
    opened: AtomicUsize,
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
            ends: Ends::default(),
            ledger: Arc::default(),
            keeps_checkpoints: false,
            wants_arrivals: false,
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

    /// The same, in a job that asks when records arrived.
    pub fn asking_for_arrivals(mut self, wants: bool) -> Self {
        self.wants_arrivals = wants;
        self
    }

    /// The same, in a job whose ends are settled there.
    pub fn settling(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }

    /// The same, of a source whose counters these are.
    pub fn counting(mut self, ledger: Arc<StepLedger>) -> Self {
        self.ledger = ledger;
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

    /// Whether somebody wants to know when records arrived. A source that knows says so in [`Chunk::arrivals`].
    pub fn wants_arrivals(&self) -> bool {
        self.wants_arrivals
    }

    /// The counters of the source.
    pub fn ledger(&self) -> &Arc<StepLedger> {
        &self.ledger
    }

    /// Counts records that are lost and says which, for people: they were not read in time, and the source goes on.
    pub fn gap(&self, gap: String) {
        self.ledger.note_gap(gap);
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
            gauge: self.ledger.splits.open(split.part()),
            split,
            queue: self.queues[at % workers].clone(),
            budget: self.budget.clone(),
            budget_bytes: self.budget_bytes,
            stop: self.stop.clone(),
            hold_ups: self.hold_ups.clone(),
            ledger: self.ledger.clone(),
        });
        Ok(senders.collect())
    }

    /// Waits until the end of a split is settled, so that what is sent from then on comes after its rows everywhere, and no
    /// later run denies the end: a published checkpoint holds it, or, without checkpoints, all sinks have taken what was
    /// before it. To be called behind [`SplitSender::done`]. Returns the last watermark of the split, if it had one.
    pub async fn settled(&self, split: &SplitId) -> Result<Option<i64>> {
        tokio::select! {
            watermark = self.ends.settled(split) => watermark,
            // A job that fails settles nothing more.
            () = self.stopped() => Err(closed()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Positions;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};
    use tokio::sync::mpsc;

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
