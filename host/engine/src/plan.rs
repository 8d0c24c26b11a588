//! From the graph to the plan that every worker builds: which fields and which raw values each edge must carry. A field is
//! decoded once, where its value enters the job or where a plugin rewrote it, and travels with its row to whoever wants it.

use crate::candidate::{Candidacy, Mode};
use crate::graph::{DEAD_LETTERS, Graph, Input, Node, NodeKind, Port, Successor, Tolerance};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::ledger::{Ledger, StepLedger};
use wasmill_stream::plugin::{Identity, Needs, Plugin, SharedAggregate, SharedProcess, SharedTransform, Version};
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
    pub sinks: Vec<(usize, Box<dyn Sink>)>,
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

impl PlanNode {
    /// Where the wanted fields are in batches from `from`.
    pub fn columns(&self, from: Input) -> &[usize] {
        let edge = self.inputs.iter().find(|(input, _)| *input == from);
        edge.map(|(_, columns)| columns.as_slice()).expect("parcels come only from a node's inputs")
    }

    /// What an output carries; `None` if nobody reads it.
    pub fn emits(&self, port: Port) -> Option<&Emits> {
        self.outputs.iter().find(|(output, _)| *output == port).map(|(_, emits)| emits)
    }

    /// What the main output carries.
    pub fn main(&self) -> &Emits {
        &self.outputs[0].1
    }

    /// Whether somebody takes its dead letters.
    pub fn keeps_dead_letters(&self) -> bool {
        self.emits(Port::Dead).is_some()
    }

    /// Who its plugin is.
    pub fn identity(&self) -> Option<Identity> {
        self.plugin().map(|plugin| plugin.identity().clone())
    }

    /// Its plugin.
    pub fn plugin(&self) -> Option<&dyn Plugin> {
        match &self.kind {
            PlanKind::Source { decoder, .. } => decoder.as_ref().map(|plugin| -> &dyn Plugin { &**plugin }),
            PlanKind::Transform { plugin } => Some(&**plugin),
            PlanKind::Aggregate { plugin, .. } => Some(&**plugin),
            PlanKind::Process { plugin, .. } => Some(&**plugin),
            PlanKind::Sink => None,
        }
    }

    /// Its plugin as a version that may be put back.
    pub fn version(&self) -> Option<Version> {
        match &self.kind {
            PlanKind::Source { decoder, .. } => decoder.clone().map(Version::Transform),
            PlanKind::Transform { plugin } => Some(Version::Transform(plugin.clone())),
            PlanKind::Aggregate { plugin, .. } => Some(Version::Aggregate(plugin.clone())),
            PlanKind::Process { plugin, .. } => Some(Version::Process(plugin.clone())),
            PlanKind::Sink => None,
        }
    }

    /// Makes a version its plugin. `false`: the node cannot run such a plugin, and nothing has changed.
    pub fn install(&mut self, version: Version) -> bool {
        match (&mut self.kind, version) {
            (PlanKind::Source { decoder: Some(plugin), .. }, Version::Transform(new)) => *plugin = new,
            (PlanKind::Transform { plugin }, Version::Transform(new)) => *plugin = new,
            (PlanKind::Aggregate { plugin, .. }, Version::Aggregate(new)) => *plugin = new,
            (PlanKind::Process { plugin, .. }, Version::Process(new)) => *plugin = new,
            _ => return false,
        }
        true
    }

    /// Lists a version among those whose costs are told.
    pub fn list(&self, version: &Version) {
        let plugin = version.plugin();
        self.ledger.add_guest(plugin.identity(), plugin.ledger());
    }

    /// What its plugin and those in reserve need.
    fn needs(&self) -> impl Iterator<Item = &Needs> {
        self.plugin().into_iter().chain(self.reserve.iter().map(Version::plugin)).map(|plugin| plugin.needs())
    }

    /// What kind of state it keeps, and the settings that this depends on; `None` for nodes without state.
    pub fn shape(&self) -> Option<String> {
        match &self.kind {
            PlanKind::Aggregate { windows, allowed_lateness, .. } => Some(window_shape(windows, allowed_lateness)),
            PlanKind::Process { order, .. } => Some(process_shape(*order)),
            PlanKind::Source { .. } | PlanKind::Transform { .. } | PlanKind::Sink => None,
        }
    }

    /// Whether a plugin with these needs keeps the values, and so the fields, that the rows of an output had as input.
    pub fn keeps(&self, needs: &Needs, port: Port) -> bool {
        let written = match port {
            Port::Main => needs.writes_values,
            Port::Side(side) => needs.sides.get(side as usize).is_some_and(|side| side.writes_values),
            Port::Late => false,
            Port::Dead => true,
        };
        match &self.kind {
            PlanKind::Source { .. } | PlanKind::Sink => false,
            PlanKind::Transform { .. } | PlanKind::Process { .. } => !written,
            PlanKind::Aggregate { .. } => port == Port::Late,
        }
    }

    /// Whether what an output carries has to come in with the rows.
    fn hands_on(&self, port: Port) -> bool {
        self.needs().any(|needs| self.keeps(needs, port))
    }

    fn wanted_fields(&self, outputs: &[(Port, Emits)]) -> Vec<FieldSpec> {
        let own: Vec<&FieldSpec> = match &self.kind {
            PlanKind::Source { .. } => outputs[0].1.fields.iter().collect(),
            _ => self.needs().flat_map(|needs| &needs.fields).collect(),
        };
        let passed = outputs.iter().filter(|(port, _)| self.hands_on(*port)).flat_map(|(_, emits)| &emits.fields);
        let mut wanted: Vec<FieldSpec> = Vec::new();
        for field in own.into_iter().chain(passed) {
            if !wanted.contains(field) {
                wanted.push(field.clone());
            }
        }
        wanted
    }

    /// Whether it reads the values of its input, or hands them on.
    pub fn wants_values(&self) -> bool {
        match &self.kind {
            PlanKind::Source { .. } | PlanKind::Sink => true,
            _ => {
                self.needs().any(|needs| needs.reads_values)
                    || self.outputs.iter().any(|(port, emits)| emits.values && self.hands_on(*port))
            }
        }
    }
}

/// Stands before the one part of a shape that may change from run to run.
pub const LATENESS: &str = ", lateness ";

/// The shape of windows.
pub fn window_shape(windows: &WindowSpec, allowed_lateness: &Period) -> String {
    format!("{windows}{LATENESS}{allowed_lateness}")
}

/// The shape of a process.
pub fn process_shape(order: Order) -> String {
    match order {
        Order::Arrival => "process, order of arrival".to_owned(),
        Order::EventTime => "process, order of event time".to_owned(),
    }
}

/// Settles what every edge carries, for all versions of the plugins.
fn lay_out(nodes: &mut [PlanNode]) {
    // Wants travel upstream: consumers stand behind their producers, so they are settled first.
    for index in (0..nodes.len()).rev() {
        let outputs = outputs(nodes, index);
        let node = &mut nodes[index];
        node.wanted = node.wanted_fields(&outputs);
        node.outputs = outputs;
    }
    for index in 0..nodes.len() {
        let inputs = nodes[index].inputs.iter().map(|(from, _)| (*from, columns(nodes, *from, index))).collect();
        nodes[index].inputs = inputs;
    }
}

/// One version of a plugin, and how it sees the batches of its node, which may carry more than it needs.
pub struct Lens {
    /// The version.
    pub version: Version,
    /// What it needs.
    pub needs: Needs,
    /// The places of its fields among those that the node wants.
    own: Vec<usize>,
    /// The places of its fields in the batches of each input.
    inputs: Vec<(Input, Vec<usize>)>,
}

impl Lens {
    /// How a version sees the batches of a node; `None` if they lack something that it needs.
    pub fn new(node: &PlanNode, version: Version) -> Option<Self> {
        let needs = version.plugin().needs().clone();
        let place = |field: &FieldSpec| node.wanted.iter().position(|wanted| wanted == field);
        let own: Vec<usize> = needs.fields.iter().map(place).collect::<Option<_>>()?;
        let of_input = |(from, columns): &(Input, Vec<usize>)| (*from, own.iter().map(|&at| columns[at]).collect());
        let inputs = node.inputs.iter().map(of_input).collect();
        let handed_on = node.outputs.iter().filter(|(port, _)| node.keeps(&needs, *port)).map(|(_, emits)| emits);
        let lacks_values = !node.wants_values() && needs.reads_values;
        let lacks = handed_on.into_iter().any(|emits| {
            (emits.values && !node.wants_values()) || emits.fields.iter().any(|field| !node.wanted.contains(field))
        });
        (!lacks && !lacks_values).then_some(Self { version, needs, own, inputs })
    }

    /// How the version that a node runs sees its batches, or another one that these were laid out for.
    pub fn fitting(node: &PlanNode, version: Version) -> Result<Self> {
        Self::new(node, version).ok_or_else(|| Error::internal("rows do not carry what a plugin in reserve needs"))
    }

    /// Where its fields are in batches from `from`.
    pub fn columns(&self, from: Input) -> &[usize] {
        let edge = self.inputs.iter().find(|(input, _)| *input == from);
        edge.map(|(_, columns)| columns.as_slice()).expect("parcels come only from a node's inputs")
    }

    /// Where its fields are in batches whose fields are those of the node, in its order.
    pub fn own(&self) -> &[usize] {
        &self.own
    }
}

/// Adds the sink of the dead letters behind all nodes, which all send to it.
fn add_dead_letters(graph: &mut Graph) -> Option<usize> {
    let dead_letters = graph.dead_letters.take()?;
    let senders = graph.nodes.iter().enumerate().filter(|(_, node)| !matches!(node.kind, NodeKind::Sink { .. }));
    graph.nodes.push(Node {
        name: DEAD_LETTERS.to_owned(),
        inputs: senders.map(|(node, _)| Input { node, port: Port::Dead }).collect(),
        kind: NodeKind::Sink { sink: dead_letters.sink },
        tolerance: Tolerance::default(),
    });
    Some(graph.nodes.len() - 1)
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
            let is_there = match (input.port, &from.kind) {
                (Port::Main, _) | (Port::Dead, _) => true,
                (Port::Late, NodeKind::Aggregate { .. }) => true,
                (Port::Late, NodeKind::Process { order, .. }) => *order == Order::EventTime,
                (Port::Side(side), NodeKind::Transform { plugin }) => (side as usize) < plugin.needs().sides.len(),
                (Port::Side(side), NodeKind::Process { plugin, .. }) => (side as usize) < plugin.needs().sides.len(),
                _ => false,
            };
            if !is_there {
                let (name, from) = (&node.name, &from.name);
                return Err(Error::invalid(format!("node {name}: {from} has no output {:?}", input.port)));
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
        NodeKind::Process { plugin, order } => PlanKind::Process { plugin, order },
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
        outputs: Vec::new(),
        late_is_dead: false,
        tolerance: node.tolerance,
        sources: Vec::new(),
        kind,
        reserve: Vec::new(),
        trial: None,
    }
}

/// What the consumers of a node's outputs want of them. The main output comes first, whether it has consumers or not.
fn outputs(nodes: &[PlanNode], index: usize) -> Vec<(Port, Emits)> {
    let mut outputs = BTreeMap::from([(Port::Main, Emits::default())]);
    for consumer in nodes {
        for (from, _) in consumer.inputs.iter().filter(|(from, _)| from.node == index) {
            let emits = outputs.entry(from.port).or_default();
            emits.values |= consumer.wants_values();
            for field in &consumer.wanted {
                if !emits.fields.contains(field) {
                    emits.fields.push(field.clone());
                }
            }
        }
    }
    outputs.into_iter().collect()
}

fn columns(nodes: &[PlanNode], from: Input, consumer: usize) -> Vec<usize> {
    let producer = &nodes[from.node];
    let fields = producer.emits(from.port).map(|emits| emits.fields.as_slice()).unwrap_or_default();
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
