//! A sink on one worker: hands batches to the sink's writer. While the writer has no room, batches wait here and hold
//! their epoch open, which in the end makes the sources wait.

use super::Rows;
use crate::parcel::Parcel;
use crate::plan::Plan;
use crate::verdict::Verdict;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use wasmill_stream::Batch;
use wasmill_stream::ledger::StepLedger;

/// How often a full writer is asked again.
const RETRY: Duration = Duration::from_millis(1);

/// Builds the operator. Its output carries nothing: its frontier tells which epochs the sink has taken.
pub fn build<'s>(
    rows: Rows<'s>,
    plan: Arc<Plan>,
    index: usize,
    writer: Sender<Arc<Batch>>,
    verdict: Arc<Verdict>,
) -> Rows<'s> {
    let scope = rows.scope();
    let ledger = plan.nodes[index].ledger.clone();
    let mut builder = OperatorBuilder::new(ledger.name.clone(), scope);
    let mut input = builder.new_input(rows, Pipeline);
    let (_output, taken) = builder.new_output::<Parcel>();
    let activator = scope.activator_for(builder.operator_info().address);
    let mut waiting = VecDeque::new();
    builder.build(move |_capabilities| {
        move |_frontiers| {
            input.for_each(|capability, parcel| {
                let batch = std::mem::take(parcel).batch;
                StepLedger::add(&ledger.read, batch.len());
                StepLedger::add(&ledger.bytes, batch.values.total_bytes());
                waiting.push_back((capability.retain(0), batch));
            });
            while let Some((capability, batch)) = waiting.pop_front() {
                match writer.try_send(batch) {
                    Ok(()) => {}
                    Err(TrySendError::Full(batch)) => {
                        waiting.push_front((capability, batch));
                        activator.activate_after(RETRY);
                        break;
                    }
                    // The writer has ended with an error, which is the job's.
                    Err(TrySendError::Closed(_)) => verdict.stop(),
                }
            }
        }
    });
    taken
}
