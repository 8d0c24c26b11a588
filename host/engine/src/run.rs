//! Starting, watching and stopping a job.

mod sinks;

use crate::Graph;
use crate::checkpoint::{Checkpoints, Connections, Coordinator, Reporter, RewindPoints, Standing, Status};
use crate::epoch::EpochClock;
use crate::lookout::Lookouts;
use crate::plan::Plan;
use crate::stall::{self, Stall};
use crate::swap::{Revisions, Swapper};
use crate::usage::StateUsage;
use crate::verdict::Verdict;
use crate::wake::Bell;
use crate::worker::{self, Equipment, Shared};
use sinks::open_sinks;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use timely::execute::Config;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{Instrument, Span, error_span};
use wasmill_stream::ledger::Ledger;
use wasmill_stream::quota::Quota;
use wasmill_stream::source::{Delivery, Ends, HoldUps, Intake, Source, SourceNote, WorkerQueue, deliver};
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, Result};

/// How many deliveries of a source may wait for one worker. Their bytes are bounded by [`Options::in_flight`].
const DELIVERIES: usize = 64;
/// How long sinks may take to end after the job has failed. A host whose job another one has taken over notices within two
/// seconds, and is gone within five.
const GRACE: Duration = Duration::from_secs(2);

/// How to run a job.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// Longest duration of an epoch: results appear at most so much later than they could.
    pub epoch: Duration,
    /// How many bytes of records may be in flight per source before it has to wait.
    pub in_flight: ByteCount,
    /// About how many bytes of memory the states of all steps may take together.
    pub state_limit: ByteCount,
    /// How the job keeps checkpoints; `None`: it starts afresh each time.
    pub checkpoints: Option<Checkpoints>,
    /// What the job takes its share of, together with others.
    pub quota: Option<Arc<Quota>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            epoch: Duration::from_millis(100),
            in_flight: ByteCount::new(16 << 20),
            state_limit: ByteCount::new(4 << 30),
            checkpoints: None,
            quota: None,
        }
    }
}

/// A job that runs.
pub struct Running {
    ledger: Ledger,
    verdict: Arc<Verdict>,
    workers: JoinHandle<()>,
    sources: JoinSet<()>,
    sinks: JoinSet<()>,
    coordinator: JoinSet<bool>,
    status: Option<Status>,
    standing: Option<Standing>,
    swapper: Swapper,
    rewind_points: Option<RewindPoints>,
    lookouts: Lookouts,
    stall: Stall,
    /// Watches for stalls as long as the job runs.
    watch: JoinSet<()>,
}

impl Running {
    /// The counters of all nodes, in the order of the graph.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is known of its checkpoints, if it keeps any.
    pub fn checkpoints(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    /// A handle that can replace plugins while the job runs.
    pub fn swapper(&self) -> Swapper {
        self.swapper.clone()
    }

    /// Its steps, for whoever wants to look into them.
    pub fn lookouts(&self) -> &Lookouts {
        &self.lookouts
    }

    /// Asks for checkpoints to which the job can be rewound, if it can be.
    pub fn rewind_points(&self) -> Option<RewindPoints> {
        self.rewind_points.clone()
    }

    /// Why the job makes no progress, if it makes none.
    pub fn stall(&self) -> &Stall {
        &self.stall
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
        // The last checkpoint is published and committed by these together.
        let verdict = self.verdict.clone();
        let ends = async {
            join(&mut self.sinks, &verdict).await;
            while let Some(ended) = self.coordinator.join_next().await {
                // Whoever has prevented it has failed before, or its reader has seen enough.
                if !ended.unwrap_or_default() && !verdict.is_sink_closed() {
                    verdict.fail(Error::internal("the job has ended without its last checkpoint"));
                }
            }
        };
        tokio::pin!(ends);
        tokio::select! {
            () = &mut ends => {}
            () = self.verdict.aborted() => {
                // The first error is what counts; what cannot end now is dropped.
                let _ = tokio::time::timeout(GRACE, ends).await;
            }
        }
        self.watch.shutdown().await;
        self.stall.clear();
        match self.verdict.take_error() {
            Some(error) => Err(reason(error, self.standing.as_ref()).await),
            None => Ok(self.ledger),
        }
    }
}

/// Why a run has failed. Whatever goes wrong in one whose job another run has taken over goes wrong because of that: the
/// other one may have committed what this one was about to.
async fn reason(error: Error, standing: Option<&Standing>) -> Error {
    match standing {
        Some(standing) => standing.lost().await.unwrap_or(error),
        None => error,
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

    /// Why the job has failed, if it has. For whoever does not wait for its end any longer.
    pub fn failure(&self) -> Option<Error> {
        self.verdict.take_error()
    }

    /// Ends the job at once with an error. With checkpoints nothing is lost: the next run goes on from the last one.
    pub fn abort(&self, error: Error) {
        self.verdict.fail(error);
    }
}

/// Starts a job: opens the sinks, then starts workers and sources. I/O runs on the current tokio runtime, plugins on worker
/// threads of their own.
pub async fn start(mut graph: Graph, options: Options) -> Result<Running> {
    let successors = std::mem::take(&mut graph.successors);
    let (plan, ends) = Plan::new(graph)?;
    let plan = plan.succeeded_by(successors)?;
    let workers = options.workers.max(1);
    let plan = Arc::new(plan);
    let clock = Arc::new(EpochClock::new(options.epoch, options.in_flight.bytes()));
    let mut shared = Shared {
        revisions: Revisions::new(clock.clone(), plan.clone()),
        plan,
        clock,
        verdict: Arc::new(Verdict::new()),
        reporter: None,
        resumed: Arc::default(),
        job: options.checkpoints.as_ref().map(|checkpoints| checkpoints.job.as_str()).unwrap_or_default().into(),
        run: 0,
        usage: StateUsage::new(options.state_limit, options.quota.clone()),
        quota: options.quota,
        ends: Ends::default(),
    };
    let patience = stall::patience(options.checkpoints.as_ref());
    let (mut coordination, mut undo) = (None, None);
    if let Some(settings) = options.checkpoints {
        let (store, can_rewind) = (settings.store.clone(), !settings.rewind.is_zero());
        let Shared { revisions, clock, verdict, .. } = shared.clone();
        let (coordinator, resumed) = Coordinator::begin(settings, &revisions, clock, verdict, workers).await?;
        let (sender, parts) = mpsc::unbounded_channel();
        let unfinished = Arc::new(AtomicBool::new(false));
        shared.reporter = Some(Reporter::new(shared.clock.clone(), sender, unfinished.clone()));
        shared.resumed = Arc::new(resumed);
        shared.run = coordinator.run_number();
        undo = Some((store, coordinator.undo_is_wanted(), coordinator.standing()));
        coordination = Some((coordinator, parts, unfinished, can_rewind));
    }
    let ledger = shared.plan.ledger();
    let mut equipment: Vec<Equipment> = (0..workers).map(|_| Equipment::default()).collect();
    let standing = coordination.as_ref().map(|(coordinator, ..)| coordinator.standing());
    let (tasks, commits) = match open_sinks(&shared, ends.sinks, undo, &mut equipment).await {
        Ok(opened) => opened,
        Err(error) => return Err(reason(error, standing.as_ref()).await),
    };
    let settled = shared.ends.clone();
    let (sources, notes, hold_ups) = start_sources(&shared, ends.sources, &mut equipment, options.in_flight);
    let (end, ended) = watch::channel(false);
    let (stall, mut watch) = (Stall::default(), JoinSet::new());
    watch.spawn(stall::watch(shared.plan.clone(), hold_ups, patience, stall.clone()).in_current_span());
    let mut running = Running {
        ledger,
        verdict: shared.verdict.clone(),
        sources,
        sinks: tasks,
        coordinator: JoinSet::new(),
        status: None,
        standing,
        swapper: Swapper::new(shared.revisions.clone(), workers, ended),
        rewind_points: None,
        lookouts: Lookouts::new(&shared.plan, &shared.clock),
        workers: tokio::spawn({
            let run = async move {
                run_workers(shared, equipment).await;
                end.send_replace(true);
            };
            run.in_current_span()
        }),
        stall,
        watch,
    };
    if let Some((coordinator, parts, unfinished, can_rewind)) = coordination {
        let (rewind_points, requests) = RewindPoints::new();
        let connections =
            Connections { parts, sinks: commits, notes, ends: settled, unfinished, rewind_points: requests };
        running.rewind_points = can_rewind.then_some(rewind_points);
        running.status = Some(coordinator.status());
        let verdict = running.verdict.clone();
        let coordinating = async move {
            coordinator.run(connections).await.unwrap_or_else(|error| {
                verdict.fail(error.context("checkpoint"));
                false
            })
        };
        running.coordinator.spawn(coordinating.in_current_span());
    }
    Ok(running)
}

/// What everything belongs to that is logged on behalf of a source or sink.
fn of_step(name: &str) -> Span {
    error_span!("step", step = name)
}

/// The tasks of the sources, where each leaves its note, and where it says what holds it up.
type StartedSources = (JoinSet<()>, HashMap<usize, SourceNote>, HashMap<usize, HoldUps>);

fn start_sources(
    shared: &Shared,
    sources: Vec<(usize, Box<dyn Source>)>,
    equipment: &mut [Equipment],
    in_flight: ByteCount,
) -> StartedSources {
    let (mut tasks, mut notes, mut hold_ups) = (JoinSet::new(), HashMap::new(), HashMap::new());
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
        let intake = Intake::new(queues.clone(), budget, verdict.stop_signal())
            .resuming(shared.resumed.sources.get(&index).cloned())
            .keeping_checkpoints(shared.reporter.is_some())
            .asking_for_arrivals(shared.plan.nodes[index].asks_for_arrivals())
            .settling(shared.ends.clone())
            .counting(shared.plan.nodes[index].ledger.clone());
        notes.insert(index, intake.notes());
        hold_ups.insert(index, intake.hold_ups());
        let span = of_step(&name);
        let reading = async move {
            if let Err(error) = source.run(intake).await {
                verdict.fail(error.context(format!("source {name}")));
            }
            for queue in &queues {
                // A worker that is gone needs no goodbye.
                let _ = deliver(queue, Delivery::Closed).await;
            }
        };
        tasks.spawn(reading.instrument(span));
    }
    (tasks, notes, hold_ups)
}

/// Runs all workers to the end. A panic in one of them fails the job, not the process.
async fn run_workers(shared: Shared, equipment: Vec<Equipment>) {
    let workers = equipment.len();
    let equipment: Arc<Mutex<Vec<Option<Equipment>>>> = Arc::new(Mutex::new(equipment.into_iter().map(Some).collect()));
    let (verdict, span) = (shared.verdict.clone(), Span::current());
    // Each worker has a part of it: when all are gone, no thread has to wait for theirs.
    let (part, mut ended) = mpsc::channel::<()>(1);
    let started = timely::execute(Config::process(workers), move |worker| {
        let (_part, _of_job) = (part.clone(), span.enter());
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
            // Dropped, they would wait: whoever ends the runtime does not want to.
            let guards = ManuallyDrop::new(guards);
            while ended.recv().await.is_some() {}
            for result in ManuallyDrop::into_inner(guards).join() {
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
