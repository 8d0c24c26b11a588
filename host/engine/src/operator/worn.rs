//! A version of a step's plugin with what belongs to it on one worker.

use super::output::Outputs;
use crate::discards::Discards;
use crate::isolate::Guard;
use crate::plan::{Lens, PlanNode};
use wasmill_stream::Result;
use wasmill_stream::plugin::Version;

/// A version that a step runs, or is about to run. `L` stands before its instance.
pub struct Worn<L> {
    /// How it sees the rows of its node.
    pub lens: Lens,
    /// What is called.
    pub logic: L,
    /// What becomes of its answers.
    pub outputs: Outputs,
    /// Where the rows go that it refuses or fails on.
    pub discards: Discards,
}

impl<L> Worn<L> {
    /// A version in its node. `isolated` makes the logic, given the guard of a step that has not failed yet.
    pub fn new(node: &PlanNode, version: Version, isolated: impl FnOnce(Guard) -> L) -> Result<Self> {
        let guard = Guard::new(node.ledger.clone(), node.tolerance, node.keeps_dead_letters());
        let discards = Discards::new(node, Some(version.plugin().identity().clone()));
        let lens = Lens::fitting(node, version)?;
        Ok(Self { logic: isolated(guard), outputs: Outputs::new(node, &lens.needs), discards, lens })
    }

    /// The same version with rows that are laid out anew.
    pub fn lay_out(&mut self, node: &PlanNode) -> Result<()> {
        self.lens = Lens::fitting(node, self.lens.version.clone())?;
        self.outputs = Outputs::new(node, &self.lens.needs);
        Ok(())
    }
}
