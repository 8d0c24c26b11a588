//! A transform step: batches in, batches out, on the worker where they are.

use super::Rows;
use super::at_work::Shift;
use super::exits::{Exits, Pass, Streams};
use super::output::emitted;
use super::work::Work;
use super::worn::Worn;
use crate::admit::admit;
use crate::discards::Discards;
use crate::graph::{Input, Port};
use crate::isolate::IsolatedTransform;
use crate::parcel::Parcel;
use crate::pauses::Pauses;
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::swap::{Follower, Swappable, Takeover};
use crate::worker::Shared;
use std::collections::VecDeque;
use std::sync::Arc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Logic, Transform, Transformed, Version, View};
use wasmill_stream::{Batch, Error, GuestFault, Result};

/// The logic of one transform step on one worker.
struct TransformStep {
    plan: Arc<Plan>,
    index: usize,
    worn: Worn<IsolatedTransform>,
    /// A version that is about to take over.
    tried: Option<Worn<IsolatedTransform>>,
}

impl TransformStep {
    fn new(plan: Arc<Plan>, index: usize) -> Result<Self> {
        let node = &plan.nodes[index];
        let PlanKind::Transform { plugin } = &node.kind else {
            unreachable!("a transform step belongs to a transform");
        };
        let logic = plugin.instantiate()?;
        let worn = Worn::new(node, Version::Transform(plugin.clone()), |guard| IsolatedTransform::new(logic, guard))?;
        Ok(Self { worn, tried: None, plan, index })
    }

    fn node(&self) -> &PlanNode {
        &self.plan.nodes[self.index]
    }

    /// The rows of a parcel that the plugin may see.
    fn admit(&mut self, parcel: Parcel) -> Admitted {
        let node = &self.plan.nodes[self.index];
        StepLedger::add(&node.ledger.read, parcel.batch.len());
        let Worn { lens, discards, .. } = &mut self.worn;
        let kept = admit(&parcel.batch, &lens.needs.fields, lens.columns(parcel.from), discards);
        let batch = match kept {
            Some(kept) => parcel.batch.select(&kept),
            // Moves the columns unless another step reads the same batch.
            None => Arc::unwrap_or_clone(parcel.batch),
        };
        Admitted { batch, from: parcel.from }
    }

    fn call(&mut self, admitted: &Admitted) -> Result<Transformed> {
        let Worn { lens, logic, .. } = &mut self.worn;
        logic.transform(&View::of(&admitted.batch, &lens.needs, lens.columns(admitted.from)))
    }

    /// Counts what became of the rows, and sends the results.
    fn settle(&mut self, admitted: Admitted, answer: Transformed, exits: &mut Exits, pass: &Pass) -> Result<()> {
        let node = &self.plan.nodes[self.index];
        let columns = node.columns(admitted.from);
        let Worn { outputs, discards, .. } = &mut self.worn;
        let emitted = count(&admitted.batch, &answer, discards)?;
        StepLedger::add(&node.ledger.emitted, emitted);
        for (side, rows) in answer.sides {
            let port = Port::Side(side);
            // Each output chooses its own rows and columns of the batch.
            if let Some(batch) = outputs.rows(node, port, admitted.batch.clone(), columns, rows) {
                node.ledger.add_to_side(side, batch.len());
                exits.give(pass, port, batch);
            }
        }
        if let Some(batch) = outputs.rows(node, Port::Main, admitted.batch, columns, answer.main) {
            StepLedger::add(&node.ledger.written, batch.len());
            exits.give(pass, Port::Main, batch);
        }
        Ok(())
    }
}

impl Swappable for TransformStep {
    fn lay_out(&mut self, plan: &Arc<Plan>) -> Result<()> {
        self.plan = plan.clone();
        let node = &self.plan.nodes[self.index];
        self.worn.lay_out(node)?;
        Ok(())
    }

    fn try_on(&mut self, takeover: &Takeover, logic: Logic) -> Result<()> {
        let Logic::Transform(logic) = logic else { return Err(takeover.misfit()) };
        self.tried =
            Some(Worn::new(self.node(), takeover.version.clone(), |guard| IsolatedTransform::new(logic, guard))?);
        Ok(())
    }

    fn decide(&mut self, taken: bool) {
        if let Some(tried) = self.tried.take().filter(|_| taken) {
            self.worn = tried;
        }
    }
}

/// Counts what became of the rows of a transform's batch, but for those that led to output rows: their number is returned.
pub fn count(batch: &Batch, answer: &Transformed, discards: &mut Discards) -> Result<usize> {
    for reject in &answer.rejects {
        discards.reject(batch, reject.row as usize, reject);
    }
    let emitted = emitted(batch.len(), &answer.main, &answer.sides);
    let filtered = batch.len().checked_sub(emitted + answer.rejects.len()).ok_or_else(|| {
        let (rows, rejected) = (batch.len(), answer.rejects.len());
        Error::guest(GuestFault::Contract, format!("of {rows} rows it emitted {emitted} and rejected {rejected}"))
    })?;
    StepLedger::add(&discards.ledger().filtered, filtered);
    Ok(emitted)
}

/// The admitted rows of a parcel, and where they came from.
struct Admitted {
    batch: Batch,
    from: Input,
}

/// Builds the operator.
pub fn build<'s>(rows: Rows<'s>, shared: &Shared, index: usize) -> Result<Streams<'s>> {
    let mut follower = Follower::new(&shared.revisions, index);
    let mut step = TransformStep::new(follower.plan().clone(), index)?;
    let verdict = shared.verdict.clone();
    let name = step.node().name.clone();
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (mut exits, streams) = Exits::new(&mut builder, index, step.node());
    let mut pauses = Pauses::new(scope.activator_for(builder.operator_info().address), verdict.clone(), name.clone());
    let mut waiting: VecDeque<(Pass, Work<Admitted>)> = VecDeque::new();
    let shift = Shift::new(&step.node().ledger);
    builder.build(move |_capabilities| {
        move |frontiers| {
            let _work = shift.begin();
            input.for_each(|capability, parcel| {
                if !verdict.is_aborted() {
                    waiting.push_back((exits.pass(&capability), Work::Fresh(std::mem::take(parcel))));
                }
            });
            let open = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if pauses.under_way() {
                match follower.hurry(&mut step) {
                    Ok(true) => pauses.end(),
                    Ok(false) => return,
                    Err(error) => return verdict.fail(error.context(format!("step {name}"))),
                }
            }
            while !verdict.is_aborted() {
                // Batches come in any order of their epochs; those behind the end of a revision wait for all before it.
                let next = waiting.iter().position(|(pass, _)| !follower.bars(pass.epoch()));
                let Some((pass, work)) = next.and_then(|next| waiting.remove(next)) else {
                    if follower.bound().is_some_and(|bound| open.is_none_or(|open| bound <= open)) {
                        match follower.advance(&mut step, open.is_none()) {
                            // Nobody votes on transforms.
                            Ok(_) => continue,
                            Err(error) => verdict.fail(error.context(format!("step {name}"))),
                        }
                    }
                    return;
                };
                let admitted = work.admitted(|parcel| step.admit(parcel));
                let called = if admitted.batch.is_empty() { Ok(None) } else { step.call(&admitted).map(Some) };
                let settled = match called {
                    Ok(None) => Ok(()),
                    Ok(Some(answer)) => step.settle(admitted, answer, &mut exits, &pass),
                    Err(error) => match pauses.begin(step.worn.logic.guard(), &error) {
                        true => return waiting.push_front((pass, Work::Begun(admitted))),
                        false => Err(error),
                    },
                };
                for letters in step.worn.discards.take() {
                    exits.give(&pass, Port::Dead, letters);
                }
                if let Err(error) = settled {
                    verdict.fail(error.context(format!("step {name}")));
                }
            }
            waiting.clear();
        }
    });
    Ok(streams)
}
