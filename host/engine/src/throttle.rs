//! Holds a worker to its share of CPU time and output. Between two steps of the dataflow, and between the calls that look for rows
//! at fault, it waits until what it has spent is paid for: no batch is cut, and whoever does not share the quota is not delayed by
//! it.

use crate::verdict::Verdict;
use cpu_time::ThreadTime;
use std::cell::RefCell;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use wasmill_stream::quota::Quota;
use wasmill_stream::{Error, Result};

/// How long a worker waits before it looks again whether it still has to.
const SLICE: Duration = Duration::from_millis(20);

thread_local! {
    /// That of the worker on this thread.
    static OWN: RefCell<Option<Throttle>> = const { RefCell::new(None) };
}

/// Of a worker on this thread that begins now.
pub fn begin(quota: Option<Arc<Quota>>, verdict: Arc<Verdict>) {
    OWN.set(Some(Throttle { quota, verdict, spent: ThreadTime::try_now().ok() }));
}

/// Spends what the worker on this thread has used since the last time, and waits until it may go on; not once the job is to end:
/// its last checkpoint must not take as long as a tenant is poor. An error if the job is not to go on at all. Elsewhere nobody
/// waits.
pub fn wait() -> Result<()> {
    OWN.with_borrow_mut(|own| match own {
        Some(throttle) => throttle.wait(),
        None => Ok(()),
    })
}

/// The share of one worker.
struct Throttle {
    /// Together with whom; `None`: it takes what there is.
    quota: Option<Arc<Quota>>,
    verdict: Arc<Verdict>,
    /// The CPU time of this thread that has been spent.
    spent: Option<ThreadTime>,
}

impl Throttle {
    fn wait(&mut self) -> Result<()> {
        if let Some(quota) = self.quota.clone() {
            self.pay(&quota);
        }
        match self.verdict.is_aborted() {
            true => Err(Error::unavailable("the job has ended")),
            false => Ok(()),
        }
    }

    fn pay(&mut self, quota: &Quota) {
        let now = Instant::now();
        let time = ThreadTime::try_now().ok();
        let used = match (self.spent, time) {
            (Some(before), Some(now)) => now.duration_since(before),
            _ => Duration::ZERO,
        };
        self.spent = time;
        let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        let Quota { cpu, output, .. } = quota;
        let (for_cpu, for_output) = (cpu.spend(used, now), output.spend(0, now));
        let until = now + for_cpu.max(for_output);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.verdict.is_stopping() {
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
