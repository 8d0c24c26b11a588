//! The job as a graph of nodes, ready to run: everything in it is checked and configured.

use wasmill_stream::plugin::{SharedAggregate, SharedTransform};
use wasmill_stream::sink::Sink;
use wasmill_stream::source::Source;
use wasmill_stream::units::Period;
use wasmill_stream::watermark::{EventTime, WatermarkSpec};
use wasmill_stream::window::WindowSpec;

/// A directed acyclic graph. Every node stands after its inputs.
pub struct Graph {
    /// Sources, steps and sinks.
    pub nodes: Vec<Node>,
}

/// One source, step or sink.
pub struct Node {
    /// Its name in the job file, unique among all nodes.
    pub name: String,
    /// Where its rows come from; empty for sources.
    pub inputs: Vec<Input>,
    /// What it does.
    pub kind: NodeKind,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Port {
    /// Its results.
    Main,
    /// Rows that came too late for their window (aggregations only).
    Late,
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
    /// Writes rows.
    Sink {
        /// Where rows go.
        sink: Box<dyn Sink>,
    },
}
