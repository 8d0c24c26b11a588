//! A sink on one worker: hands batches to the sink's writer, and the barriers of checkpoints between them. While the writer
//! has no room, batches wait here and hold their epoch open, which in the end makes the sources wait.

use super::alarm::Alarm;
use super::{Epoch, Rows};
use crate::checkpoint::{FINAL, Reporter};
use crate::parcel::Parcel;
use crate::worker::Shared;
use crate::writer::{Message, Room, What};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use wasmill_stream::Batch;
use wasmill_stream::ledger::StepLedger;

/// How long it takes until a full writer is asked again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// What waits for the writer.
struct Outbox {
    worker: usize,
    writer: Sender<Message>,
    room: Room,
    reporter: Option<Reporter>,
    /// Each batch holds its epoch open.
    rows: VecDeque<(Capability<Epoch>, Arc<Batch>)>,
    /// The last barrier that was sent.
    passed: Option<u64>,
}

impl Outbox {
    /// Sends what may go, in order: rows before a barrier, the barrier once `open` is behind it, then the rows after it.
    fn send(&mut self, open: Option<Epoch>) -> Result<(), TrySendError<()>> {
        loop {
            let barrier = self.reporter.as_ref().and_then(|reporter| reporter.barrier(self.passed));
            let before = |(capability, _): &(Capability<Epoch>, _)| barrier.is_none_or(|at| *capability.time() <= at);
            if let Some(next) = self.rows.iter().position(before) {
                let batch = self.rows[next].1.clone();
                let place = self.room.try_take(batch.values.total_bytes()).ok_or(TrySendError::Full(()))?;
                self.give(What::Rows(batch, Some(place)))?;
                self.rows.remove(next);
                continue;
            }
            match barrier {
                Some(barrier) if open.is_none_or(|open| barrier < open) => {
                    self.give(What::Barrier(barrier))?;
                    self.passed = Some(barrier);
                }
                _ if open.is_none() && self.passed != Some(FINAL) && self.reporter.is_some() => {
                    self.give(What::Barrier(FINAL))?;
                    self.passed = Some(FINAL);
                }
                _ => return Ok(()),
            }
        }
    }

    fn give(&self, what: What) -> Result<(), TrySendError<()>> {
        self.writer.try_send(Message { from: self.worker, what }).map_err(|error| match error {
            TrySendError::Full(_) => TrySendError::Full(()),
            TrySendError::Closed(_) => TrySendError::Closed(()),
        })
    }
}

/// Builds the operator. Its output carries nothing: its frontier tells which epochs the sink has taken.
pub fn build<'s>(rows: Rows<'s>, shared: &Shared, index: usize, way: (Sender<Message>, Room)) -> Rows<'s> {
    let scope = rows.scope();
    let ledger = shared.plan.nodes[index].ledger.clone();
    let (reporter, verdict) = (shared.reporter.clone(), shared.verdict.clone());
    let quota = shared.quota.clone();
    let mut builder = OperatorBuilder::new(ledger.name.clone(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (_output, taken) = builder.new_output::<Parcel>();
    let mut alarm = Alarm::new(scope.activator_for(builder.operator_info().address));
    let mut retry = RETRY.0;
    let (writer, room) = way;
    let mut outbox = Outbox { worker: scope.index(), writer, room, reporter, rows: VecDeque::new(), passed: None };
    builder.build(move |mut capabilities| {
        // Held until the last barrier is sent: at the end of its input timely lets go of an operator that holds nothing,
        // even if the writer had no room for what it still has to say.
        let mut stay = capabilities.pop().filter(|_| outbox.reporter.is_some());
        move |frontiers| {
            input.for_each(|capability, parcel| {
                let batch = std::mem::take(parcel).batch;
                StepLedger::add(&ledger.read, batch.len());
                StepLedger::add(&ledger.bytes, batch.values.total_bytes());
                if let Some(quota) = &quota {
                    // The worker waits for it once it has done what is under way.
                    quota.output.spend(batch.values.total_bytes() as u64, Instant::now());
                }
                outbox.rows.push_back((capability.retain(0), batch));
            });
            if verdict.is_aborted() {
                stay = None;
                return;
            }
            let open = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if let (Some(open), Some(stay)) = (&open, &mut stay) {
                stay.downgrade(open);
            }
            match outbox.send(open) {
                Ok(()) if open.is_none() => stay = None,
                Ok(()) => retry = RETRY.0,
                Err(TrySendError::Full(())) => {
                    alarm.set(retry);
                    retry = (retry * 2).min(RETRY.1);
                }
                // The writer has ended with an error, which is the job's.
                Err(TrySendError::Closed(())) => {
                    outbox.rows.clear();
                    stay = None;
                    verdict.stop();
                }
            }
        }
    });
    taken
}
