//! How a candidate does: what it costs and gives, and how far it may be from the incumbent.

use super::Difference;
use crate::plan::PlanNode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use wasmill_stream::GuestLedger;
use wasmill_stream::guest_ledger::GuestCounts;
use wasmill_stream::ledger::Counts;
use wasmill_stream::plugin::Version;

/// Before so many rows, or fired windows, shares say little.
const ENOUGH: u64 = 1_000;

/// How far a candidate may go. `None`: as far as it likes. Failing where the incumbent does not is always too far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// The share of rows that it may refuse.
    pub rejects: Option<f64>,
    /// CPU time per row, as a multiple of the incumbent's.
    pub cpu: Option<f64>,
    /// Time per row by the clock on the wall, as a multiple of the incumbent's. Not per call: how many rows a call has depends
    /// on the load.
    pub latency: Option<f64>,
    /// Results per row, or per fired window, as a multiple of the incumbent's: least and most.
    pub output: Option<(f64, f64)>,
}

/// One of the times that a version takes.
type TimeOf = fn(&GuestCounts) -> Duration;

/// What the incumbent had done before, and what it goes on doing.
pub struct Baseline {
    incumbent: Arc<GuestLedger>,
    candidate: Arc<GuestLedger>,
    before: GuestCounts,
    /// Results of the step, per row or per fired window.
    output: Option<f64>,
}

impl Baseline {
    /// At the beginning.
    pub fn new(node: &PlanNode, incumbent: &Version, candidate: &Version) -> Self {
        let (counts, incumbent) = (node.ledger.counts(), incumbent.plugin().ledger().clone());
        let Counts { read, written, fired, .. } = counts;
        let from = if matches!(candidate, Version::Aggregate(_)) { fired } else { read };
        Self {
            before: incumbent.counts(),
            candidate: candidate.plugin().ledger().clone(),
            output: (from >= ENOUGH).then(|| written as f64 / from as f64),
            incumbent,
        }
    }

    /// What takes a row `bound` times as long as in the incumbent, in nanoseconds: in the candidate and in the incumbent.
    fn broken(&self, bound: Option<f64>, time: TimeOf) -> Option<(f64, f64)> {
        let per_row =
            |counts: &GuestCounts| (counts.rows >= ENOUGH).then(|| time(counts).as_nanos() as f64 / counts.rows as f64);
        let (now, before) = (per_row(&self.candidate.counts())?, per_row(&self.incumbent.counts())?);
        (now > bound? * before).then_some((now, before))
    }
}

/// What a candidate has done, on all workers.
#[derive(Default)]
pub struct Tally {
    rows: AtomicU64,
    rejects: AtomicU64,
    /// What results come from: rows, or fired windows.
    sources: AtomicU64,
    results: AtomicU64,
    faults: AtomicU64,
    compared: AtomicU64,
    differing: AtomicU64,
}

impl Tally {
    /// It has answered a call with rows.
    pub fn rows(&self, rows: usize, rejects: usize) {
        self.rows.fetch_add(rows as u64, Relaxed);
        self.rejects.fetch_add(rejects as u64, Relaxed);
    }

    /// It has made results of rows or windows.
    pub fn results(&self, of: usize, results: usize) {
        self.sources.fetch_add(of as u64, Relaxed);
        self.results.fetch_add(results as u64, Relaxed);
    }

    /// It has failed.
    pub fn fault(&self) {
        self.faults.fetch_add(1, Relaxed);
    }

    /// So many rows or windows have been compared.
    pub fn compared(&self, count: usize) {
        self.compared.fetch_add(count as u64, Relaxed);
    }

    /// One of them differs.
    pub fn differing(&self) {
        self.differing.fetch_add(1, Relaxed);
    }

    /// What is known so far.
    pub fn report(&self, baseline: &Baseline, differences: Vec<Difference>, failure: Option<String>) -> Report {
        let (now, candidate) = (baseline.incumbent.counts(), baseline.candidate.counts());
        let rows = now.rows - baseline.before.rows;
        let cpu = now.cpu.saturating_sub(baseline.before.cpu);
        let wall = now.wall.saturating_sub(baseline.before.wall);
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        Report {
            rejects: load(&self.rejects),
            sources: load(&self.sources),
            results: load(&self.results),
            rows: self.rows.load(Relaxed),
            compared: self.compared.load(Relaxed),
            differing: self.differing.load(Relaxed),
            differences,
            incumbent: Cost { rows, cpu, wall, memory: now.memory },
            candidate: Cost {
                rows: candidate.rows,
                cpu: candidate.cpu,
                wall: candidate.wall,
                memory: candidate.memory,
            },
            failure,
        }
    }
}

impl Bounds {
    /// Which of them a candidate has broken, in words.
    pub fn broken(&self, baseline: &Baseline, tally: &Tally) -> Option<String> {
        let (rows, rejects) = (tally.rows.load(Relaxed), tally.rejects.load(Relaxed));
        if let Some(bound) = self.rejects
            && rows >= ENOUGH
            && rejects as f64 > bound * rows as f64
        {
            return Some(format!("it refuses {rejects} of {rows} rows, and {bound} of all is the bound"));
        }
        let times: [(_, _, TimeOf); 2] =
            [(self.cpu, "of CPU time", |counts| counts.cpu), (self.latency, "by the clock", |counts| counts.wall)];
        for (bound, of, time) in times {
            if let (Some((now, before)), Some(bound)) = (baseline.broken(bound, time), bound) {
                return Some(format!(
                    "it takes {now:.0} ns {of} a row, and {bound} times the {before:.0} ns of the version before is the bound"
                ));
            }
        }
        let (sources, results) = (tally.sources.load(Relaxed), tally.results.load(Relaxed));
        if let (Some((least, most)), Some(before)) = (self.output, baseline.output)
            && sources >= ENOUGH
        {
            let now = results as f64 / sources as f64;
            if now < least * before || now > most * before {
                return Some(format!(
                    "it gives {now:.3} results for each row or window, and {least} to {most} times the {before:.3} of the version before are the bounds"
                ));
            }
        }
        None
    }
}

/// How a candidate has done.
#[derive(Debug, Clone)]
pub struct Report {
    /// Rows that it was given.
    pub rows: u64,
    /// Rows that it refused.
    pub rejects: u64,
    /// Rows or windows that were to lead to results.
    pub sources: u64,
    /// Results that it gave for them.
    pub results: u64,
    /// Rows, timers and windows whose results were compared.
    pub compared: u64,
    /// How many of them differ.
    pub differing: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// What the incumbent has cost meanwhile.
    pub incumbent: Cost,
    /// What the candidate has cost.
    pub candidate: Cost,
    /// Why it is not called any more, if it has failed.
    pub failure: Option<String>,
}

/// What a version has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Rows and accumulators that it was given.
    pub rows: u64,
    /// CPU time within its calls.
    pub cpu: Duration,
    /// The same by the clock on the wall.
    pub wall: Duration,
    /// The most linear memory that one instance had, bytes.
    pub memory: u64,
}
