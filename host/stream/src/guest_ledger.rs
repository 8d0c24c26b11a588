//! What the plugin of a step costs and does: counted by whoever runs it, read by the terminal, the final report and tests.

use crate::fault::GuestFault;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many different metrics a plugin may have; a hostile one may invent one per row.
pub const MAX_METRICS: usize = 64;

/// The counters of one plugin in one step, of all workers together.
#[derive(Debug, Default)]
pub struct GuestLedger {
    calls: AtomicU64,
    slow_calls: AtomicU64,
    rows: AtomicU64,
    cpu_nanos: AtomicU64,
    wall_nanos: AtomicU64,
    longest_nanos: AtomicU64,
    memory: AtomicU64,
    instances: AtomicU64,
    start_nanos: AtomicU64,
    faults: [AtomicU64; GuestFault::ALL.len()],
    metrics: Mutex<BTreeMap<String, Metric>>,
}

/// A number that the plugin itself keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// A sum that only grows.
    Counter(u64),
    /// The last value set.
    Gauge(f64),
    /// Observations: their number, sum, least and greatest.
    #[allow(missing_docs)]
    Histogram { count: u64, sum: f64, min: f64, max: f64 },
}

/// How long a call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// CPU time.
    pub cpu: Duration,
    /// By the clock on the wall.
    pub wall: Duration,
}

/// A copy of the counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GuestCounts {
    /// Calls with rows, accumulators or timers.
    pub calls: u64,
    /// Calls that took longer than the soft limit.
    pub slow_calls: u64,
    /// Rows or accumulators that were handed over.
    pub rows: u64,
    /// CPU time within calls.
    pub cpu: Duration,
    /// Time within calls by the clock on the wall: with what they had to wait for.
    pub wall: Duration,
    /// The longest call, in CPU time.
    pub longest: Duration,
    /// The most linear memory that one instance had, bytes.
    pub memory: u64,
    /// Instances that were started.
    pub instances: u64,
    /// Time that starting them took, together.
    pub starting: Duration,
    /// Failed calls by fault.
    pub faults: BTreeMap<GuestFault, u64>,
    /// The plugin's own metrics.
    pub metrics: BTreeMap<String, Metric>,
}

impl GuestLedger {
    /// Counts a call of `rows` rows.
    pub fn call(&self, rows: usize, Took { cpu, wall }: Took, slow: bool) {
        self.calls.fetch_add(1, Relaxed);
        self.slow_calls.fetch_add(u64::from(slow), Relaxed);
        self.rows.fetch_add(rows as u64, Relaxed);
        self.cpu_nanos.fetch_add(cpu.as_nanos() as u64, Relaxed);
        self.wall_nanos.fetch_add(wall.as_nanos() as u64, Relaxed);
        self.longest_nanos.fetch_max(cpu.as_nanos() as u64, Relaxed);
    }

    /// Counts a failed call.
    pub fn fault(&self, fault: GuestFault) {
        self.faults[fault as usize].fetch_add(1, Relaxed);
    }

    /// Counts a started instance.
    pub fn started(&self, took: Duration) {
        self.instances.fetch_add(1, Relaxed);
        self.start_nanos.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    /// Takes note of the memory of an instance, bytes.
    pub fn memory(&self, bytes: u64) {
        self.memory.fetch_max(bytes, Relaxed);
    }

    /// Changes a metric with `change`, which is given the value before. Tells whether there was room for it; for a new one
    /// `has_room` is asked as well.
    pub fn metric(
        &self,
        name: &str,
        has_room: impl FnOnce() -> bool,
        change: impl FnOnce(Option<Metric>) -> Metric,
    ) -> bool {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metric) = metrics.get_mut(name) {
            *metric = change(Some(*metric));
            return true;
        }
        let room = metrics.len() < MAX_METRICS && has_room();
        if room {
            metrics.insert(name.to_owned(), change(None));
        }
        room
    }

    /// A copy of everything.
    pub fn counts(&self) -> GuestCounts {
        let faults = GuestFault::ALL.into_iter().map(|fault| (fault, self.faults[fault as usize].load(Relaxed)));
        GuestCounts {
            calls: self.calls.load(Relaxed),
            slow_calls: self.slow_calls.load(Relaxed),
            rows: self.rows.load(Relaxed),
            cpu: Duration::from_nanos(self.cpu_nanos.load(Relaxed)),
            wall: Duration::from_nanos(self.wall_nanos.load(Relaxed)),
            longest: Duration::from_nanos(self.longest_nanos.load(Relaxed)),
            memory: self.memory.load(Relaxed),
            instances: self.instances.load(Relaxed),
            starting: Duration::from_nanos(self.start_nanos.load(Relaxed)),
            faults: faults.filter(|(_, count)| *count > 0).collect(),
            metrics: self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
