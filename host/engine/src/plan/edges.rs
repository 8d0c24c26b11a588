//! What every edge carries: whatever its consumers want of the fields and values of its producer.

use super::{Emits, PlanNode};
use crate::graph::{Input, Port};
use std::collections::BTreeMap;
use wasmill_stream::field::FieldSpec;

/// Settles what every edge carries, for all versions of the plugins.
pub(super) fn lay_out(nodes: &mut [PlanNode]) {
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

pub(super) fn upstream(nodes: &[PlanNode], index: usize) -> Vec<usize> {
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
