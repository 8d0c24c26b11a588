//! From the graph to the plan that every worker builds: which fields and which raw values each edge must carry. A field is
//! decoded once, where its value enters the job or where a plugin rewrote it, and travels with its row to whoever wants it.

use crate::graph::{Graph, Input, Node, NodeKind, Port};
use std::sync::Arc;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::ledger::{Ledger, StepLedger};
use wasmill_stream::plugin::{SharedAggregate, SharedTransform};
use wasmill_stream::sink::Sink;
use wasmill_stream::source::Source;
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Error, Result};

/// What all workers share.
pub struct Plan {
    /// In the order of the graph.
    pub nodes: Vec<PlanNode>,
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
pub struct PlanNode {
    /// Its name in the job file.
    pub name: Arc<str>,
    /// Its inputs, each with the place of every wanted field among the fields of that input.
    pub inputs: Vec<(Input, Vec<usize>)>,
    /// Its counters.
    pub ledger: Arc<StepLedger>,
    /// The fields it wants in its input: its plugin's first, in their order, then those it only hands on.
    pub wanted: Vec<FieldSpec>,
    /// What its results carry.
    pub main: Emits,
    /// What its late rows carry, if somebody takes them.
    pub late: Option<Emits>,
    /// The sources that it depends on.
    pub sources: Vec<usize>,
    /// What it does.
    pub kind: PlanKind,
}

/// What a node does, without the parts that are opened only once.
pub enum PlanKind {
    #[allow(missing_docs)]
    Source { decoder: Option<SharedTransform>, time: EventTime, watermark: WatermarkSpec },
    #[allow(missing_docs)]
    Transform { plugin: SharedTransform },
    #[allow(missing_docs)]
    Aggregate { plugin: SharedAggregate, windows: WindowSpec, allowed_lateness: Period },
    #[allow(missing_docs)]
    Sink,
}

/// The sources and sinks of a job by node; each is opened once, not per worker.
#[derive(Default)]
pub struct Ends {
    #[allow(missing_docs)]
    pub sources: Vec<(usize, Box<dyn Source>)>,
    #[allow(missing_docs)]
    pub sinks: Vec<(usize, Box<dyn Sink>)>,
}

impl Plan {
    /// Plans a graph.
    pub fn new(graph: Graph) -> Result<(Self, Ends)> {
        check(&graph)?;
        let mut ends = Ends::default();
        let mut nodes: Vec<PlanNode> =
            graph.nodes.into_iter().enumerate().map(|(index, node)| plan_node(index, node, &mut ends)).collect();
        // Wants travel upstream: consumers stand behind their producers, so they are settled first.
        for index in (0..nodes.len()).rev() {
            let main = demand(&nodes, Input { node: index, port: Port::Main }).unwrap_or_default();
            let late = demand(&nodes, Input { node: index, port: Port::Late });
            let node = &mut nodes[index];
            node.wanted = node.wanted_fields(&main, late.as_ref());
            (node.main, node.late) = (main, late);
        }
        for index in 0..nodes.len() {
            let inputs = nodes[index].inputs.iter().map(|(from, _)| (*from, columns(&nodes, *from, index))).collect();
            nodes[index].inputs = inputs;
            nodes[index].sources = upstream(&nodes, index);
        }
        Ok((Self { nodes }, ends))
    }

    /// The counters of all nodes.
    pub fn ledger(&self) -> Ledger {
        Ledger { steps: self.nodes.iter().map(|node| node.ledger.clone()).collect() }
    }
}

impl PlanNode {
    /// Where the wanted fields are in batches from `from`.
    pub fn columns(&self, from: Input) -> &[usize] {
        let edge = self.inputs.iter().find(|(input, _)| *input == from);
        edge.map(|(_, columns)| columns.as_slice()).expect("parcels come only from a node's inputs")
    }

    fn wanted_fields(&self, main: &Emits, late: Option<&Emits>) -> Vec<FieldSpec> {
        let (own, passed) = match &self.kind {
            PlanKind::Source { .. } => (&main.fields[..], None),
            PlanKind::Transform { plugin } => {
                (&plugin.needs().fields[..], (!plugin.needs().writes_values).then_some(main))
            }
            PlanKind::Aggregate { plugin, .. } => (&plugin.needs().fields[..], late),
            PlanKind::Sink => (&[][..], None),
        };
        let mut wanted = own.to_vec();
        for field in passed.iter().flat_map(|emits| &emits.fields) {
            if !wanted.contains(field) {
                wanted.push(field.clone());
            }
        }
        wanted
    }

    fn wants_values(&self) -> bool {
        match &self.kind {
            PlanKind::Source { .. } => true,
            PlanKind::Transform { plugin } => {
                plugin.needs().reads_values || (!plugin.needs().writes_values && self.main.values)
            }
            PlanKind::Aggregate { plugin, .. } => {
                plugin.needs().reads_values || self.late.as_ref().is_some_and(|late| late.values)
            }
            PlanKind::Sink => true,
        }
    }
}

fn check(graph: &Graph) -> Result<()> {
    for (index, node) in graph.nodes.iter().enumerate() {
        let is_source = matches!(node.kind, NodeKind::Source { .. });
        if is_source != node.inputs.is_empty() {
            return Err(Error::invalid(format!("node {}: sources have no inputs, all others have", node.name)));
        }
        for input in &node.inputs {
            let from = graph.nodes.get(input.node).filter(|_| input.node < index);
            let Some(from) = from else {
                return Err(Error::invalid(format!("node {}: its inputs must stand before it", node.name)));
            };
            if input.port == Port::Late && !matches!(from.kind, NodeKind::Aggregate { .. }) {
                return Err(Error::invalid(format!(
                    "node {}: only aggregations have late rows, {} is none",
                    node.name, from.name
                )));
            }
        }
    }
    Ok(())
}

fn plan_node(index: usize, node: Node, ends: &mut Ends) -> PlanNode {
    let kind = match node.kind {
        NodeKind::Source { source, decoder, time, watermark } => {
            ends.sources.push((index, source));
            PlanKind::Source { decoder, time, watermark }
        }
        NodeKind::Transform { plugin } => PlanKind::Transform { plugin },
        NodeKind::Aggregate { plugin, windows, allowed_lateness } => {
            PlanKind::Aggregate { plugin, windows, allowed_lateness }
        }
        NodeKind::Sink { sink } => {
            ends.sinks.push((index, sink));
            PlanKind::Sink
        }
    };
    PlanNode {
        ledger: Arc::new(StepLedger::new(&node.name)),
        name: node.name.into(),
        inputs: node.inputs.into_iter().map(|input| (input, Vec::new())).collect(),
        wanted: Vec::new(),
        main: Emits::default(),
        late: None,
        sources: Vec::new(),
        kind,
    }
}

/// What the consumers of an output want of it; `None` if it has no consumers.
fn demand(nodes: &[PlanNode], output: Input) -> Option<Emits> {
    let mut consumers = nodes.iter().filter(|node| node.inputs.iter().any(|(from, _)| *from == output)).peekable();
    consumers.peek()?;
    let mut emits = Emits::default();
    for consumer in consumers {
        emits.values |= consumer.wants_values();
        for field in &consumer.wanted {
            if !emits.fields.contains(field) {
                emits.fields.push(field.clone());
            }
        }
    }
    Some(emits)
}

fn columns(nodes: &[PlanNode], from: Input, consumer: usize) -> Vec<usize> {
    let producer = &nodes[from.node];
    let emits = match from.port {
        Port::Main => Some(&producer.main),
        Port::Late => producer.late.as_ref(),
    };
    let fields = emits.map(|emits| emits.fields.as_slice()).unwrap_or_default();
    let place = |wanted: &FieldSpec| {
        fields.iter().position(|field| field == wanted).expect("demand has collected every wanted field")
    };
    nodes[consumer].wanted.iter().map(place).collect()
}

fn upstream(nodes: &[PlanNode], index: usize) -> Vec<usize> {
    let node = &nodes[index];
    if node.inputs.is_empty() {
        return vec![index];
    }
    // Producers stand before their consumers, so their sources are known.
    let mut sources: Vec<usize> =
        node.inputs.iter().flat_map(|(from, _)| nodes[from.node].sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}
