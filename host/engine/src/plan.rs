//! From the graph to the plan that every worker builds: which fields and which raw values each edge must carry. A field is
//! decoded once, where its value enters the job or where a plugin rewrote it, and travels with its row to whoever wants it.

mod edges;
mod lens;
mod node;
mod nodes;
mod shape;

pub use lens::Lens;
pub use shape::{LATENESS, process_shape, window_shape};

use crate::candidate::{Candidacy, Mode};
use crate::graph::{Graph, Input, Port, SinkTerms, Successor, Tolerance};
use crate::lookout::Lookout;
use edges::{lay_out, upstream};
use nodes::{add_dead_letters, check, plan_node};
use std::sync::Arc;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::ledger::{Ledger, StepLedger};
use wasmill_stream::plugin::{SharedAggregate, SharedProcess, SharedTransform, Version};
use wasmill_stream::process::Order;
use wasmill_stream::sink::Sink;
use wasmill_stream::source::Source;
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Error, Result};

/// What all workers share.
#[derive(Clone)]
pub struct Plan {
    /// In the order of the graph; the sink of the dead letters comes last.
    pub nodes: Vec<PlanNode>,
    /// The sink of the dead letters.
    pub dead_letters: Option<usize>,
}

/// What an output carries besides times, keys and lineage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Emits {
    /// The decoded fields, in this order.
    pub fields: Vec<FieldSpec>,
    /// Whether somebody reads the raw values. If not, batches come without.
    pub values: bool,
}

/// One node.
#[derive(Clone)]
pub struct PlanNode {
    /// Its name in the job file.
    pub name: Arc<str>,
    /// Its inputs, each with the place of every wanted field among the fields of that input.
    pub inputs: Vec<(Input, Vec<usize>)>,
    /// Its counters.
    pub ledger: Arc<StepLedger>,
    /// The fields it wants in its input: its plugin's first, in their order, then those it only hands on.
    pub wanted: Vec<FieldSpec>,
    /// What its outputs carry: the main one first, then those that somebody reads.
    pub outputs: Vec<(Port, Emits)>,
    /// Whether late rows that nobody takes become dead letters.
    pub late_is_dead: bool,
    /// How much its plugin may fail.
    pub tolerance: Tolerance,
    /// The sources that it depends on.
    pub sources: Vec<usize>,
    /// What it does.
    pub kind: PlanKind,
    /// Other versions of its plugin that may run on the same rows: these carry what they need as well.
    pub reserve: Vec<Version>,
    /// Who wants to see what of it.
    pub lookout: Arc<Lookout>,
    /// The trial that is under way in it: then its plugin is the two versions of that.
    pub trial: Option<Arc<Candidacy>>,
}

/// What a node does, without the parts that are opened only once.
#[derive(Clone)]
pub enum PlanKind {
    #[allow(missing_docs)]
    Source { decoder: Option<SharedTransform>, time: EventTime, watermark: WatermarkSpec },
    #[allow(missing_docs)]
    Transform { plugin: SharedTransform },
    #[allow(missing_docs)]
    Aggregate { plugin: SharedAggregate, windows: WindowSpec, allowed_lateness: Period },
    #[allow(missing_docs)]
    Process { plugin: SharedProcess, order: Order },
    #[allow(missing_docs)]
    Sink,
}

/// The sources and sinks of a job by node; each is opened once, not per worker.
#[derive(Default)]
pub struct Ends {
    #[allow(missing_docs)]
    pub sources: Vec<(usize, Box<dyn Source>)>,
    #[allow(missing_docs)]
    pub sinks: Vec<(usize, Box<dyn Sink>, SinkTerms)>,
}

impl Plan {
    /// Plans a graph.
    pub fn new(mut graph: Graph) -> Result<(Self, Ends)> {
        let late_is_dead = graph.dead_letters.as_ref().is_some_and(|dead_letters| dead_letters.late);
        let dead_letters = add_dead_letters(&mut graph);
        check(&graph)?;
        let mut ends = Ends::default();
        let mut nodes: Vec<PlanNode> =
            graph.nodes.into_iter().enumerate().map(|(index, node)| plan_node(index, node, &mut ends)).collect();
        for (index, node) in nodes.iter_mut().enumerate() {
            node.late_is_dead = late_is_dead;
            // Its own refusals have nowhere to go.
            let refuses = matches!(node.kind, PlanKind::Sink) && dead_letters.is_some_and(|sink| sink != index);
            let plugin = node.plugin();
            let sides = plugin.map_or(0, |plugin| plugin.needs().sides.len());
            let ledger = StepLedger::new(&*node.name).with_sides(sides);
            plugin.into_iter().for_each(|plugin| ledger.add_guest(plugin.identity(), plugin.ledger()));
            node.ledger = Arc::new(if refuses { ledger.keeping_refusals() } else { ledger });
        }
        lay_out(&mut nodes);
        for index in 0..nodes.len() {
            nodes[index].sources = upstream(&nodes, index);
        }
        Ok((Self { nodes, dead_letters }, ends))
    }

    /// The same job after a change of plugins: rows carry what the plugins want that it then has.
    pub fn revised(&self, change: impl FnOnce(&mut [PlanNode])) -> Self {
        let mut plan = self.clone();
        change(&mut plan.nodes);
        lay_out(&mut plan.nodes);
        plan
    }

    /// The same job in the middle of transitions: in these steps other versions take over from those of the graph.
    pub fn succeeded_by(mut self, successors: Vec<Successor>) -> Result<Self> {
        for Successor { step, version, bounds } in successors {
            let unknown = || Error::internal(format!("step {step} has no windows that a version could close"));
            let index = self.nodes.iter().position(|node| *node.name == *step).ok_or_else(unknown)?;
            let incumbent = self.nodes[index].version().ok_or_else(unknown)?;
            let candidacy = Candidacy::new(&self.nodes[index], incumbent, version, Mode::Transition, bounds);
            self.nodes[index].list(candidacy.candidate());
            let mut fits = false;
            self = self.revised(|nodes| {
                fits = nodes[index].install(candidacy.version());
                nodes[index].trial = Some(candidacy);
            });
            if !fits {
                return Err(unknown());
            }
        }
        Ok(self)
    }

    /// The counters of all nodes.
    pub fn ledger(&self) -> Ledger {
        Ledger { steps: self.nodes.iter().map(|node| node.ledger.clone()).collect() }
    }
}
