//! How much memory the states of a job take, of all steps and workers together, and its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::quota::Quota;
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, ErrorKind, Result};

/// The states of one job. Shared: clones count together.
#[derive(Debug, Clone)]
pub struct StateUsage {
    total: Arc<AtomicUsize>,
    limit: ByteCount,
    /// What the job shares with others.
    quota: Option<Arc<Quota>>,
}

/// What one step on one worker takes of it.
pub struct Share {
    usage: StateUsage,
    ledger: Arc<StepLedger>,
    held: Held,
}

/// What a step holds on one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// About how many bytes of memory its state takes.
    pub bytes: usize,
    /// How many windows, per key, hold state.
    pub windows: usize,
}

impl StateUsage {
    /// Nothing used yet.
    pub fn new(limit: ByteCount, quota: Option<Arc<Quota>>) -> Self {
        Self { total: Arc::default(), limit, quota }
    }

    /// The share of a step, whose counters these are. It is empty at first.
    pub fn share(&self, ledger: Arc<StepLedger>) -> Share {
        ledger.keeps_state.store(true, Relaxed);
        Share { usage: self.clone(), ledger, held: Held::default() }
    }
}

impl Share {
    /// Says how much the share is now. An error if it has grown and all together are above the limit.
    pub fn is(&mut self, held: Held) -> Result<()> {
        let Held { bytes: before, windows } = std::mem::replace(&mut self.held, held);
        if held.windows != windows {
            StepLedger::change(&self.ledger.open_windows, windows, held.windows);
        }
        let bytes = held.bytes;
        if let Some(quota) = &self.usage.quota {
            let less = (before.saturating_sub(bytes), windows.saturating_sub(held.windows));
            let more = (bytes.saturating_sub(before), held.windows.saturating_sub(windows));
            quota.shrink(less.0 as u64, less.1 as u64);
            quota.grow(more.0 as u64, more.1 as u64)?;
        }
        if bytes == before {
            return Ok(());
        }
        StepLedger::change(&self.ledger.state_bytes, before, bytes);
        if bytes < before {
            self.usage.total.fetch_sub(before - bytes, Relaxed);
            return Ok(());
        }
        let total = self.usage.total.fetch_add(bytes - before, Relaxed) + (bytes - before);
        if total as u64 <= self.usage.limit.bytes() {
            return Ok(());
        }
        let (own, all, limit) = (ByteCount::new(bytes as u64), ByteCount::new(total as u64), self.usage.limit);
        let message =
            format!("its state on this worker takes {own}, that of the whole job {all}: the limit is {limit}");
        Err(Error::new(ErrorKind::Denied, message)
            .hint("raise `state_limit` in [engine], use fewer keys, or let windows close earlier"))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Less is never refused.
        let _ = self.is(Held::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(bytes: usize) -> Held {
        Held { bytes, windows: bytes / 10 }
    }

    /// Two jobs that share a quota → what one has the other cannot have, until it has gone.
    #[test]
    fn jobs_share_a_quota() {
        let quota = Arc::new(Quota::unlimited("tenant a"));
        quota.state.set_limit(Some(100));
        quota.windows.set_limit(Some(5));
        let share = || {
            let usage = StateUsage::new(ByteCount::new(1_000), Some(quota.clone()));
            usage.share(Arc::new(StepLedger::new("count")))
        };
        let (mut one, mut other) = (share(), share());
        one.is(held(40)).expect("40 of 100, 4 of 5");
        other.is(Held { bytes: 60, windows: 1 }).expect("100 of 100, 5 of 5");
        let error = other.is(Held { bytes: 61, windows: 1 }).expect_err("101 of 100").to_string();
        assert!(error.contains("quota `state` of tenant a") && error.contains("101 B"), "{error}");
        let error = other.is(Held { bytes: 10, windows: 2 }).expect_err("6 of 5").to_string();
        assert!(error.contains("quota `windows` of tenant a: all its jobs have 6 open, the limit is 5"), "{error}");
        drop(one);
        other.is(Held { bytes: 100, windows: 5 }).expect("it is alone");
        drop(other);
        assert_eq!((quota.state.used(), quota.windows.used()), (0, 0));
    }

    /// Shares that shrink make room for others, and only the one that grows beyond the limit is told.
    #[test]
    fn the_limit_is_for_all_together() {
        let usage = StateUsage::new(ByteCount::new(100), None);
        let ledger = Arc::new(StepLedger::new("count"));
        let (mut a, mut b) = (usage.share(ledger.clone()), usage.share(ledger.clone()));
        a.is(held(60)).expect("60 of 100");
        b.is(held(40)).expect("100 of 100");
        let counted = || (ledger.state_bytes.load(Relaxed), ledger.open_windows.load(Relaxed));
        assert_eq!(counted(), (100, 10));
        let error = b.is(held(41)).expect_err("101 of 100");
        assert!(error.kind() == ErrorKind::Denied && error.to_string().contains("state_limit"), "{error}");
        a.is(held(10)).expect("less is always fine");
        b.is(held(90)).expect("100 of 100 again");
        drop(a);
        assert_eq!(counted(), (90, 9), "whoever has gone holds nothing");
    }
}
