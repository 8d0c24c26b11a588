//! No row gets lost: the sum that must hold in the ledger of every job that has ended by itself.

use std::sync::atomic::Ordering::Relaxed;
use wasmill_engine::{Graph, Input, Port};
use wasmill_stream::ledger::{Ledger, StepLedger};

/// The edges of a job, kept aside while the job runs.
pub struct Edges {
    /// For each node its name and inputs.
    nodes: Vec<(String, Vec<Input>)>,
    /// Whether late rows go to the dead letters, if the job keeps any.
    late_is_dead: Option<bool>,
}

impl Edges {
    /// The edges of a graph.
    pub fn of(graph: &Graph) -> Self {
        let nodes = graph.nodes.iter().map(|node| (node.name.clone(), node.inputs.clone())).collect();
        Self { nodes, late_is_dead: graph.dead_letters.as_ref().map(|dead_letters| dead_letters.late) }
    }

    fn is_read(&self, node: usize, port: Port) -> bool {
        self.nodes.iter().any(|(_, inputs)| inputs.contains(&Input { node, port }))
    }
}

/// Asserts for every node that each row it read met its fate, that it read what its inputs gave, and that everything which
/// was refused on the way has a dead letter, if the job keeps any.
pub fn assert_balanced(edges: &Edges, ledger: &Ledger) {
    let (nodes, dead) = ledger.steps.split_at(edges.nodes.len());
    assert_eq!(dead.len(), usize::from(edges.late_is_dead.is_some()), "one ledger per node");
    for (step, (name, inputs)) in nodes.iter().zip(&edges.nodes) {
        let counts = step.counts();
        assert_eq!(counts.in_flight(), 0, "{name}: {counts}");
        let given: u64 = inputs.iter().map(|input| output(&nodes[input.node], input.port)).sum();
        assert!(inputs.is_empty() || counts.read == given, "{name}: was given {given} rows: {counts}");
    }
    let (Some(late_is_dead), [dead]) = (edges.late_is_dead, dead) else { return };
    let letters = nodes.iter().enumerate().map(|(at, step)| {
        let late = if late_is_dead && !edges.is_read(at, Port::Late) { step.counts().late } else { 0 };
        step.counts().rejected + step.refused_firings.load(Relaxed) + late
    });
    let counts = dead.counts();
    assert_eq!((counts.read, counts.in_flight()), (letters.sum(), 0), "dead letters: {counts}");
}

fn output(step: &StepLedger, port: Port) -> u64 {
    match port {
        Port::Main => step.counts().written,
        Port::Late => step.counts().late,
        Port::Side(side) => step.side(side),
        Port::Raw => step.counts().read,
        Port::Dead => unreachable!("only the sink of the dead letters reads it"),
    }
}
