//! The parts of a barrier: who hands one over, and who has.

use super::super::part::{Content, FINAL, Origin, Part};
use crate::plan::{Plan, PlanKind, PlanNode};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A barrier that is under way.
pub(super) struct Gathering {
    pub(super) begun: Instant,
    pub(super) barrier: u64,
    parts: BTreeMap<Origin, Content>,
    /// Who wants to rewind the job to it, perhaps.
    pub(super) wanted: Vec<oneshot::Sender<u64>>,
}

impl Gathering {
    /// With no parts yet.
    pub(super) fn new(barrier: u64, wanted: Vec<oneshot::Sender<u64>>) -> Self {
        Self { begun: Instant::now(), barrier, parts: BTreeMap::new(), wanted }
    }
}

/// Who hands over parts. An operator that has ended has nothing to add: its last part stands for every barrier since.
pub(super) struct Roster {
    expected: BTreeSet<Origin>,
    /// The last parts of those that have ended.
    finals: BTreeMap<Origin, Content>,
}

impl Roster {
    /// Everyone in a job.
    pub(super) fn new(plan: &Plan, workers: usize) -> Self {
        let of_node = |(node, plan_node): (usize, &PlanNode)| {
            let origins = match plan_node.kind {
                PlanKind::Transform { .. } => 0,
                PlanKind::Sink => 1,
                PlanKind::Source { .. } | PlanKind::Aggregate { .. } | PlanKind::Process { .. } => workers,
            };
            (0..origins).map(move |worker| Origin { node, worker })
        };
        let expected = plan.nodes.iter().enumerate().flat_map(of_node).collect();
        Self { expected, finals: BTreeMap::new() }
    }

    /// Everyone.
    pub(super) fn members(&self) -> Vec<Origin> {
        self.expected.iter().copied().collect()
    }

    /// A part has come in, of the barrier that is under way, or the last of an operator.
    pub(super) fn take(&mut self, part: Part, gathering: Option<&mut Gathering>) {
        if part.barrier == FINAL {
            self.end(part.from, part.content);
        } else if let Some(gathering) = gathering.filter(|gathering| gathering.barrier == part.barrier) {
            gathering.parts.insert(part.from, part.content);
        }
    }

    /// An operator has ended with this.
    pub(super) fn end(&mut self, from: Origin, content: Content) {
        self.finals.insert(from, content);
    }

    /// Whether all have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.finals.len() == self.expected.len()
    }

    /// What somebody says at a barrier. Called once for each.
    pub(super) fn with_part<T>(
        &mut self,
        gathering: &mut Gathering,
        from: &Origin,
        read: impl FnOnce(&mut Content) -> T,
    ) -> Option<T> {
        let mut own = gathering.parts.remove(from);
        own.as_mut().or_else(|| self.finals.get_mut(from)).map(read)
    }

    /// Whether all parts are there.
    pub(super) fn is_complete(&self, gathering: &Gathering) -> bool {
        self.expected.iter().all(|from| self.has_part(gathering, from))
    }

    /// Who has not handed over a part, for people.
    pub(super) fn missing(&self, gathering: &Gathering, plan: &Plan) -> String {
        let missing = self.expected.iter().filter(|from| !self.has_part(gathering, from));
        let names: BTreeSet<&str> = missing.map(|from| &*plan.nodes[from.node].name).collect();
        Vec::from_iter(names).join(", ")
    }

    fn has_part(&self, gathering: &Gathering, from: &Origin) -> bool {
        gathering.parts.contains_key(from) || self.finals.contains_key(from)
    }
}
