//! How one version of a plugin sees the rows of its node.

use super::PlanNode;
use crate::graph::Input;
use wasmill_stream::field::FieldSpec;
use wasmill_stream::plugin::{Needs, Version};
use wasmill_stream::{Error, Result};

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
