//! Starting, watching and stopping a job.

use crate::Graph;
use crate::epoch::EpochClock;
use crate::plan::Plan;
use crate::verdict::Verdict;
use crate::wake::Bell;
use crate::worker::{self, Equipment, Shared};
use crate::writer::{self, Refusals};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use timely::execute::Config;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use wasmill_stream::ledger::Ledger;
use wasmill_stream::sink::{Opening, Sink};
use wasmill_stream::source::{Delivery, Intake, Source, WorkerQueue, deliver};
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, Result};

/// How many deliveries of a source may wait for one worker. Their bytes are bounded by [`Options::in_flight`].
const DELIVERIES: usize = 64;
/// How long sinks may take to end after the job has failed.
const GRACE: Duration = Duration::from_secs(5);

/// How to run a job.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// Longest duration of an epoch: results appear at most so much later than they could.
    pub epoch: Duration,
    /// How many bytes of records may be in flight per source before it has to wait.
    pub in_flight: ByteCount,
}

impl Default for Options {
    fn default() -> Self {
        Self { workers: 1, epoch: Duration::from_millis(100), in_flight: ByteCount::new(16 << 20) }
    }
}

/// A job that runs.
pub struct Running {
    ledger: Ledger,
    verdict: Arc<Verdict>,
    workers: JoinHandle<()>,
    sources: JoinSet<()>,
    sinks: JoinSet<()>,
}

impl Running {
    /// The counters of all nodes, in the order of the graph.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A handle that can stop the job while somebody else waits for it.
    pub fn stopper(&self) -> Stopper {
        Stopper { verdict: self.verdict.clone() }
    }

    /// Waits until the job has ended: all sources at their end, or stopped, or the first error of any part.
    pub async fn wait(mut self) -> Result<Ledger> {
        if let Err(error) = self.workers.await {
            self.verdict.fail(Error::internal(format!("the engine's thread ended: {error}")));
        }
        // Workers end after their sources, or because of a failure: then nobody listens to the sources any more.
        self.verdict.stop();
        join(&mut self.sources, &self.verdict).await;
        let sinks = join(&mut self.sinks, &self.verdict);
        if self.verdict.is_aborted() {
            // The first error is what counts; a sink that cannot end now is dropped.
            let _ = tokio::time::timeout(GRACE, sinks).await;
        } else {
            sinks.await;
        }
        match self.verdict.take_error() {
            Some(error) => Err(error),
            None => Ok(self.ledger),
        }
    }
}

/// Stops a job.
#[derive(Clone)]
pub struct Stopper {
    verdict: Arc<Verdict>,
}

impl Stopper {
    /// Asks the sources to stop reading. What was read is processed, windows that are still open do not fire, sinks are
    /// flushed; then the job ends.
    pub fn stop(&self) {
        self.verdict.stop();
    }
}

/// Starts a job: opens the sinks, then starts workers and sources. I/O runs on the current tokio runtime, plugins on worker
/// threads of their own.
pub async fn start(graph: Graph, options: Options) -> Result<Running> {
    let (plan, ends) = Plan::new(graph)?;
    let shared = Shared {
        plan: Arc::new(plan),
        clock: Arc::new(EpochClock::new(options.epoch, options.in_flight.bytes())),
        verdict: Arc::new(Verdict::new()),
    };
    let ledger = shared.plan.ledger();
    let mut equipment: Vec<Equipment> = (0..options.workers.max(1)).map(|_| Equipment::default()).collect();
    let sinks = open_sinks(&shared, ends.sinks, &mut equipment).await?;
    let sources = start_sources(&shared, ends.sources, &mut equipment, options.in_flight);
    let verdict = shared.verdict.clone();
    let workers = spawn_blocking(move || run_workers(shared, equipment));
    Ok(Running { ledger, verdict, workers, sources, sinks })
}

async fn open_sinks(
    shared: &Shared,
    sinks: Vec<(usize, Box<dyn Sink>)>,
    equipment: &mut [Equipment],
) -> Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    let mut dead_letters = None;
    // The sink of the dead letters comes last in the plan and is opened first: the others send to it.
    for (index, sink) in sinks.into_iter().rev() {
        let node = &shared.plan.nodes[index];
        let (name, ledger) = (node.name.clone(), node.ledger.clone());
        let opened =
            sink.open(Opening::new(ledger.clone())).await.map_err(|error| error.context(format!("sink {name}")))?;
        let (sender, receiver) = mpsc::channel(writer::QUEUE);
        for worker in equipment.iter_mut() {
            worker.sinks.insert(index, sender.clone());
        }
        let refusals = Refusals { from: ledger.clone(), to: dead_letters.clone() };
        if shared.plan.dead_letters == Some(index) {
            dead_letters = Some((ledger, sender));
        }
        let verdict = shared.verdict.clone();
        tasks.spawn(async move {
            if let Err(error) = writer::drive(opened, receiver, refusals).await {
                verdict.fail(error.context(format!("sink {name}")));
            }
        });
    }
    Ok(tasks)
}

fn start_sources(
    shared: &Shared,
    sources: Vec<(usize, Box<dyn Source>)>,
    equipment: &mut [Equipment],
    in_flight: ByteCount,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let budget = in_flight.bytes().clamp(1, u64::from(u32::MAX)) as u32;
    for (index, source) in sources {
        let mut queues = Vec::new();
        for worker in equipment.iter_mut() {
            let bell = Arc::new(Bell::default());
            let (sender, receiver) = mpsc::channel(DELIVERIES);
            shared.clock.follow(bell.clone());
            shared.verdict.wake_on_abort(bell.clone());
            worker.sources.insert(index, (receiver, bell.clone()));
            queues.push(WorkerQueue { sender, wake: Arc::new(move || bell.ring()) });
        }
        let name = shared.plan.nodes[index].name.clone();
        let verdict = shared.verdict.clone();
        tasks.spawn(async move {
            let intake = Intake::new(queues.clone(), budget, verdict.stop_signal());
            if let Err(error) = source.run(intake).await {
                verdict.fail(error.context(format!("source {name}")));
            }
            for queue in &queues {
                // A worker that is gone needs no goodbye.
                let _ = deliver(queue, Delivery::Closed).await;
            }
        });
    }
    tasks
}

/// Runs all workers to the end. A panic in one of them fails the job, not the process.
fn run_workers(shared: Shared, equipment: Vec<Equipment>) {
    let workers = equipment.len();
    let equipment: Arc<Mutex<Vec<Option<Equipment>>>> = Arc::new(Mutex::new(equipment.into_iter().map(Some).collect()));
    let verdict = shared.verdict.clone();
    let started = timely::execute(Config::process(workers), move |worker| {
        let mine = equipment.lock().unwrap_or_else(PoisonError::into_inner)[worker.index()].take();
        let run = || worker::run(worker, &shared, mine.unwrap_or_default());
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            shared.verdict.fail(Error::internal(format!("a worker panicked: {text}")));
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
        }
    });
    match started {
        Ok(guards) => {
            for result in guards.join() {
                if let Err(error) = result {
                    verdict.fail(Error::internal(format!("a worker ended: {error}")));
                }
            }
        }
        Err(error) => verdict.fail(Error::invalid(format!("start {workers} workers: {error}"))),
    }
}

async fn join(tasks: &mut JoinSet<()>, verdict: &Verdict) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            verdict.fail(Error::internal(format!("a task of the job panicked: {error}")));
        }
    }
}
