//! Every record is accounted for: per step, `read = emitted + filtered + late + rejected + control + in flight`.
//! Steps count into their [`StepLedger`] from any thread; the terminal, the final report and the tests read it.

use crate::Batch;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// How many rejected rows a step describes in full. The rest are counted by reason.
const EXAMPLES: usize = 5;
/// How many different reasons a step keeps apart; a hostile plugin may invent one per row.
const REASONS: usize = 64;

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
    /// Whether the step's watermark is known yet, see [`StepLedger::watermark`].
    watermark: AtomicI64,
    rejects: Mutex<Rejects>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// Counts one rejected row of a batch and says why. The reason is kept apart from where the row came from, so that
    /// equal reasons add up.
    pub fn reject(&self, batch: &Batch, row: usize, reason: &str) {
        self.reject_at(|| batch.describe_row(row), reason);
    }

    /// Like [`StepLedger::reject`], for rows that are no batch yet.
    pub fn reject_at(&self, origin: impl FnOnce() -> String, reason: &str) {
        self.rejected.fetch_add(1, Relaxed);
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
