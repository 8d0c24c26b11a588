//! An aggregation step: rows of one epoch after the other go into windows, then the epoch's watermark closes some. Rows of
//! later epochs wait, so that what is late does not depend on which worker was faster.

use super::{Epoch, Rows};
use crate::admit::admit;
use crate::graph::Port;
use crate::parcel::{ByKeyGroup, Parcel};
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::progress::{Announcement, Heard};
use crate::verdict::Verdict;
use std::collections::BTreeMap;
use std::sync::Arc;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{DistributorPact, Exchange};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use wasmill_stream::field::Decoder;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Accumulated, Aggregate, Finished, Fired, Needs, View};
use wasmill_stream::window::Windows;
use wasmill_stream::{Batch, Binary, Result, key};

/// The logic of one aggregation step on one worker.
struct AggregateStep {
    plan: Arc<Plan>,
    index: usize,
    logic: Box<dyn Aggregate>,
    needs: Needs,
    windows: Windows,
    heard: Heard,
    /// Decodes what later steps want from the results.
    decoder: Decoder,
}

impl AggregateStep {
    fn new(plan: Arc<Plan>, index: usize, workers: usize) -> Result<Self> {
        let node = &plan.nodes[index];
        let PlanKind::Aggregate { plugin, windows, allowed_lateness } = &node.kind else {
            unreachable!("an aggregation step belongs to an aggregation");
        };
        Ok(Self {
            logic: plugin.instantiate()?,
            needs: plugin.needs().clone(),
            windows: Windows::new(*windows, *allowed_lateness),
            heard: Heard::new(&node.sources, workers),
            decoder: Decoder::new(&node.main.fields),
            plan,
            index,
        })
    }

    fn node(&self) -> &PlanNode {
        &self.plan.nodes[self.index]
    }

    /// Puts rows into windows. Returns the late ones, if somebody takes them.
    fn accumulate(&mut self, parcel: &Parcel) -> Result<Option<Batch>> {
        let node = &self.plan.nodes[self.index];
        let (ledger, columns) = (&node.ledger, node.columns(parcel.from));
        StepLedger::add(&ledger.read, parcel.batch.len());
        let kept = admit(&parcel.batch, &self.needs.fields, columns, ledger);
        let admitted = kept.as_ref().map(|kept| parcel.batch.select(kept));
        let batch = admitted.as_ref().unwrap_or(&parcel.batch);
        // Rows without keys form one group.
        let unkeyed;
        let keys = match &batch.keys {
            Some(keys) => keys,
            None => {
                unkeyed = std::iter::repeat_n(b"", batch.len()).collect::<Binary>();
                &unkeyed
            }
        };
        let fresh;
        let hashes = match (&parcel.hashes, &kept) {
            (Some(hashes), None) => hashes,
            _ => {
                fresh = key::hashes(keys).into();
                &fresh
            }
        };
        let view = View::of(batch, &self.needs, columns);
        let taken = self.windows.accumulate(&mut *self.logic, keys, hashes, &view)?;
        for reject in &taken.rejects {
            ledger.reject(batch, reject.row as usize, &reject.reason);
        }
        StepLedger::add(&ledger.late, taken.late.len());
        StepLedger::add(&ledger.emitted, batch.len() - taken.late.len() - taken.rejects.len());
        let late = node.late.as_ref().filter(|_| !taken.late.is_empty()).map(|emits| {
            let mut late = batch.select(&taken.late);
            let place = |field| node.wanted.iter().position(|wanted| wanted == field).map(|at| columns[at]);
            late.fields = emits.fields.iter().filter_map(place).map(|at| late.fields[at].clone()).collect();
            late.step = node.name.clone();
            late
        });
        Ok(late)
    }

    /// Ends an epoch: moves to its watermark and returns the results of the windows that fire.
    fn advance(&mut self) -> Result<Vec<Batch>> {
        let watermark = self.heard.watermark();
        let mut logic = CountFired { logic: &mut *self.logic, fired: 0 };
        let mut results = self.windows.advance(watermark, &mut logic)?;
        let fired = logic.fired;
        let node = &self.plan.nodes[self.index];
        node.ledger.advance_watermark(watermark);
        StepLedger::add(&node.ledger.fired, fired);
        for batch in &mut results {
            StepLedger::add(&node.ledger.written, batch.len());
            batch.step = node.name.clone();
            batch.fields = self.decoder.decode(&batch.values);
        }
        Ok(results)
    }
}

/// Counts the windows that fire on their way into the logic.
struct CountFired<'l> {
    logic: &'l mut dyn Aggregate,
    fired: usize,
}

impl Aggregate for CountFired<'_> {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        self.logic.accumulate(accumulators, groups, batch)
    }

    fn merge(&mut self, accumulators: &Binary, groups: &[u32], count: u32) -> Result<Binary> {
        self.logic.merge(accumulators, groups, count)
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        self.fired += fired.windows.len();
        self.logic.finish(fired)
    }
}

/// What waits for its epoch.
#[derive(Default)]
struct Waiting {
    parcels: Vec<Parcel>,
    announcements: Vec<Announcement>,
    /// The right to emit in this epoch: results, late rows.
    capabilities: Option<(Capability<Epoch>, Capability<Epoch>)>,
}

/// The streams of an aggregation.
pub struct Outputs<'s> {
    /// Results.
    pub main: Rows<'s>,
    /// Late rows.
    pub late: Rows<'s>,
}

/// Builds the operator.
pub fn build<'s>(
    rows: Rows<'s>,
    announcements: Stream<'s, Epoch, Vec<Announcement>>,
    plan: Arc<Plan>,
    index: usize,
    verdict: Arc<Verdict>,
) -> Result<Outputs<'s>> {
    let scope = rows.scope();
    let mut step = AggregateStep::new(plan, index, scope.peers())?;
    let name = step.node().name.clone();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let mut rows = builder.new_input(rows, DistributorPact(|_workers| ByKeyGroup::default()));
    let mut news = builder.new_input(announcements, Exchange::new(|announcement: &Announcement| announcement.to));
    let (mut main, main_stream) = builder.new_output::<Parcel>();
    let (mut late, late_stream) = builder.new_output::<Parcel>();
    let mut waiting: BTreeMap<Epoch, Waiting> = BTreeMap::new();
    builder.build(move |_capabilities| {
        move |frontiers| {
            rows.for_each(|capability, parcel| {
                let epoch = waiting.entry(*capability.time()).or_default();
                epoch.capabilities.get_or_insert_with(|| (capability.retain(0), capability.retain(1)));
                epoch.parcels.push(std::mem::take(parcel));
            });
            news.for_each(|capability, announcements| {
                let epoch = waiting.entry(*capability.time()).or_default();
                epoch.capabilities.get_or_insert_with(|| (capability.retain(0), capability.retain(1)));
                epoch.announcements.append(announcements);
            });
            let open = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            let (mut main, mut late) = (main.activate(), late.activate());
            while let Some(mut entry) = waiting.first_entry() {
                // The open epoch may take its rows at once: all before it are complete. It closes when the frontier says so.
                let complete = open.is_none_or(|open| *entry.key() < open);
                if verdict.is_aborted() || (!complete && open != Some(*entry.key())) {
                    break;
                }
                let epoch = entry.get_mut();
                let outcome = epoch.settle(&mut step, complete, |port, batch, (to_main, to_late)| match port {
                    Port::Main => main.give(to_main, &mut Parcel::new(index, port, batch)),
                    Port::Late => late.give(to_late, &mut Parcel::new(index, port, batch)),
                });
                if let Err(error) = outcome {
                    verdict.fail(error.context(format!("step {name}")));
                    break;
                }
                if !complete {
                    break;
                }
                entry.remove();
            }
        }
    });
    Ok(Outputs { main: main_stream, late: late_stream })
}

impl Waiting {
    /// Applies what waits; closes the epoch if it is complete.
    fn settle(
        &mut self,
        step: &mut AggregateStep,
        complete: bool,
        mut give: impl FnMut(Port, Batch, &(Capability<Epoch>, Capability<Epoch>)),
    ) -> Result<()> {
        let capabilities = self.capabilities.as_ref().expect("whatever waits came with a capability");
        for parcel in self.parcels.drain(..) {
            if let Some(late) = step.accumulate(&parcel)? {
                give(Port::Late, late, capabilities);
            }
        }
        if complete {
            self.announcements.drain(..).for_each(|announcement| step.heard.hear(&announcement));
            for batch in step.advance()? {
                give(Port::Main, batch, capabilities);
            }
        }
        Ok(())
    }
}
