//! One worker: builds its part of the dataflow from the plan and steps it until all is done.

use crate::checkpoint::{Reporter, Resumed};
use crate::epoch::EpochClock;
use crate::graph::{Input, Port};
use crate::operator::{Epoch, Rows, aggregate, at_work, process, sink, source, transform};
use crate::plan::{Plan, PlanKind};
use crate::progress::Announcement;
use crate::swap::Revisions;
use crate::throttle;
use crate::usage::StateUsage;
use crate::verdict::Verdict;
use crate::wake::Bell;
use crate::writer::{Message, Room};
use std::collections::HashMap;
use std::sync::Arc;
use timely::dataflow::operators::{Concatenate, Probe, probe};
use timely::dataflow::{Scope, Stream};
use timely::worker::Worker;
use tokio::sync::mpsc::{Receiver, Sender};
use wasmill_stream::quota::Quota;
use wasmill_stream::source::{Delivery, Ends};
use wasmill_stream::{Error, Result};

/// What one worker gets: its end of every queue.
#[derive(Default)]
pub struct Equipment {
    /// Per source node: what its splits deliver, and the bell that is rung for it.
    pub sources: HashMap<usize, (Receiver<Delivery>, Arc<Bell>)>,
    /// Per sink node: the way to its writer, and room there.
    pub sinks: HashMap<usize, (Sender<Message>, Room)>,
}

/// What all workers of the process share.
#[derive(Clone)]
pub struct Shared {
    /// The job as it began.
    pub plan: Arc<Plan>,
    /// Which version of it holds from which epoch on.
    pub revisions: Revisions,
    /// The open epoch.
    pub clock: Arc<EpochClock>,
    /// How the job ends.
    pub verdict: Arc<Verdict>,
    /// Where parts of checkpoints go; `None` if the job keeps none.
    pub reporter: Option<Reporter>,
    /// What the job goes on from.
    pub resumed: Arc<Resumed>,
    /// The name of the job; empty without checkpoints.
    pub job: Arc<str>,
    /// The number of this run; 0 without checkpoints.
    pub run: u64,
    /// How much memory the states take.
    pub usage: StateUsage,
    /// What the job takes its share of, together with others.
    pub quota: Option<Arc<Quota>>,
    /// Which ends of splits are settled.
    pub ends: Ends,
}

/// Runs one worker to the end of the job.
pub fn run(worker: &mut Worker, shared: &Shared, equipment: Equipment) {
    let built = worker.dataflow(|scope| Construction::new(scope, shared, equipment).build());
    match built {
        Ok(()) => shared.revisions.worker_is_built(),
        Err(error) => shared.verdict.fail(error),
    }
    throttle::begin(shared.quota.clone(), shared.verdict.clone());
    while worker.has_dataflows() {
        if throttle::wait().is_err() {
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
            return;
        }
        at_work::rest();
        worker.step_or_park(None);
    }
}

/// The dataflow while it is being built.
struct Construction<'s, 'p> {
    scope: Scope<'s, Epoch>,
    shared: &'p Shared,
    equipment: Equipment,
    /// For each source, how far the sinks are that its rows go to.
    probes: HashMap<usize, probe::Handle<Epoch>>,
    outputs: HashMap<(usize, Port), Rows<'s>>,
    announcements: HashMap<usize, Stream<'s, Epoch, Vec<Announcement>>>,
}

impl<'s, 'p> Construction<'s, 'p> {
    fn new(scope: Scope<'s, Epoch>, shared: &'p Shared, equipment: Equipment) -> Self {
        let (probes, outputs, announcements) = Default::default();
        Self { scope, shared, equipment, probes, outputs, announcements }
    }

    fn build(mut self) -> Result<()> {
        for index in 0..self.shared.plan.nodes.len() {
            self.node(index)?;
        }
        Ok(())
    }

    fn node(&mut self, index: usize) -> Result<()> {
        let shared = self.shared;
        let streams = match &self.shared.plan.nodes[index].kind {
            PlanKind::Source { .. } => {
                let (queue, bell) = self.equipment.sources.remove(&index).ok_or_else(|| unequipped(index))?;
                let probe = self.probes.entry(index).or_default().clone();
                let (streams, news) = source::build(self.scope, shared, index, (queue, &bell), probe)?;
                self.announcements.insert(index, news);
                streams
            }
            PlanKind::Transform { .. } => transform::build(self.input(index), shared, index)?,
            PlanKind::Aggregate { .. } => aggregate::build(self.input(index), self.news(index), shared, index)?,
            PlanKind::Process { .. } => process::build(self.input(index), self.news(index), shared, index)?,
            PlanKind::Sink => {
                let way = self.equipment.sinks.remove(&index).ok_or_else(|| unequipped(index))?;
                let taken = sink::build(self.input(index), shared, index, way);
                shared.plan.nodes[index]
                    .sources
                    .iter()
                    .filter_map(|source| self.probes.get(source))
                    .fold(taken, |taken, probe| taken.probe_with(probe));
                Vec::new()
            }
        };
        self.outputs.extend(streams.into_iter().map(|(port, rows)| ((index, port), rows)));
        Ok(())
    }

    /// The union of a node's inputs.
    fn input(&self, index: usize) -> Rows<'s> {
        let inputs = &self.shared.plan.nodes[index].inputs;
        let stream = |input: &Input| self.outputs[&(input.node, input.port)].clone();
        match inputs.as_slice() {
            [(only, _)] => stream(only),
            several => self.scope.concatenate(several.iter().map(|(input, _)| stream(input))),
        }
    }

    /// What the sources of a node announce.
    fn news(&self, index: usize) -> Stream<'s, Epoch, Vec<Announcement>> {
        let sources = &self.shared.plan.nodes[index].sources;
        self.scope.concatenate(sources.iter().map(|source| self.announcements[source].clone()))
    }
}

fn unequipped(index: usize) -> Error {
    Error::invalid(format!("node {index} was built twice or is no end of the job"))
}
