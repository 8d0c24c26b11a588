//! A transform step: batches in, batches out, on the worker where they are.

use super::Rows;
use super::exits::{Exits, Pass, Streams};
use super::output::{Outputs, emitted};
use super::work::Work;
use crate::admit::admit;
use crate::discards::Discards;
use crate::graph::{Input, Port};
use crate::isolate::{Guard, IsolatedTransform};
use crate::parcel::Parcel;
use crate::pauses::Pauses;
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::verdict::Verdict;
use std::collections::VecDeque;
use std::sync::Arc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Needs, Transform, Transformed, View};
use wasmill_stream::{Batch, Error, GuestFault, Result};

/// The logic of one transform step on one worker.
struct TransformStep {
    plan: Arc<Plan>,
    index: usize,
    logic: IsolatedTransform,
    needs: Needs,
    outputs: Outputs,
    discards: Discards,
}

impl TransformStep {
    fn new(plan: Arc<Plan>, index: usize) -> Result<Self> {
        let node = &plan.nodes[index];
        let PlanKind::Transform { plugin } = &node.kind else {
            unreachable!("a transform step belongs to a transform");
        };
        let needs = plugin.needs().clone();
        let guard = Guard::new(node.ledger.clone(), node.tolerance, node.keeps_dead_letters());
        Ok(Self {
            logic: IsolatedTransform::new(plugin.instantiate()?, guard),
            outputs: Outputs::new(node, &needs.sides),
            discards: Discards::new(node),
            needs,
            plan,
            index,
        })
    }

    fn node(&self) -> &PlanNode {
        &self.plan.nodes[self.index]
    }

    /// The rows of a parcel that the plugin may see.
    fn admit(&mut self, parcel: Parcel) -> Admitted {
        let node = &self.plan.nodes[self.index];
        StepLedger::add(&node.ledger.read, parcel.batch.len());
        let kept = admit(&parcel.batch, &self.needs.fields, node.columns(parcel.from), &mut self.discards);
        let batch = match kept {
            Some(kept) => parcel.batch.select(&kept),
            // Moves the columns unless another step reads the same batch.
            None => Arc::unwrap_or_clone(parcel.batch),
        };
        Admitted { batch, from: parcel.from }
    }

    fn call(&mut self, admitted: &Admitted) -> Result<Transformed> {
        let columns = self.plan.nodes[self.index].columns(admitted.from);
        self.logic.transform(&View::of(&admitted.batch, &self.needs, columns))
    }

    /// Counts what became of the rows, and sends the results.
    fn settle(&mut self, admitted: Admitted, answer: Transformed, exits: &mut Exits, pass: &Pass) -> Result<()> {
        let node = &self.plan.nodes[self.index];
        let columns = node.columns(admitted.from);
        let emitted = count(&admitted.batch, &answer, &mut self.discards)?;
        StepLedger::add(&node.ledger.emitted, emitted);
        for (side, rows) in answer.sides {
            let port = Port::Side(side);
            // Each output chooses its own rows and columns of the batch.
            if let Some(batch) = self.outputs.rows(node, port, admitted.batch.clone(), columns, rows) {
                node.ledger.add_to_side(side, batch.len());
                exits.give(pass, port, batch);
            }
        }
        if let Some(batch) = self.outputs.rows(node, Port::Main, admitted.batch, columns, answer.main) {
            StepLedger::add(&node.ledger.written, batch.len());
            exits.give(pass, Port::Main, batch);
        }
        Ok(())
    }
}

/// Counts what became of the rows of a transform's batch, but for those that led to output rows: their number is returned.
pub fn count(batch: &Batch, answer: &Transformed, discards: &mut Discards) -> Result<usize> {
    for reject in &answer.rejects {
        discards.row(batch, reject.row as usize, reject.cause, &reject.reason);
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
pub fn build<'s>(rows: Rows<'s>, plan: Arc<Plan>, index: usize, verdict: Arc<Verdict>) -> Result<Streams<'s>> {
    let mut step = TransformStep::new(plan, index)?;
    let name = step.node().name.clone();
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (mut exits, streams) = Exits::new(&mut builder, index, step.node());
    let mut pauses = Pauses::new(scope.activator_for(builder.operator_info().address), verdict.clone(), name.clone());
    let mut waiting: VecDeque<(Pass, Work<Admitted>)> = VecDeque::new();
    builder.build(move |_capabilities| {
        move |_frontiers| {
            input.for_each(|capability, parcel| {
                if !verdict.is_aborted() {
                    waiting.push_back((exits.pass(&capability), Work::Fresh(std::mem::take(parcel))));
                }
            });
            if pauses.under_way() {
                return;
            }
            while let Some((pass, work)) = waiting.pop_front() {
                if verdict.is_aborted() {
                    return waiting.clear();
                }
                let admitted = work.admitted(|parcel| step.admit(parcel));
                let called = if admitted.batch.is_empty() { Ok(None) } else { step.call(&admitted).map(Some) };
                let settled = match called {
                    Ok(None) => Ok(()),
                    Ok(Some(answer)) => step.settle(admitted, answer, &mut exits, &pass),
                    Err(error) => match pauses.begin(step.logic.guard(), &error) {
                        true => return waiting.push_front((pass, Work::Begun(admitted))),
                        false => Err(error),
                    },
                };
                for letters in step.discards.take() {
                    exits.give(&pass, Port::Dead, letters);
                }
                if let Err(error) = settled {
                    verdict.fail(error.context(format!("step {name}")));
                }
            }
        }
    });
    Ok(streams)
}
