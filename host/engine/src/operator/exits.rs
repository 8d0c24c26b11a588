//! The outputs of an operator: those of its node that somebody reads, and the right to send to them in an epoch.

use super::{Epoch, Rows};
use crate::graph::Port;
use crate::lookout::Lookout;
use crate::parcel::Parcel;
use crate::plan::PlanNode;
use std::sync::Arc;
use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, InputCapability};
use wasmill_stream::Batch;

/// The streams behind an operator.
pub type Streams<'s> = Vec<(Port, Rows<'s>)>;

/// The outputs of one operator.
pub struct Exits {
    node: usize,
    ports: Vec<Port>,
    outputs: Vec<Output<Epoch, Parcel>>,
    lookout: Arc<Lookout>,
}

/// The right to send to every output in one epoch. While it is held, the epoch is not over for those behind.
pub struct Pass(Vec<Capability<Epoch>>);

impl Exits {
    /// Adds the outputs of `node` to an operator. They are its first outputs.
    pub fn new<'s>(builder: &mut OperatorBuilder<'s, Epoch>, index: usize, node: &PlanNode) -> (Self, Streams<'s>) {
        let ports: Vec<Port> = node.outputs.iter().map(|(port, _)| *port).collect();
        let (outputs, streams): (Vec<_>, Vec<_>) = ports.iter().map(|_| builder.new_output::<Parcel>()).unzip();
        let streams = ports.iter().copied().zip(streams).collect();
        (Self { node: index, ports, outputs, lookout: node.lookout.clone() }, streams)
    }

    /// How many outputs there are.
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// The right to send in the epoch of something that came in.
    pub fn pass(&self, capability: &InputCapability<Epoch>) -> Pass {
        Pass((0..self.ports.len()).map(|output| capability.retain(output)).collect())
    }

    /// Sends rows, if there are any and somebody reads that output.
    pub fn give(&mut self, pass: &Pass, port: Port, batch: Batch) {
        if let Some(at) = self.ports.iter().position(|known| *known == port)
            && !batch.is_empty()
        {
            if self.lookout.is_wanted() {
                self.lookout.show(port, &batch);
            }
            self.outputs[at].activate().give(&pass.0[at], &mut Parcel::new(self.node, port, batch));
        }
    }
}

impl Pass {
    /// The right that an operator without input starts with.
    pub fn new(capabilities: Vec<Capability<Epoch>>) -> Self {
        Self(capabilities)
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.0.first().map_or(Epoch::MAX, |capability| *capability.time())
    }

    /// Gives up all epochs before `epoch`.
    pub fn downgrade(&mut self, epoch: Epoch) {
        self.0.iter_mut().for_each(|capability| capability.downgrade(&epoch));
    }
}
