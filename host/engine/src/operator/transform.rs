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
use wasmill_stream::field::Decoder;
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

    fn apply(&mut self, parcel: &Parcel) -> Result<Option<Batch>> {
        let ledger = self.node().ledger.clone();
        let columns = self.node().columns(parcel.from).to_vec();
        StepLedger::add(&ledger.read, parcel.batch.len());
        let admitted = admit(&parcel.batch, &self.needs.fields, &columns, &ledger).map(|kept| parcel.batch.select(&kept));
        let batch = admitted.as_ref().unwrap_or(&parcel.batch);
        if batch.is_empty() {
            return Ok(None);
        }
        let outcome = self.logic.transform(&View::of(batch, &self.needs, &columns))?;
        let fields = self.carried_fields(batch, &outcome, &columns);
        let (mut out, emitted) = settle(batch, outcome, &self.needs, &ledger)?;
        out.fields = match fields {
            Some(fields) => fields,
            None => self.decoder.decode(&out.values),
        };
        out.step = self.node().name.clone();
        if !self.node().main.values {
            out.values = Default::default();
        }
        StepLedger::add(&ledger.emitted, emitted);
        StepLedger::add(&ledger.written, out.len());
        Ok((!out.is_empty()).then_some(out))
    }

    /// The fields that later steps want, moved along with their rows; `None` if the plugin wrote new values.
    fn carried_fields(&self, batch: &Batch, outcome: &Transformed, columns: &[usize]) -> Option<Vec<Column>> {
        if self.needs.writes_values {
            return None;
        }
        let node = self.node();
        let carried = node.main.fields.iter().map(|field| {
            let at = node.wanted.iter().position(|wanted| wanted == field).expect("wants include what is handed on");
            let column = &batch.fields[columns[at]];
            match &outcome.origins {
                Some(origins) => column.select(origins),
                None => column.clone(),
            }
        });
        Some(carried.collect())
    }
}

/// Turns a transform's answer into a batch without fields, and counts what became of the rows but for those that led to
/// output rows: their number is returned.
pub fn settle(batch: &Batch, outcome: Transformed, needs: &Needs, ledger: &StepLedger) -> Result<(Batch, usize)> {
    for reject in &outcome.rejects {
        ledger.reject(batch, reject.row as usize, &reject.reason);
    }
    let emitted = match &outcome.origins {
        Some(origins) => 1 + origins.windows(2).filter(|pair| pair[0] != pair[1]).count() - usize::from(origins.is_empty()),
        None => batch.len(),
    };
    let settled = emitted + outcome.rejects.len();
    let filtered = batch.len().checked_sub(settled).ok_or_else(|| {
        Error::guest(format!("of {} rows {emitted} were emitted and {} rejected", batch.len(), outcome.rejects.len()))
    })?;
    StepLedger::add(&ledger.filtered, filtered);
    let carry = |origins: &Option<Vec<u32>>| match origins {
        Some(origins) => Batch { fields: Vec::new(), ..without_fields(batch).select(origins) },
        None => without_fields(batch),
    };
    let mut out = carry(&outcome.origins);
    if let Some(times) = outcome.times {
        out.times = times;
    }
    if let Some(keys) = outcome.keys {
        out.keys = Some(keys);
    }
    if let (Some(values), true) = (outcome.values, needs.writes_values) {
        out.values = values;
    }
    Ok((out, emitted))
}

fn without_fields(batch: &Batch) -> Batch {
    Batch {
        step: batch.step.clone(),
        times: batch.times.clone(),
        keys: batch.keys.clone(),
        values: batch.values.clone(),
        fields: Vec::new(),
        lineage: batch.lineage.clone(),
        firings: batch.firings.clone(),
    }
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
                match step.apply(&std::mem::take(parcel)) {
                    Ok(Some(batch)) => session.give(&capability, &mut Parcel::new(index, Port::Main, batch)),
                    Ok(None) => {}
                    Err(error) => verdict.fail(error.context(format!("step {name}"))),
                }
            });
        }
    });
    Ok(stream)
}
