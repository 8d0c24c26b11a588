//! Holds a worker to its share of CPU time and output. Between two steps of the dataflow it waits until what it has spent is
//! paid for, so no batch is cut, and whoever does not share the quota is not delayed by it.

use cpu_time::ThreadTime;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use wasmill_stream::quota::Quota;

/// How long a worker waits before it looks again whether it still has to.
const SLICE: Duration = Duration::from_millis(20);

/// The share of one worker.
pub struct Throttle {
    quota: Arc<Quota>,
    /// The CPU time of this thread that has been spent.
    spent: Option<ThreadTime>,
}

impl Throttle {
    /// Of a worker on this thread that begins now.
    pub fn new(quota: Arc<Quota>) -> Self {
        Self { quota, spent: ThreadTime::try_now().ok() }
    }

    /// Spends what the worker has used since the last time, and waits until it may go on; not once the job is to end: its last
    /// checkpoint must not take as long as a tenant is poor.
    pub fn wait(&mut self, is_ending: impl Fn() -> bool) {
        let now = Instant::now();
        let time = ThreadTime::try_now().ok();
        let used = match (self.spent, time) {
            (Some(before), Some(now)) => now.duration_since(before),
            _ => Duration::ZERO,
        };
        self.spent = time;
        let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        let Quota { cpu, output, .. } = &*self.quota;
        let (for_cpu, for_output) = (cpu.spend(used, now), output.spend(0, now));
        let until = now + for_cpu.max(for_output);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || is_ending() {
                break;
            }
            sleep(left.min(SLICE));
        }
        if !for_cpu.is_zero() {
            cpu.has_waited(for_cpu.min(now.elapsed()));
        }
        if !for_output.is_zero() {
            output.has_waited(for_output.min(now.elapsed()));
        }
    }
}
