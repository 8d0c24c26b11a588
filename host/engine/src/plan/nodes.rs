//! The nodes of a graph become those of a plan, if they fit together.

use super::{Ends, PlanKind, PlanNode};
use crate::graph::{DEAD_LETTERS, Graph, Input, Node, NodeKind, Port, Tolerance};
use std::sync::Arc;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::process::Order;
use wasmill_stream::{Error, Result};

/// Adds the sink of the dead letters behind all nodes, which all send to it.
pub(super) fn add_dead_letters(graph: &mut Graph) -> Option<usize> {
    let dead_letters = graph.dead_letters.take()?;
    let senders = graph.nodes.iter().enumerate().filter(|(_, node)| !matches!(node.kind, NodeKind::Sink { .. }));
    graph.nodes.push(Node {
        name: DEAD_LETTERS.to_owned(),
        inputs: senders.map(|(node, _)| Input { node, port: Port::Dead }).collect(),
        kind: NodeKind::Sink { sink: dead_letters.sink, terms: dead_letters.terms },
        tolerance: Tolerance::default(),
    });
    Some(graph.nodes.len() - 1)
}

pub(super) fn check(graph: &Graph) -> Result<()> {
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
                (Port::Raw, NodeKind::Source { .. }) => matches!(node.kind, NodeKind::Sink { .. }),
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

pub(super) fn plan_node(index: usize, node: Node, ends: &mut Ends) -> PlanNode {
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
        NodeKind::Sink { sink, terms } => {
            ends.sinks.push((index, sink, terms));
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
        lookout: Arc::default(),
        trial: None,
    }
}
