//! The job as a graph of nodes, ready to run: everything in it is checked and configured.

use crate::candidate::Bounds;
use std::time::Duration;
use wasmill_stream::plugin::{SharedAggregate, SharedProcess, SharedTransform, Version};
use wasmill_stream::process::Order;
use wasmill_stream::sink::{OnOutage, Sink};
use wasmill_stream::source::Source;
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;

/// A directed acyclic graph. Every node stands after its inputs.
pub struct Graph {
    /// Sources, steps and sinks.
    pub nodes: Vec<Node>,
    /// Where rows go that leave the pipeline. Without it they are only counted, and a plugin that fails on a row ends
    /// the job.
    pub dead_letters: Option<DeadLetters>,
    /// Versions that take over in steps whose own ones have windows to close.
    pub successors: Vec<Successor>,
}

/// A version that was about to take over from that of a step when the job ended.
pub struct Successor {
    /// The step.
    pub step: String,
    /// The version.
    pub version: Version,
    /// How far it may go while the one before is there.
    pub bounds: Bounds,
}

/// What the node of the dead letters is called.
pub const DEAD_LETTERS: &str = "dead_letter";

/// What the sink of records as they were read is called.
pub const ARCHIVE: &str = "archive";

/// The sink of every row that leaves the pipeline.
pub struct DeadLetters {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// On which terms it gets them. Nothing takes them off it.
    pub terms: SinkTerms,
    /// Whether late rows count as dead.
    pub late: bool,
}

/// One source, step or sink.
pub struct Node {
    /// Its name in the job file, unique among all nodes.
    pub name: String,
    /// Where its rows come from; empty for sources.
    pub inputs: Vec<Input>,
    /// What it does.
    pub kind: NodeKind,
    /// How much its plugin may fail.
    pub tolerance: Tolerance,
}

/// How much a plugin may fail before its step pauses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The share of rows, of the last ten thousand or so, that it may fail on. Above, the step pauses and tries again, after a
    /// pause that grows from one second to a minute.
    pub share: f64,
    /// How long a step may be paused before the job ends with an error.
    pub give_up: Duration,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { share: 0.05, give_up: Duration::from_secs(600) }
    }
}

/// An edge of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Index of the node that emits.
    pub node: usize,
    /// Which of its outputs.
    pub port: Port,
}

/// An output of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Its results.
    Main,
    /// A side output of its plugin, by number.
    Side(u32),
    /// Rows that came too late: for their window, or for their place in the order of event time.
    Late,
    /// Dead letters. Every node has this output, and only the sink of the dead letters reads it.
    Dead,
    /// Records of a source as they were read, each with the time of its arrival: before its decoder, and whatever becomes of them.
    /// Only sinks read it.
    Raw,
}

/// What a node does.
pub enum NodeKind {
    /// Reads records, gives them event times and a watermark.
    Source {
        /// Where records come from.
        source: Box<dyn Source>,
        /// A transform applied to each split's records before anything else, which may set the event time.
        decoder: Option<SharedTransform>,
        /// How rows get their event time.
        time: EventTime,
        /// How the watermark follows.
        watermark: WatermarkSpec,
    },
    /// Stateless logic.
    Transform {
        /// The logic.
        plugin: SharedTransform,
    },
    /// Keyed logic over windows. Its rows must have keys.
    Aggregate {
        /// The logic.
        plugin: SharedAggregate,
        /// Which windows.
        windows: WindowSpec,
        /// How long a fired window still takes late rows.
        allowed_lateness: Period,
    },
    /// Keyed logic with state and timers. Its rows must have keys.
    Process {
        /// The logic.
        plugin: SharedProcess,
        /// In which order a key's rows reach it.
        order: Order,
    },
    /// Writes rows.
    Sink {
        /// Where rows go.
        sink: Box<dyn Sink>,
        /// On which terms.
        terms: SinkTerms,
    },
}

/// On which terms a sink gets its rows.
#[derive(Debug, Clone, Copy)]
pub struct SinkTerms {
    /// How many bytes of rows may wait for it, of all workers together, beside what it gathers itself.
    pub queue: ByteCount,
    /// What becomes of them while its other side takes nothing.
    pub on_outage: OnOutage,
    /// How much its other side may refuse.
    pub refusable: Refusable,
}

impl Default for SinkTerms {
    fn default() -> Self {
        Self { queue: ByteCount::new(8 << 20), on_outage: OnOutage::Wait, refusable: Refusable::default() }
    }
}

/// How much of its rows a sink's other side may refuse before the job ends: a mapping or a right that is wrong is no matter of
/// some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusable {
    /// The share of the rows of a period that it may refuse.
    pub share: f64,
    /// How long that is.
    pub period: Duration,
}

impl Default for Refusable {
    fn default() -> Self {
        Self { share: 0.01, period: Duration::from_secs(60) }
    }
}
