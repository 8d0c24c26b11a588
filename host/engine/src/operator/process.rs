//! A process step: keyed logic with state and timers. Timers that an epoch's watermark passes fire at its end. In the order
//! of event time, rows wait until the watermark lets them go.

use super::aggregate::send_late;
use super::epochs::{self, EpochStep};
use super::exits::{Exits, Pass, Streams};
use super::output::emitted;
use super::worn::Worn;
use super::{Epoch, Rows};
use crate::admit::admit;
use crate::candidate::Half;
use crate::discards::Discards;
use crate::graph::Port;
use crate::isolate::{Guard, IsolatedProcess};
use crate::parcel::Parcel;
use crate::plan::{Plan, PlanKind, PlanNode};
use crate::progress::{Announcement, Heard};
use crate::swap::{Follower, Rewrite, Swappable, Takeover, rewritten};
use crate::usage::Held;
use crate::worker::Shared;
use std::collections::VecDeque;
use std::sync::Arc;
use timely::dataflow::Stream;
use wasmill_stream::backlog::{Backlog, Released, Wanted};
use wasmill_stream::checkpoint::{ANY_GROUP, Changes};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Logic, Process, Processed, Rows as Output, Version, View};
use wasmill_stream::process::{KeyedRows, Migrated, Order, States, Turned};
use wasmill_stream::{Batch, Binary, Error, GuestFault, Result, key};

/// About how many rows of a backlog go into one call.
const CALL_ROWS: usize = 4_096;

/// The logic of one process step on one worker.
struct ProcessStep {
    plan: Arc<Plan>,
    index: usize,
    worn: Worn<IsolatedProcess>,
    /// A version that is about to take over, and the states as it understands them, if it does not understand those there.
    tried: Option<(Worn<IsolatedProcess>, Option<Migrated>)>,
    order: Order,
    states: States,
    backlog: Backlog,
    /// Names the rows that wait on this worker in this run.
    stem: String,
    /// Rows that were let go and have not been processed yet.
    ready: VecDeque<Released>,
    heard: Heard,
}

/// Rows for a call, with what belongs to them.
pub struct Admitted {
    batch: Arc<Batch>,
    keys: Binary,
    hashes: Vec<u64>,
}

impl Admitted {
    fn new(batch: Batch) -> Self {
        let keys = batch.group_keys();
        let hashes = key::hashes(&keys);
        Self { batch: Arc::new(batch), keys, hashes }
    }
}

impl ProcessStep {
    fn new(shared: &Shared, plan: &Arc<Plan>, index: usize, (worker, workers): (usize, usize)) -> Result<Self> {
        let plan = plan.clone();
        let node = &plan.nodes[index];
        let PlanKind::Process { plugin, order } = &node.kind else {
            unreachable!("a process step belongs to a process");
        };
        let logic = plugin.instantiate()?;
        let mut worn = Worn::new(node, Version::Process(plugin.clone()), |guard| IsolatedProcess::new(logic, guard))?;
        let (mut states, mut backlog) = (States::new(&worn.lens.needs), Backlog::new(wanted(node)));
        let resumed = shared.resumed.steps.get(&index);
        if let Some(state) = resumed {
            states.resume(state.watermark);
            let Worn { lens, discards, .. } = &mut worn;
            state.owned_by(worker, workers, |change| match (change.group, change.value) {
                (ANY_GROUP, value) => {
                    let mine = |batch: &Batch, row: usize| {
                        let hash = key::hash(batch.key(row).unwrap_or_default());
                        key::worker(key::group(hash), workers) == worker
                    };
                    let admit = |batch: &Batch| admit(batch, &lens.needs.fields, lens.own(), discards);
                    let waiting = backlog.load(value.unwrap_or_default(), state.watermark, mine, admit)?;
                    // For this run they come in now.
                    StepLedger::add(&node.ledger.read, waiting);
                    Ok(())
                }
                _ => states.load(change),
            })?;
        }
        if shared.reporter.is_some() {
            states.track();
        }
        let rewrite =
            resumed.and_then(|state| Rewrite::between(state.version, Half::Incumbent, plugin.state_version()));
        if let Some(rewrite) = rewrite {
            let migrated = migrated(&states, rewrite, &mut worn.logic)?;
            states.adopt(migrated);
            backlog.note_again();
        }
        Ok(Self {
            worn,
            tried: None,
            order: *order,
            states,
            backlog,
            stem: format!("rows/{}/{worker}", shared.run),
            ready: VecDeque::new(),
            heard: Heard::new(&node.sources, workers),
            plan,
            index,
        })
    }

    /// Processes rows. `origins`: the rows that they were before they waited, for dead letters.
    fn process(
        &mut self,
        admitted: &Admitted,
        until: Option<i64>,
        origins: Option<&[(Arc<Batch>, u32)]>,
        exits: &mut Exits,
        pass: &Pass,
    ) -> Result<()> {
        let Admitted { batch, keys, hashes } = admitted;
        let Worn { lens, logic, discards, .. } = &mut self.worn;
        let view = View::of(batch, &lens.needs, lens.own());
        let rows = KeyedRows { keys, hashes, view, ordered: self.order == Order::EventTime };
        let turned = self.states.process(logic, &rows, until)?;
        for reject in &turned.answer.rejects {
            let row = reject.row as usize;
            match origins.and_then(|origins| origins.get(row)) {
                Some((batch, row)) => discards.reject(batch, *row as usize, reject),
                None => discards.reject(batch, row, reject),
            }
        }
        let ledger = &self.plan.nodes[self.index].ledger;
        let led = emitted(batch.len(), &turned.answer.main, &turned.answer.sides);
        let filtered = batch.len().checked_sub(led + turned.answer.rejects.len()).ok_or_else(|| {
            let (rows, rejected) = (batch.len(), turned.answer.rejects.len());
            Error::guest(GuestFault::Contract, format!("of {rows} rows it emitted {led} and rejected {rejected}"))
        })?;
        StepLedger::add(&ledger.emitted, led);
        StepLedger::add(&ledger.filtered, filtered);
        self.send(batch, turned, exits, pass);
        Ok(())
    }

    /// Sends what a call led to: rows that came from rows, and rows that timers emitted.
    fn send(&mut self, batch: &Batch, turned: Turned, exits: &mut Exits, pass: &Pass) {
        let Turned { keys, answer: Processed { main, sides, .. }, fired } = turned;
        let plan = self.plan.clone();
        let node = &plan.nodes[self.index];
        StepLedger::add(&node.ledger.timers, fired);
        let Worn { logic, outputs, discards, .. } = &mut self.worn;
        logic.take_dropped().iter().for_each(|timer| discards.timer(timer));
        let columns: Vec<usize> = (0..batch.fields.len()).collect();
        let answers = std::iter::once((Port::Main, main));
        for (port, rows) in answers.chain(sides.into_iter().map(|(side, rows)| (Port::Side(side), rows))) {
            let (of_rows, of_timers) = split(rows, batch.len());
            let mut give = |batch: Option<Batch>| {
                let Some(batch) = batch else { return };
                match port {
                    Port::Side(side) => node.ledger.add_to_side(side, batch.len()),
                    _ => StepLedger::add(&node.ledger.written, batch.len()),
                }
                exits.give(pass, port, batch);
            };
            if let Some(rows) = of_rows {
                give(outputs.rows(node, port, batch.clone(), &columns, rows));
            }
            if let Some(rows) = of_timers {
                let times = vec![0; keys.len()];
                let fired = Batch { times, keys: Some(keys.clone()), ..Batch::default() };
                let origins = timer_origins(&rows, &keys);
                let fired = outputs.rows(node, port, fired, &[], rows);
                give(fired.map(|fired| Batch { origins: Some(origins), ..fired }));
            }
        }
    }
}

impl EpochStep for ProcessStep {
    type Admitted = Admitted;

    fn admit(&mut self, parcel: Parcel) -> Admitted {
        let node = &self.plan.nodes[self.index];
        let columns = node.columns(parcel.from);
        StepLedger::add(&node.ledger.read, parcel.batch.len());
        let Worn { lens, discards, .. } = &mut self.worn;
        let kept = admit(&parcel.batch, &lens.needs.fields, lens.columns(parcel.from), discards);
        let mut batch = match kept {
            Some(kept) => parcel.batch.select(&kept),
            None => Batch::clone(&parcel.batch),
        };
        // The node's fields in the node's order: rows of several inputs may wait together.
        batch.fields = columns.iter().map(|&at| batch.fields[at].clone()).collect();
        Admitted::new(batch)
    }

    /// Processes rows, or lets them wait for their time.
    fn apply(&mut self, admitted: &Admitted, exits: &mut Exits, pass: &Pass) -> Result<()> {
        if self.order == Order::Arrival {
            return self.process(admitted, None, None, exits, pass);
        }
        let (batch, watermark) = (&admitted.batch, self.states.watermark());
        let rows = 0..batch.len() as u32;
        let (late, on_time): (Vec<u32>, Vec<u32>) = rows.partition(|&row| batch.times[row as usize] < watermark);
        let node = &self.plan.nodes[self.index];
        StepLedger::add(&node.ledger.late, late.len());
        let columns: Vec<usize> = (0..batch.fields.len()).collect();
        let Worn { outputs, discards, .. } = &mut self.worn;
        send_late(node, outputs, discards, (batch, &columns, late), (exits, pass));
        self.backlog.hold(batch, &on_time);
        Ok(())
    }

    /// Moves to the epoch's watermark, processes the rows that it lets go, and fires the timers that it passes.
    fn close(&mut self, exits: &mut Exits, pass: &Pass) -> Result<()> {
        let watermark = self.heard.watermark();
        self.ready.extend(self.backlog.release(watermark, CALL_ROWS));
        while let Some(Released { batch, origins }) = self.ready.pop_front() {
            let last = batch.times.last().copied();
            let admitted = Admitted::new(batch);
            if let Err(error) = self.process(&admitted, last, Some(&origins), exits, pass) {
                let batch = Arc::unwrap_or_clone(admitted.batch);
                self.ready.push_front(Released { batch, origins });
                return Err(error);
            }
        }
        while let Some(turned) = self.states.advance(&mut self.worn.logic, watermark)? {
            self.send(&Batch::default(), turned, exits, pass);
        }
        self.plan.nodes[self.index].ledger.advance_watermark(watermark);
        Ok(())
    }

    fn changes(&mut self, log: &mut Changes) -> Result<()> {
        self.states.changes(log);
        self.backlog.changes(&self.stem, log)
    }

    fn watermark(&self) -> i64 {
        self.states.watermark()
    }

    fn held(&self) -> Held {
        Held { bytes: self.states.bytes() + self.backlog.bytes(), windows: 0 }
    }

    fn pending(&self, _key: Option<&[u8]>, _limit: usize) -> Vec<(i64, i64)> {
        // What its logic calls a window only it knows.
        Vec::new()
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

impl Swappable for ProcessStep {
    /// Rows that wait are laid out anew. What cannot be had of them any more is missing, which only a version that wants it
    /// could notice.
    fn lay_out(&mut self, plan: &Arc<Plan>) -> Result<()> {
        self.plan = plan.clone();
        let node = &self.plan.nodes[self.index];
        self.worn.lay_out(node)?;
        self.backlog.lay_out(wanted(node));
        Ok(())
    }

    fn try_on(&mut self, takeover: &Takeover, logic: Logic) -> Result<()> {
        let Logic::Process(logic) = logic else { return Err(takeover.misfit()) };
        let mut worn = Worn::new(&self.plan.nodes[self.index], takeover.version.clone(), |guard| {
            IsolatedProcess::new(logic, guard)
        })?;
        self.backlog.has(&worn.lens.needs)?;
        let states = &self.states;
        let mut migrate = |from: u32, old: &Binary| worn.logic.migrate(from, old);
        let migrated = rewritten(takeover, || states.states(), &mut migrate, |rewrite| states.migrated(rewrite))?;
        self.tried = Some((worn, migrated));
        Ok(())
    }

    fn decide(&mut self, taken: bool) {
        let Some((worn, migrated)) = self.tried.take().filter(|_| taken) else { return };
        self.states.serve(&worn.lens.needs);
        self.worn = worn;
        let Worn { lens, discards, .. } = &mut self.worn;
        self.backlog.admit(|batch| admit(batch, &lens.needs.fields, lens.own(), discards));
        if let Some(migrated) = migrated {
            self.states.adopt(migrated);
            self.backlog.note_again();
        }
    }
}

fn migrated(states: &States, rewrite: Rewrite, logic: &mut dyn Process) -> Result<Migrated> {
    let mut migrate = |from: u32, old: &Binary| logic.migrate(from, old);
    states.migrated(&mut |old| rewrite.apply(old, &mut migrate))
}

/// What rows that wait in a node carry.
fn wanted(node: &PlanNode) -> Wanted {
    Wanted { fields: node.wanted.clone(), values: node.wants_values() }
}

/// The rows of an output that came from rows, and those that came from the timers of a key, with the key's number as origin.
fn split(rows: Output, count: usize) -> (Option<Output>, Option<Output>) {
    let Some(origins) = &rows.origins else { return (Some(rows), None) };
    let of_row = |at: &u32| (origins[*at as usize] as usize) < count;
    let (from_rows, from_timers): (Vec<u32>, Vec<u32>) = (0..origins.len() as u32).partition(of_row);
    if from_timers.is_empty() {
        return (Some(rows), None);
    }
    let part = |picked: &[u32], first: u32| Output {
        origins: Some(picked.iter().map(|&at| origins[at as usize] - first).collect()),
        times: rows.times.as_ref().map(|times| picked.iter().map(|&at| times[at as usize]).collect()),
        keys: rows.keys.as_ref().map(|keys| keys.select(picked)),
        values: rows.values.as_ref().map(|values| values.select(picked)),
    };
    ((!from_rows.is_empty()).then(|| part(&from_rows, 0)), Some(part(&from_timers, count as u32)))
}

/// What tells rows of timers apart, given with the numbers of their keys as origins.
fn timer_origins(rows: &Output, keys: &Binary) -> Vec<u128> {
    let fired = rows.origins.iter().flatten().zip(rows.times.iter().flatten());
    fired.map(|(&key, &time)| Batch::timer_origin(keys.get(key as usize), time)).collect()
}

/// Builds the operator.
pub fn build<'s>(
    rows: Rows<'s>,
    announcements: Stream<'s, Epoch, Vec<Announcement>>,
    shared: &Shared,
    index: usize,
) -> Result<Streams<'s>> {
    let follower = Follower::new(&shared.revisions, index);
    let step = ProcessStep::new(shared, follower.plan(), index, (rows.scope().index(), rows.scope().peers()))?;
    Ok(epochs::build(step, follower, rows, announcements, shared))
}
