//! What somebody wants to see of a step while it runs: rows on their way out of it, and which windows it has open. Nobody does
//! most of the time. Then it costs one look at a flag for each batch and each epoch, and that is all.

use crate::epoch::EpochClock;
use crate::graph::Port;
use crate::plan::Plan;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Batch, Error, Result};

/// A row is shown up to so many bytes of its value, and of its key.
const LONGEST: usize = 16 << 10;

/// So many rows of a batch are shown: a sample of a minute is worth more than one of a millisecond.
const OF_A_BATCH: usize = 5;

/// So many rows wait for whoever looks. Others are passed over meanwhile: the job does not wait.
const WAITING: usize = 64;

/// So many look at a step at a time.
const WISHES: usize = 16;

/// So many windows are told.
const WINDOWS: usize = 20;

/// What is wanted of a step, on all workers.
#[derive(Debug, Default)]
pub struct Lookout {
    is_wanted: AtomicBool,
    wishes: Mutex<Wishes>,
}

#[derive(Debug, Default)]
struct Wishes {
    samples: Vec<Sample>,
    questions: Vec<Question>,
}

/// Somebody wants to see rows.
#[derive(Debug)]
struct Sample {
    port: Port,
    left: usize,
    rows: Sender<SampledRow>,
}

/// Somebody wants to know which windows are open.
#[derive(Debug)]
struct Question {
    key: Option<Arc<[u8]>>,
    /// Workers that have answered.
    answered: BTreeSet<usize>,
    answers: UnboundedSender<Told>,
}

/// A row on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledRow {
    /// Its event time, milliseconds.
    pub time: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its value; `None`: nobody reads values there, so that rows come without.
    pub value: Option<Vec<u8>>,
    /// Whether they go on.
    pub is_cut: bool,
}

/// What a step holds on one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How far event time has come for it, milliseconds.
    pub watermark: i64,
    /// Windows that have yet to fire, the first ones, each from a millisecond to before another.
    pub windows: Vec<(i64, i64)>,
}

impl Lookout {
    /// Whether anybody looks. All that the others pay.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    /// Shows rows that go out. Comes for each batch while [`Lookout::is_wanted`].
    #[cold]
    pub fn show(&self, port: Port, batch: &Batch) {
        let mut wishes = self.lock();
        wishes.samples.retain_mut(|sample| {
            if sample.port == port {
                let rows = batch.len().min(OF_A_BATCH).min(sample.left);
                // Whoever reads slowly sees fewer.
                sample.left -=
                    (0..rows).map(|row| sampled(batch, row)).map_while(|row| sample.rows.try_send(row).ok()).count();
            }
            sample.left > 0 && !sample.rows.is_closed()
        });
        self.settle(&wishes);
    }

    /// Tells what one worker holds. Comes when nothing waits for the step, at the end of an epoch at the latest, while [`Lookout::is_wanted`].
    #[cold]
    pub fn tell(&self, (worker, workers): (usize, usize), mut held: impl FnMut(Option<&[u8]>, usize) -> Told) {
        let mut wishes = self.lock();
        wishes.questions.retain_mut(|question| {
            let is_heard = !question.answered.insert(worker)
                || question.answers.send(held(question.key.as_deref(), WINDOWS)).is_ok();
            is_heard && question.answered.len() < workers && !question.answers.is_closed()
        });
        self.settle(&wishes);
    }

    fn wish(&self, add: impl FnOnce(&mut Wishes)) -> Result<()> {
        let mut wishes = self.lock();
        wishes.samples.retain(|sample| !sample.rows.is_closed());
        wishes.questions.retain(|question| !question.answers.is_closed());
        if wishes.samples.len() + wishes.questions.len() >= WISHES {
            return Err(Error::unavailable(format!("{WISHES} others look at this step already")));
        }
        add(&mut wishes);
        self.settle(&wishes);
        Ok(())
    }

    fn settle(&self, wishes: &Wishes) {
        self.is_wanted.store(!wishes.samples.is_empty() || !wishes.questions.is_empty(), Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sampled(batch: &Batch, row: usize) -> SampledRow {
    let whole = [batch.key(row), (!batch.values.is_empty()).then(|| batch.values.get(row))];
    let is_cut = whole.iter().flatten().any(|bytes| bytes.len() > LONGEST);
    let [key, value] = whole.map(|bytes| bytes.map(|bytes| bytes[..bytes.len().min(LONGEST)].to_vec()));
    SampledRow { time: batch.times[row], key, value, is_cut }
}

/// The steps of a running job, to be looked at. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Lookouts(Arc<[Watched]>);

/// A step that can be looked at.
#[derive(Debug)]
pub struct Watched {
    /// Its name in the job file.
    pub name: Arc<str>,
    /// Its counters, and the splits of a source.
    pub ledger: Arc<StepLedger>,
    /// The sources that it depends on.
    pub sources: Vec<(Arc<str>, Arc<StepLedger>)>,
    /// Outputs that somebody reads, with what they are called.
    ports: Vec<(String, Port)>,
    /// Whether it is a step with state, which keeps event time.
    keeps_time: bool,
    lookout: Arc<Lookout>,
    clock: Arc<EpochClock>,
}

impl Lookouts {
    /// Those of a plan.
    pub(crate) fn new(plan: &Plan, clock: &Arc<EpochClock>) -> Self {
        let watched = plan.nodes.iter().map(|node| {
            let source = |&index: &usize| (plan.nodes[index].name.clone(), plan.nodes[index].ledger.clone());
            let side = |side: u32| node.plugin()?.needs().sides.get(side as usize).map(|side| side.name.clone());
            let called = |port: Port| match port {
                Port::Main => Some("main".to_owned()),
                Port::Late => Some("late".to_owned()),
                Port::Dead => Some("dead".to_owned()),
                Port::Raw => Some("raw".to_owned()),
                Port::Side(number) => side(number),
            };
            let ports = node.outputs.iter().filter_map(|(port, _)| Some((called(*port)?, *port)));
            Watched {
                name: node.name.clone(),
                ledger: node.ledger.clone(),
                sources: node.sources.iter().map(source).collect(),
                ports: ports.collect(),
                keeps_time: node.shape().is_some(),
                lookout: node.lookout.clone(),
                clock: clock.clone(),
            }
        });
        Self(watched.collect())
    }

    /// A step, by its name.
    pub fn step(&self, name: &str) -> Result<&Watched> {
        let unknown = || {
            let names: Vec<_> = self.0.iter().map(|step| &*step.name).collect();
            Error::invalid(format!("there is no step {name}; there are {}", names.join(", ")))
        };
        self.0.iter().find(|step| *step.name == *name).ok_or_else(unknown)
    }
}

impl Watched {
    /// Rows on their way out by an output, from now on: at most so many.
    pub fn sample(&self, output: &str, limit: usize) -> Result<Receiver<SampledRow>> {
        let unread = || {
            let names: Vec<_> = self.ports.iter().map(|(name, _)| name.as_str()).collect();
            Error::invalid(format!("nobody reads an output {output} of {}; outputs: {}", self.name, names.join(", ")))
        };
        let port = self.ports.iter().find(|(name, _)| name == output).ok_or_else(unread)?.1;
        let (rows, received) = mpsc::channel(WAITING);
        self.lookout.wish(|wishes| wishes.samples.push(Sample { port, left: limit, rows }))?;
        Ok(received)
    }

    /// Asks which windows are open: those of a key, or of any. Each worker answers at the end of the open epoch, and the answers end
    /// when all have.
    pub fn ask(&self, key: Option<&[u8]>) -> Result<UnboundedReceiver<Told>> {
        if !self.keeps_time {
            return Err(Error::invalid(format!("{} has no windows and no timers: nothing waits there", self.name)));
        }
        let (answers, received) = mpsc::unbounded_channel();
        let (key, answered) = (key.map(Arc::from), BTreeSet::new());
        self.lookout.wish(|wishes| wishes.questions.push(Question { key, answered, answers }))?;
        self.clock.hurry();
        Ok(received)
    }
}

#[cfg(test)]
mod tests;
