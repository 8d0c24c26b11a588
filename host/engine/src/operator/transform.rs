//! A transform step: batches in, batches out, on the worker where they are.

use super::Rows;
use crate::admit::admit;
use crate::graph::Port;
use crate::parcel::Parcel;
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::verdict::Verdict;
use std::sync::Arc;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use wasmill_stream::field::{Decoder, FieldSpec};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Needs, Transform, Transformed, View};
use wasmill_stream::{Batch, Column, Error, Result};

/// The logic of one transform step on one worker.
struct TransformStep {
    plan: Arc<Plan>,
    index: usize,
    logic: Box<dyn Transform>,
    needs: Needs,
    /// Decodes what later steps want from values that the plugin wrote.
    decoder: Decoder,
}

impl TransformStep {
    fn new(plan: Arc<Plan>, index: usize) -> Result<Self> {
        let PlanKind::Transform { plugin } = &plan.nodes[index].kind else {
            unreachable!("a transform step belongs to a transform");
        };
        let (logic, needs) = (plugin.instantiate()?, plugin.needs().clone());
        let decoder = Decoder::new(&plan.nodes[index].main.fields);
        Ok(Self { plan, index, logic, needs, decoder })
    }

    fn node(&self) -> &PlanNode {
        &self.plan.nodes[self.index]
    }

    fn apply(&mut self, parcel: Parcel) -> Result<Option<Batch>> {
        let node = &self.plan.nodes[self.index];
        let (ledger, columns) = (&node.ledger, node.columns(parcel.from));
        StepLedger::add(&ledger.read, parcel.batch.len());
        let mut batch = match admit(&parcel.batch, &self.needs.fields, columns, ledger) {
            Some(kept) => parcel.batch.select(&kept),
            // Moves the columns unless another step reads the same batch.
            None => Arc::unwrap_or_clone(parcel.batch),
        };
        if batch.is_empty() {
            return Ok(None);
        }
        let outcome = self.logic.transform(&View::of(&batch, &self.needs, columns))?;
        if self.needs.writes_values || !node.main.values {
            batch.values = Default::default();
        }
        batch.fields = if self.needs.writes_values { Vec::new() } else { handed_on(node, batch.fields, columns) };
        let (mut out, emitted) = settle(batch, outcome, ledger)?;
        if self.needs.writes_values {
            out.fields = self.decoder.decode(&out.values);
            if !node.main.values {
                out.values = Default::default();
            }
        }
        out.step = node.name.clone();
        StepLedger::add(&ledger.emitted, emitted);
        StepLedger::add(&ledger.written, out.len());
        Ok((!out.is_empty()).then_some(out))
    }
}

/// The fields that later steps want of rows whose values stay as they are.
fn handed_on(node: &PlanNode, fields: Vec<Column>, columns: &[usize]) -> Vec<Column> {
    let mut fields: Vec<Option<Column>> = fields.into_iter().map(Some).collect();
    let place = |field: &FieldSpec| {
        node.wanted.iter().position(|wanted| wanted == field).expect("a node wants what it hands on")
    };
    // Each field is wanted once, so nothing is taken twice.
    node.main.fields.iter().filter_map(|field| fields[columns[place(field)]].take()).collect()
}

/// Turns a transform's answer into a batch, and counts what became of the rows but for those that led to output rows:
/// their number is returned. Columns that the answer does not set are the input's, row by row; values that the answer will
/// set may be missing in the input.
pub fn settle(mut batch: Batch, outcome: Transformed, ledger: &StepLedger) -> Result<(Batch, usize)> {
    let rows = batch.len();
    for reject in &outcome.rejects {
        ledger.reject(&batch, reject.row as usize, &reject.reason);
    }
    let emitted = match &outcome.origins {
        Some(origins) => origins.chunk_by(|a, b| a == b).count(),
        None => rows,
    };
    let filtered = rows.checked_sub(emitted + outcome.rejects.len()).ok_or_else(|| {
        Error::guest(format!("of {rows} rows it emitted {emitted} and rejected {}", outcome.rejects.len()))
    })?;
    StepLedger::add(&ledger.filtered, filtered);
    if outcome.keys.is_some() {
        batch.keys = None;
    }
    if let Some(origins) = &outcome.origins {
        batch = batch.select(origins);
    }
    if let Some(times) = outcome.times {
        batch.times = times;
    }
    if let Some(keys) = outcome.keys {
        batch.keys = Some(keys);
    }
    if let Some(values) = outcome.values {
        batch.values = values;
    }
    Ok((batch, emitted))
}

/// Builds the operator.
pub fn build<'s>(rows: Rows<'s>, plan: Arc<Plan>, index: usize, verdict: Arc<Verdict>) -> Result<Rows<'s>> {
    let mut step = TransformStep::new(plan, index)?;
    let name = step.node().name.clone();
    let mut builder = OperatorBuilder::new(name.to_string(), rows.scope());
    let mut input = builder.new_input(rows, Pipeline);
    let (mut output, stream) = builder.new_output::<Parcel>();
    builder.build(move |_capabilities| {
        move |_frontiers| {
            let mut session = output.activate();
            input.for_each(|capability, parcel| {
                if verdict.is_aborted() {
                    return;
                }
                match step.apply(std::mem::take(parcel)) {
                    Ok(Some(batch)) => session.give(&capability, &mut Parcel::new(index, Port::Main, batch)),
                    Ok(None) => {}
                    Err(error) => verdict.fail(error.context(format!("step {name}"))),
                }
            });
        }
    });
    Ok(stream)
}
