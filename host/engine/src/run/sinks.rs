//! Opening the sinks of a job.

use super::of_step;
use crate::checkpoint::{Commit, Origin, Standing, UndoLog};
use crate::graph::SinkTerms;
use crate::worker::{Equipment, Shared};
use crate::writer::{self, Checkpointing, DeadLetterBox, Driver, Refusals, Room};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tracing::Instrument;
use wasmill_stream::Result;
use wasmill_stream::checkpoint::Store;
use wasmill_stream::sink::{Opening, Sink, Undo};
use wasmill_stream::units::ByteCount;

/// Where sinks keep their undo logs, whether they have to, and whether they still may.
pub(super) type Undoing = (Arc<dyn Store>, Arc<AtomicBool>, Standing);

/// The tasks of the sinks, and how each is told to commit.
pub(super) type OpenSinks = (JoinSet<()>, HashMap<usize, UnboundedSender<Commit>>);

/// Opens all sinks, and starts what drives each.
pub(super) async fn open_sinks(
    shared: &Shared,
    sinks: Vec<(usize, Box<dyn Sink>, SinkTerms)>,
    undo: Option<Undoing>,
    equipment: &mut [Equipment],
) -> Result<OpenSinks> {
    let (mut tasks, mut commits) = (JoinSet::new(), HashMap::new());
    let (workers, others) = (equipment.len(), sinks.len().saturating_sub(1));
    let mut dead_letters = None;
    // The sink of the dead letters comes last in the plan and is opened first: the others send to it.
    for (at, (index, sink, terms)) in sinks.into_iter().rev().enumerate() {
        let node = &shared.plan.nodes[index];
        let (name, ledger) = (node.name.clone(), node.ledger.clone());
        let mark = shared.resumed.sinks.get(&index).cloned().unwrap_or_default();
        let undo = undo.clone().map(|(store, wanted, standing)| {
            let log = UndoLog::new(store, &name, shared.run, wanted, standing);
            Arc::new(log)
        });
        let opening = Opening {
            ledger: ledger.clone(),
            job: shared.job.to_string(),
            commits: shared.reporter.is_some(),
            run: shared.run,
            prepared: mark.prepared,
            committed: mark.committed,
            withdrawal: shared.resumed.withdrawals.get(&index).cloned(),
            undo: undo.clone().map(|undo| undo as Arc<dyn Undo>),
            on_outage: terms.on_outage,
        };
        let opened = sink.open(opening).await.map_err(|error| error.context(format!("sink {name}")))?;
        let (sender, receiver) = mpsc::channel(writer::QUEUE);
        let is_dead_letters = shared.plan.dead_letters == Some(index);
        let senders = if is_dead_letters { workers + others } else { workers };
        for worker in equipment.iter_mut() {
            worker.sinks.insert(index, (sender.clone(), Room::share(terms.queue, senders)));
        }
        let checkpointing = shared.reporter.clone().zip(undo).map(|(reporter, undo)| {
            let (commit, wishes) = mpsc::unbounded_channel();
            commits.insert(index, commit);
            Checkpointing { reporter, origin: Origin { node: index, worker: 0 }, senders, commits: wishes, undo }
        });
        let to = dead_letters.as_ref().map(|(to, senders, queue): &(DeadLetterBox, usize, ByteCount)| DeadLetterBox {
            from: workers + at - 1,
            room: Room::share(*queue, *senders),
            ..to.clone()
        });
        let refusals = Refusals::new(ledger.clone(), to, terms.refusable);
        if is_dead_letters {
            let room = Room::share(terms.queue, senders);
            dead_letters = Some((DeadLetterBox { ledger, sender, room, from: 0 }, senders, terms.queue));
        }
        let verdict = shared.verdict.clone();
        let driver = Driver::new(opened, refusals, checkpointing);
        let span = of_step(&name);
        let driving = async move {
            if let Err(error) = driver.drive(receiver).await {
                verdict.fail_sink(error.context(format!("sink {name}")));
            }
        };
        tasks.spawn(driving.instrument(span));
    }
    Ok((tasks, commits))
}
