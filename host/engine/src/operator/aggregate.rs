//! An aggregation step: rows go into windows, then the epoch's watermark closes some.

use super::epochs::{self, EpochStep};
use super::exits::{Exits, Pass, Streams};
use super::output::Outputs;
use super::worn::Worn;
use super::{Epoch, Rows};
use crate::admit::admit;
use crate::candidate::{Candidacy, Half, Mode, PAIRED, half_of, is_old};
use crate::discards::Discards;
use crate::graph::{Input, Port};
use crate::isolate::{Guard, IsolatedAggregate};
use crate::parcel::Parcel;
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::progress::{Announcement, Heard};
use crate::swap::{Follower, Rewrite, Swappable, Takeover, rewritten};
use crate::usage::Held;
use crate::worker::Shared;
use std::sync::Arc;
use timely::dataflow::Stream;
use wasmill_stream::checkpoint::Changes;
use wasmill_stream::field::Decoder;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Aggregate, Logic, Rows as Origins, Version, View};
use wasmill_stream::window::{Migrated, Windows};
use wasmill_stream::{Batch, Binary, Result, key};

/// The logic of one aggregation step on one worker.
struct AggregateStep {
    plan: Arc<Plan>,
    index: usize,
    worn: Worn<IsolatedAggregate>,
    /// A version that is about to take over, and the state as it understands it, if it does not understand what is there.
    tried: Option<(Worn<IsolatedAggregate>, Option<Migrated>)>,
    windows: Windows,
    /// In a transition: the windows that the version before has to close.
    closing: Option<Closing>,
    heard: Heard,
    /// Decodes what later steps want from the results.
    decoder: Decoder,
}

/// Windows that a version has opened, and closes before it goes.
struct Closing {
    trial: Arc<Candidacy>,
    /// As long as event time has not come so far, there are some.
    until: i64,
}

impl Closing {
    /// Looks for them. If there are none, the trial is told.
    fn look(trial: Arc<Candidacy>, windows: &Windows) -> Option<Self> {
        let until = windows.gone_at(&mut is_old);
        if until.is_none() {
            trial.has_closed();
        }
        until.map(|until| Self { trial, until })
    }

    /// Those of a node in a transition.
    fn of(node: &PlanNode, windows: &Windows) -> Option<Self> {
        let trial = node.trial.clone().filter(|trial| trial.mode() == Mode::Transition)?;
        Self::look(trial, windows)
    }
}

/// The admitted rows of a parcel.
pub struct Admitted {
    batch: Arc<Batch>,
    from: Input,
    keys: Binary,
    hashes: Arc<[u64]>,
}

impl AggregateStep {
    fn new(shared: &Shared, plan: &Arc<Plan>, index: usize, (worker, workers): (usize, usize)) -> Result<Self> {
        let plan = plan.clone();
        let node = &plan.nodes[index];
        let PlanKind::Aggregate { plugin, windows, allowed_lateness } = &node.kind else {
            unreachable!("an aggregation step belongs to an aggregation");
        };
        let logic = plugin.instantiate()?;
        let mut worn =
            Worn::new(node, Version::Aggregate(plugin.clone()), |guard| IsolatedAggregate::new(logic, guard))?;
        let mut windows = Windows::new(*windows, *allowed_lateness);
        let resumed = shared.resumed.steps.get(&index);
        if let Some(state) = resumed {
            windows.resume(state.watermark);
            state.owned_by(worker, workers, |change| windows.load(change))?;
        }
        if shared.reporter.is_some() {
            windows.track();
        }
        let rewrite =
            resumed.and_then(|state| Rewrite::between(state.version, Half::Incumbent, plugin.state_version()));
        if let Some(rewrite) = rewrite {
            let migrated = migrated(&windows, rewrite, &mut worn.logic)?;
            windows.adopt(migrated);
        } else if resumed.is_some_and(|state| node.shape().as_ref() != Some(&state.shape)) {
            // With another lateness everything expires at another time.
            let same = windows.migrated(&mut |old| Ok(old.clone()))?;
            windows.adopt(same);
        }
        Ok(Self {
            worn,
            tried: None,
            closing: Closing::of(node, &windows),
            windows,
            heard: Heard::new(&node.sources, workers),
            decoder: Decoder::new(&node.main().fields),
            plan,
            index,
        })
    }
}

impl Swappable for AggregateStep {
    fn lay_out(&mut self, plan: &Arc<Plan>) -> Result<()> {
        self.plan = plan.clone();
        let node = &self.plan.nodes[self.index];
        self.worn.lay_out(node)?;
        self.decoder = Decoder::new(&node.main().fields);
        Ok(())
    }

    fn try_on(&mut self, takeover: &Takeover, logic: Logic) -> Result<()> {
        let Logic::Aggregate(logic) = logic else { return Err(takeover.misfit()) };
        let mut worn = Worn::new(&self.plan.nodes[self.index], takeover.version.clone(), |guard| {
            IsolatedAggregate::new(logic, guard)
        })?;
        let windows = &self.windows;
        let mut migrate = |from: u32, old: &Binary| worn.logic.migrate(from, old);
        let migrated = rewritten(
            takeover,
            || windows.accumulators(),
            &mut migrate,
            |rewrite| windows.migrated(&mut |old| rewrite(old).map(|new| new.states)),
        )?;
        self.tried = Some((worn, migrated));
        Ok(())
    }

    fn decide(&mut self, taken: bool) {
        if let Some((worn, migrated)) = self.tried.take().filter(|_| taken) {
            self.worn = worn;
            migrated.into_iter().for_each(|migrated| self.windows.adopt(migrated));
            self.closing = Closing::of(&self.plan.nodes[self.index], &self.windows);
        }
    }
}

impl EpochStep for AggregateStep {
    type Admitted = Admitted;

    fn admit(&mut self, parcel: Parcel) -> Admitted {
        let node = &self.plan.nodes[self.index];
        StepLedger::add(&node.ledger.read, parcel.batch.len());
        let Worn { lens, discards, .. } = &mut self.worn;
        let kept = admit(&parcel.batch, &lens.needs.fields, lens.columns(parcel.from), discards);
        let batch = match &kept {
            Some(kept) => Arc::new(parcel.batch.select(kept)),
            None => parcel.batch,
        };
        let keys = batch.group_keys();
        let hashes = match (parcel.hashes, &kept) {
            (Some(hashes), None) => hashes,
            _ => key::hashes(&keys).into(),
        };
        Admitted { batch, from: parcel.from, keys, hashes }
    }

    /// Puts rows into windows; late ones leave by the side.
    fn apply(&mut self, admitted: &Admitted, exits: &mut Exits, pass: &Pass) -> Result<()> {
        let node = &self.plan.nodes[self.index];
        let (ledger, columns) = (&node.ledger, node.columns(admitted.from));
        let Admitted { batch, keys, hashes, .. } = admitted;
        let Worn { lens, logic, outputs, discards } = &mut self.worn;
        let view = View::of(batch, &lens.needs, lens.columns(admitted.from));
        let taken = self.windows.accumulate(logic, keys, hashes, &view)?;
        for reject in &taken.rejects {
            discards.reject(batch, reject.row as usize, reject);
        }
        StepLedger::add(&ledger.late, taken.late.len());
        StepLedger::add(&ledger.emitted, batch.len() - taken.late.len() - taken.rejects.len());
        send_late(node, outputs, discards, (batch, columns, taken.late), (exits, pass));
        Ok(())
    }

    /// Moves to the epoch's watermark and sends the results of the windows that fire.
    fn close(&mut self, exits: &mut Exits, pass: &Pass) -> Result<()> {
        let watermark = self.heard.watermark();
        let mut advanced = self.windows.advance(watermark, &mut self.worn.logic)?;
        if self.state_version() & PAIRED != 0 {
            // What a dead letter holds is for the plugin to read that it names.
            let trial = self.plan.nodes[self.index].trial.as_ref();
            for refused in &mut advanced.refused {
                let half = trial.map_or(Half::Incumbent, |trial| trial.half_of(refused.by.as_deref()));
                refused.accumulators.iter_mut().for_each(|accumulator| *accumulator = half_of(half, accumulator));
            }
        }
        if let Some(closing) = self.closing.take_if(|closing| closing.until <= watermark) {
            self.closing = Closing::look(closing.trial, &self.windows);
        }
        let node = &self.plan.nodes[self.index];
        node.ledger.advance_watermark(watermark);
        StepLedger::add(&node.ledger.fired, advanced.fired);
        advanced.refused.iter().for_each(|refused| self.worn.discards.window(refused));
        for mut batch in advanced.results {
            StepLedger::add(&node.ledger.written, batch.len());
            batch.step = node.name.clone();
            batch.fields = self.decoder.decode(&batch.values);
            exits.give(pass, Port::Main, batch);
        }
        Ok(())
    }

    fn changes(&mut self, log: &mut Changes) -> Result<()> {
        self.windows.changes(log);
        Ok(())
    }

    fn watermark(&self) -> i64 {
        self.windows.watermark()
    }

    fn held(&self) -> Held {
        Held { bytes: self.windows.bytes(), windows: self.windows.open() }
    }

    fn pending(&self, key: Option<&[u8]>, limit: usize) -> Vec<(i64, i64)> {
        self.windows.pending(key, limit)
    }

    fn heard(&mut self) -> &mut Heard {
        &mut self.heard
    }

    fn state_version(&self) -> u32 {
        self.worn.lens.version.plugin().state_version()
    }

    fn discards(&mut self) -> &mut Discards {
        &mut self.worn.discards
    }

    fn guard(&mut self) -> &mut Guard {
        self.worn.logic.guard()
    }
}

fn migrated(windows: &Windows, rewrite: Rewrite, logic: &mut dyn Aggregate) -> Result<Migrated> {
    let mut migrate = |from: u32, old: &Binary| logic.migrate(from, old);
    windows.migrated(&mut |old| rewrite.apply(old, &mut migrate).map(|new| new.states))
}

/// Sends late rows where the job wants them: to whoever reads them, else to the dead letters if these take them.
pub fn send_late(
    node: &PlanNode,
    outputs: &mut Outputs,
    discards: &mut Discards,
    (batch, columns, late): (&Batch, &[usize], Vec<u32>),
    (exits, pass): (&mut Exits, &Pass),
) {
    if late.is_empty() {
        return;
    }
    if node.emits(Port::Late).is_some() {
        let rows = Origins { origins: Some(late), ..Origins::default() };
        let batch = outputs.rows(node, Port::Late, batch.clone(), columns, rows);
        batch.into_iter().for_each(|batch| exits.give(pass, Port::Late, batch));
    } else if node.late_is_dead {
        late.iter().for_each(|&row| discards.late(batch, row as usize));
    }
}

/// Builds the operator.
pub fn build<'s>(
    rows: Rows<'s>,
    announcements: Stream<'s, Epoch, Vec<Announcement>>,
    shared: &Shared,
    index: usize,
) -> Result<Streams<'s>> {
    let follower = Follower::new(&shared.revisions, index);
    let step = AggregateStep::new(shared, follower.plan(), index, (rows.scope().index(), rows.scope().peers()))?;
    Ok(epochs::build(step, follower, rows, announcements, shared))
}
