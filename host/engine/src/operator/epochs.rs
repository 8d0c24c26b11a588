//! The operator around a step with state: rows go to the worker that owns their key, one epoch is applied after the other,
//! and an epoch ends with its watermark. Rows of later epochs wait, so that what is late does not depend on which worker was
//! faster.

use super::at_work::Shift;
use super::exits::{Exits, Pass, Streams};
use super::work::Work;
use super::{Epoch, Rows};
use crate::checkpoint::{Content, FINAL, Origin, Reporter, State};
use crate::discards::Discards;
use crate::graph::Port;
use crate::isolate::Guard;
use crate::lookout::Told;
use crate::parcel::{ByKeyGroup, Parcel};
use crate::pauses::Pauses;
use crate::progress::{Announcement, Heard};
use crate::swap::{Follower, Swappable};
use crate::usage::Held;
use crate::worker::Shared;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{DistributorPact, Exchange};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use wasmill_stream::checkpoint::Changes;
use wasmill_stream::{Error, Result};

/// How often a step that waits for other workers looks again.
const RETRY: Duration = Duration::from_micros(200);

/// The logic of a step with state on one worker. A call that returns an error has changed nothing and is made again if the
/// guard wants a pause.
pub trait EpochStep: Swappable + 'static {
    /// The rows of a parcel that its plugin may see.
    type Admitted;

    /// Lets rows in; counts and discards the others.
    fn admit(&mut self, parcel: Parcel) -> Self::Admitted;

    /// Applies rows.
    fn apply(&mut self, admitted: &Self::Admitted, exits: &mut Exits, pass: &Pass) -> Result<()>;

    /// Ends an epoch, whose announcements have been heard.
    fn close(&mut self, exits: &mut Exits, pass: &Pass) -> Result<()>;

    /// Notes what has changed in its state since the last time. Comes after [`EpochStep::close`], when nothing waits.
    fn changes(&mut self, log: &mut Changes) -> Result<()>;

    /// How far event time has come for it.
    fn watermark(&self) -> i64;

    /// Windows that have yet to fire, the first so many: those of a key, or of any.
    fn pending(&self, key: Option<&[u8]>, limit: usize) -> Vec<(i64, i64)>;

    /// The version of its state.
    fn state_version(&self) -> u32;

    /// What its state takes. Asked often: it counts nothing anew.
    fn held(&self) -> Held;

    /// What it has heard of event time.
    fn heard(&mut self) -> &mut Heard;

    /// Where its refused rows go.
    fn discards(&mut self) -> &mut Discards;

    /// The guard of its plugin.
    fn guard(&mut self) -> &mut Guard;
}

/// What waits for its epoch.
struct Waiting<A> {
    work: VecDeque<Work<A>>,
    announcements: Vec<Announcement>,
    /// The right to send in this epoch.
    pass: Pass,
}

impl<A> Waiting<A> {
    fn new(pass: Pass) -> Self {
        Self { work: VecDeque::new(), announcements: Vec::new(), pass }
    }

    /// Applies what waits; closes the epoch if it is complete. After an error what is left waits on.
    fn settle(&mut self, step: &mut impl EpochStep<Admitted = A>, complete: bool, exits: &mut Exits) -> Result<()> {
        while let Some(work) = self.work.pop_front() {
            let admitted = work.admitted(|parcel| step.admit(parcel));
            if let Err(error) = step.apply(&admitted, exits, &self.pass) {
                self.work.push_front(Work::Begun(admitted));
                return Err(error);
            }
            self.send_letters(step, exits);
        }
        if complete {
            self.announcements.drain(..).for_each(|announcement| step.heard().hear(&announcement));
            step.close(exits, &self.pass)?;
            self.send_letters(step, exits);
        }
        Ok(())
    }

    fn send_letters(&self, step: &mut impl EpochStep, exits: &mut Exits) {
        step.discards().take().into_iter().for_each(|letters| exits.give(&self.pass, Port::Dead, letters));
    }
}

/// Hands over what has changed at barriers.
struct Snapshots {
    reporter: Option<Reporter>,
    origin: Origin,
    /// The last barrier that was passed.
    passed: Option<u64>,
}

impl Snapshots {
    /// The next barrier, if the step stands behind it: it has applied all epochs before `reached`, and nothing of any other.
    /// `None`: there are no more.
    fn due(&self, reached: Option<Epoch>) -> Option<u64> {
        let reporter = self.reporter.as_ref()?;
        let next = reporter.barrier(self.passed).filter(|barrier| reached.is_none_or(|reached| *barrier < reached));
        next.or((reached.is_none() && self.passed != Some(FINAL)).then_some(FINAL))
    }

    /// Hands over a part for a barrier. `rewrites`: how often the state was rewritten.
    fn pass(&mut self, step: &mut impl EpochStep, rewrites: u64, barrier: u64) -> Result<()> {
        let begun = Instant::now();
        let mut changes = Changes::default();
        step.changes(&mut changes)?;
        let (watermark, version, pause) = (step.watermark(), step.state_version(), begun.elapsed());
        let state = State { changes, watermark, version, rewrites, pause };
        if let Some(reporter) = &self.reporter {
            reporter.report(self.origin, barrier, Content::State(state));
        }
        self.passed = Some(barrier);
        Ok(())
    }
}

/// Passes barriers and moves on to other revisions, in the order of their epochs, as far as all epochs before `reached` are
/// done. `false`: the step has to wait for other workers.
fn catch_up(
    step: &mut impl EpochStep,
    snapshots: &mut Snapshots,
    follower: &mut Follower,
    reached: Option<Epoch>,
) -> Result<bool> {
    loop {
        let barrier = snapshots.due(reached);
        let bound = follower.bound().filter(|bound| reached.is_none_or(|reached| *bound <= reached));
        match (barrier, bound) {
            (Some(barrier), bound) if bound.is_none_or(|bound| barrier < bound) => {
                snapshots.pass(step, follower.rewrites(), barrier)?;
            }
            (_, Some(_)) => {
                if !follower.advance(step, reached.is_none())? {
                    return Ok(false);
                }
            }
            _ => return Ok(true),
        }
    }
}

/// Builds the operator of a node.
pub fn build<'s, S: EpochStep>(
    mut step: S,
    mut follower: Follower,
    rows: Rows<'s>,
    announcements: Stream<'s, Epoch, Vec<Announcement>>,
    shared: &Shared,
) -> Streams<'s> {
    let scope = rows.scope();
    let index = follower.node();
    let node = &shared.plan.nodes[index];
    let origin = Origin { node: index, worker: scope.index() };
    let (place, lookout) = ((scope.index(), scope.peers()), node.lookout.clone());
    let mut snapshots = Snapshots { reporter: shared.reporter.clone(), origin, passed: None };
    let shift = Shift::new(&node.ledger);
    let mut usage = shared.usage.share(node.ledger.clone());
    let verdict = shared.verdict.clone();
    let name = node.name.clone();
    let mut builder = OperatorBuilder::new(name.to_string(), scope);
    let mut rows = builder.new_input(rows, DistributorPact(|_workers| ByKeyGroup::default()));
    let mut news = builder.new_input(announcements, Exchange::new(|announcement: &Announcement| announcement.to));
    let (mut exits, streams) = Exits::new(&mut builder, index, node);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut pauses = Pauses::new(scope.activator_for(builder.operator_info().address), verdict.clone(), name.clone());
    let mut waiting: BTreeMap<Epoch, Waiting<S::Admitted>> = BTreeMap::new();
    builder.build(move |_capabilities| {
        move |frontiers| {
            let _work = shift.begin();
            rows.for_each(|capability, parcel| {
                let epoch = waiting.entry(*capability.time()).or_insert_with(|| Waiting::new(exits.pass(&capability)));
                epoch.work.push_back(Work::Fresh(std::mem::take(parcel)));
            });
            news.for_each(|capability, announcements| {
                let epoch = waiting.entry(*capability.time()).or_insert_with(|| Waiting::new(exits.pass(&capability)));
                epoch.announcements.append(announcements);
            });
            let open = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if verdict.is_aborted() {
                return;
            }
            let failed = |error: Error| verdict.fail(error.context(format!("step {name}")));
            if pauses.under_way() {
                match follower.hurry(&mut step) {
                    Ok(true) => pauses.end(),
                    Ok(false) => return,
                    Err(error) => return failed(error),
                }
            }
            loop {
                // Before anything of a later epoch is applied.
                let reached = waiting.first_key_value().map(|(epoch, _)| *epoch).into_iter().chain(open).min();
                let caught_up = catch_up(&mut step, &mut snapshots, &mut follower, reached)
                    .and_then(|caught_up| usage.is(step.held()).map(|()| caught_up));
                match caught_up {
                    Ok(true) => {}
                    Ok(false) => return activator.activate_after(RETRY),
                    Err(error) => return failed(error),
                }
                let Some(mut entry) = waiting.first_entry() else {
                    if lookout.is_wanted() {
                        let held = |key: Option<&[u8]>, limit| Told {
                            watermark: step.watermark(),
                            windows: step.pending(key, limit),
                        };
                        lookout.tell(place, held);
                    }
                    return;
                };
                // The open epoch may take its rows at once: all before it are complete. It closes when the frontier says so.
                let complete = open.is_none_or(|open| *entry.key() < open);
                if !complete && open != Some(*entry.key()) {
                    return;
                }
                if let Err(error) = entry.get_mut().settle(&mut step, complete, &mut exits) {
                    if !pauses.begin(step.guard(), &error) {
                        failed(error);
                    }
                    return;
                }
                if !complete {
                    return;
                }
                entry.remove();
            }
        }
    });
    streams
}
