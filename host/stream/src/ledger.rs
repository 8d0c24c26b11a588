//! Every record is accounted for: per step, `read = emitted + filtered + late + rejected + control + in flight`.
//! Steps count into their [`StepLedger`] from any thread; the terminal, the final report and the tests read it.

mod activity;
mod causes;
mod latency;
mod splits;

pub use activity::{Activities, Activity, Meter, Times};
pub use causes::Causes;
pub use latency::{BOUNDS, Latencies, Latency};
pub use splits::{SplitGauge, SplitState, Splits};

use crate::dead_letter::Letters;
use crate::plugin::Identity;
use crate::time::iso8601;
use crate::window::RefusedWindow;
use crate::{Batch, Cause, Firing, GuestLedger};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// How many rejected rows, and how many gaps, a step describes in full. The rest are counted.
const EXAMPLES: usize = 5;
/// How many different reasons a step keeps apart; a hostile plugin may invent one per row.
const REASONS: usize = 64;
/// How many versions of its plugin a step lists.
const GUESTS: usize = 10;

/// What happened to the rows that a step read. Each row ends in exactly one of the first five.
#[derive(Debug, Default)]
pub struct StepLedger {
    /// The step's name in the job file.
    pub name: String,
    /// Rows that came in.
    pub read: AtomicU64,
    /// Rows that led to something: an output row, a place in a window, a write.
    pub emitted: AtomicU64,
    /// Rows that the step's logic dropped on purpose.
    pub filtered: AtomicU64,
    /// Rows that came after their window had closed; they leave by the `late` output.
    pub late: AtomicU64,
    /// Rows refused with a reason: undecodable, without an event time, rejected by the plugin or by the sink.
    pub rejected: AtomicU64,
    /// In-stream watermark markers: read, obeyed, not handed on.
    pub control: AtomicU64,
    /// Rows that went out. A transform may emit several per row, an aggregation one per window and key.
    pub written: AtomicU64,
    /// Bytes of the values that came in.
    pub bytes: AtomicU64,
    /// Windows (per key) that fired.
    pub fired: AtomicU64,
    /// Timers that fired.
    pub timers: AtomicU64,
    /// Windows or timers (per key) that led to nothing because the plugin refuses them or fails on them. The rows of such
    /// windows are `emitted`.
    pub refused_firings: AtomicU64,
    /// Stretches of its input that a source has found to be lost, see [`StepLedger::note_gap`].
    pub gaps: AtomicU64,
    /// Whether it is a sink.
    pub is_sink: AtomicBool,
    /// Whether it keeps state at all.
    pub keeps_state: AtomicBool,
    /// About how many bytes of memory the step's state takes, of all workers together.
    pub state_bytes: AtomicU64,
    /// How many windows, per key, hold state.
    pub open_windows: AtomicU64,
    /// How often a source or sink has failed and tried again.
    pub retries: AtomicU64,
    /// How many splits of a source have records for which the job has no room.
    pub held_back: AtomicU64,
    /// What its workers do with their time.
    pub activities: Activities,
    /// How long a sink took to write what it was given.
    pub write_latency: Latency,
    /// How long a sink took to prepare and to commit checkpoints.
    pub commit_latency: Latency,
    /// Rows, windows and timers that left the pipeline here, by cause: one dead letter each, if the job keeps them.
    pub causes: Causes,
    /// The open splits of a source.
    pub splits: Splits,
    /// Calls of a sink's writer, see [`StepLedger::calls`].
    calls: AtomicU64,
    /// Whether the step's watermark is known yet, see [`StepLedger::watermark`].
    watermark: AtomicI64,
    rejects: Mutex<Rejects>,
    /// The last gaps.
    lost: Mutex<VecDeque<String>>,
    /// In what way its parts work otherwise than they were asked to, by part.
    remarks: Mutex<BTreeMap<String, String>>,
    /// Why the step stands still, if it does.
    paused: Mutex<Option<String>>,
    /// What its plugins cost and count, one version after the other.
    guests: Mutex<Guests>,
    /// Rows that went out by side outputs, by number.
    sides: Vec<AtomicU64>,
    /// Keeps what a sink's other side refuses, if the job keeps dead letters.
    refusals: Option<Mutex<Letters>>,
}

/// A version of a step's plugin.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Which.
    pub identity: Identity,
    /// What it costs and counts.
    pub ledger: Arc<GuestLedger>,
}

/// The versions of a step's plugin.
#[derive(Debug, Default, Clone)]
pub struct Guests {
    /// The last of them.
    pub listed: Vec<Guest>,
    /// How many were there before these.
    pub forgotten: usize,
}

/// Rejected rows of one step.
#[derive(Debug, Default, Clone)]
pub struct Rejects {
    /// How many rows per reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first few rows, each with where it came from and the reason.
    pub examples: Vec<String>,
}

/// A copy of a step's counters at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// See [`StepLedger::read`], and so on.
    pub read: u64,
    #[allow(missing_docs)]
    pub emitted: u64,
    #[allow(missing_docs)]
    pub filtered: u64,
    #[allow(missing_docs)]
    pub late: u64,
    #[allow(missing_docs)]
    pub rejected: u64,
    #[allow(missing_docs)]
    pub control: u64,
    #[allow(missing_docs)]
    pub written: u64,
    #[allow(missing_docs)]
    pub fired: u64,
    #[allow(missing_docs)]
    pub timers: u64,
}

impl Counts {
    /// Rows that came in and have not met their fate yet. Zero once a job has ended cleanly.
    pub fn in_flight(&self) -> i64 {
        let settled = self.emitted + self.filtered + self.late + self.rejected + self.control;
        self.read as i64 - settled as i64
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {} = emitted {} + filtered {}", self.read, self.emitted, self.filtered)?;
        write!(f, " + late {} + rejected {}", self.late, self.rejected)?;
        write!(f, " + control {} + in flight {}", self.control, self.in_flight())
    }
}

impl StepLedger {
    /// An empty ledger for the step `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), watermark: AtomicI64::new(i64::MIN), ..Self::default() }
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, rows: usize) {
        counter.fetch_add(rows as u64, Relaxed);
    }

    /// The same for a step whose plugin has so many side outputs.
    pub fn with_sides(mut self, sides: usize) -> Self {
        self.sides.resize_with(sides, AtomicU64::default);
        self
    }

    /// Another version of its plugin runs, or is tried. One that was there before is not listed twice.
    pub fn add_guest(&self, identity: &Identity, ledger: &Arc<GuestLedger>) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.listed.iter().any(|guest| Arc::ptr_eq(&guest.ledger, ledger)) {
            return;
        }
        if guests.listed.len() == GUESTS {
            guests.listed.remove(0);
            guests.forgotten += 1;
        }
        guests.listed.push(Guest { identity: identity.clone(), ledger: ledger.clone() });
    }

    /// The versions of its plugin, in the order in which they came.
    pub fn guests(&self) -> Guests {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts rows that go out by a side output.
    pub fn add_to_side(&self, side: u32, rows: usize) {
        if let Some(counter) = self.sides.get(side as usize) {
            Self::add(counter, rows);
        }
    }

    /// How many rows went out by a side output.
    pub fn side(&self, side: u32) -> u64 {
        self.sides.get(side as usize).map_or(0, |counter| counter.load(Relaxed))
    }

    /// The ledger of a sink in a job that keeps dead letters.
    pub fn keeping_refusals(mut self) -> Self {
        let letters = Letters::new(self.name.as_str().into(), None);
        self.refusals = Some(Mutex::new(letters));
        self
    }

    /// A worker's part of a number that all of them make up has changed.
    pub fn change(sum: &AtomicU64, before: usize, now: usize) {
        match now.checked_sub(before) {
            Some(more) => sum.fetch_add(more as u64, Relaxed),
            None => sum.fetch_sub((before - now) as u64, Relaxed),
        };
    }

    /// Counts one rejected row of a batch and says why. The reason is kept apart from where the row came from, so that
    /// equal reasons add up.
    pub fn reject(&self, batch: &Batch, row: usize, cause: Cause, reason: &str) {
        self.rejected.fetch_add(1, Relaxed);
        self.causes.add(cause);
        self.note(|| batch.describe_row(row), reason);
    }

    /// Counts a row that a sink's other side refuses for good, and keeps it as a dead letter if the job does so.
    pub fn refuse(&self, batch: &Batch, row: usize, reason: &str) {
        self.leave(batch, row, Cause::Refused, reason);
    }

    /// Counts a row that a sink gives up because of an outage, and keeps it as a dead letter.
    pub fn give_up(&self, batch: &Batch, row: usize, reason: &str) {
        self.leave(batch, row, Cause::Outage, reason);
    }

    fn leave(&self, batch: &Batch, row: usize, cause: Cause, reason: &str) {
        self.reject(batch, row, cause, reason);
        if let Some(letters) = &self.refusals {
            letters.lock().unwrap_or_else(PoisonError::into_inner).row(batch, row, cause, reason);
        }
    }

    /// The dead letters of [`StepLedger::refuse`] and [`StepLedger::give_up`] since the last call. `now`: wall clock, ms.
    pub fn take_refusals(&self, now: i64) -> Vec<Batch> {
        let take = |letters: &Mutex<Letters>| letters.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        self.refusals.as_ref().map(take).unwrap_or_default()
    }

    /// Counts a window without results.
    pub fn refuse_window(&self, refused: &RefusedWindow) {
        self.refused_firings.fetch_add(1, Relaxed);
        self.causes.add(refused.cause);
        let Firing { start, end, .. } = refused.window;
        let key = String::from_utf8_lossy(&refused.key);
        self.note(|| format!("window {} .. {} of {key}", iso8601(start), iso8601(end)), &refused.reason);
    }

    /// Counts a timer that was dropped. `time`: when it was due, ms.
    pub fn refuse_timer(&self, key: &[u8], time: i64, cause: Cause, reason: &str) {
        self.refused_firings.fetch_add(1, Relaxed);
        self.causes.add(cause);
        self.note(|| format!("timer {} of {}", iso8601(time), String::from_utf8_lossy(key)), reason);
    }

    /// Counts a stretch of the input that is lost: which records, and of which time.
    pub fn note_gap(&self, gap: String) {
        self.gaps.fetch_add(1, Relaxed);
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.len() == EXAMPLES {
            lost.pop_front();
        }
        lost.push_back(gap);
    }

    /// The last gaps, the oldest first.
    pub fn last_gaps(&self) -> Vec<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Says in what way a part of the step works otherwise than it was asked to, or that it does not any more.
    pub fn remark(&self, part: &str, remark: Option<String>) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        match remark {
            Some(remark) => remarks.insert(part.to_owned(), remark),
            None => remarks.remove(part),
        };
    }

    /// The remarks of [`StepLedger::remark`] that hold, by part.
    pub fn remarks(&self) -> BTreeMap<String, String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says why the step stands still, or that it goes on.
    pub fn pause(&self, reason: Option<String>) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why the step stands still, if it does.
    pub fn paused(&self) -> Option<String> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A call of the sink's writer has begun or ended.
    pub fn count_call(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// How many calls of the sink's writer have begun and ended, together: odd while one is under way.
    pub fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    fn note(&self, origin: impl FnOnce() -> String, reason: &str) {
        let mut rejects = self.rejects.lock().unwrap_or_else(PoisonError::into_inner);
        if rejects.examples.len() < EXAMPLES {
            let example = format!("{}: {reason}", origin());
            rejects.examples.push(example);
        }
        if let Some(count) = rejects.reasons.get_mut(reason) {
            *count += 1;
        } else {
            let known = rejects.reasons.len() < REASONS;
            let reason = if known { reason } else { "(other reasons)" };
            *rejects.reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }

    /// The rejected rows so far.
    pub fn rejects(&self) -> Rejects {
        self.rejects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes the step's watermark (milliseconds). It never goes back.
    pub fn advance_watermark(&self, watermark: i64) {
        self.watermark.fetch_max(watermark, Relaxed);
    }

    /// The step's watermark in milliseconds; `None` before the first.
    pub fn watermark(&self) -> Option<i64> {
        Some(self.watermark.load(Relaxed)).filter(|watermark| *watermark != i64::MIN)
    }

    /// A copy of the counters.
    pub fn counts(&self) -> Counts {
        Counts {
            read: self.read.load(Relaxed),
            emitted: self.emitted.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            late: self.late.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            control: self.control.load(Relaxed),
            written: self.written.load(Relaxed),
            fired: self.fired.load(Relaxed),
            timers: self.timers.load(Relaxed),
        }
    }
}

/// The ledgers of all steps of a job, sources and sinks included, in the order of the dataflow.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// One per source, step and sink.
    pub steps: Vec<Arc<StepLedger>>,
}

impl Ledger {
    /// The ledger of a step.
    pub fn step(&self, name: &str) -> Option<&Arc<StepLedger>> {
        self.steps.iter().find(|step| step.name == name)
    }
}
