//! How much memory the states of a job take, of all steps and workers together, and its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_stream::units::ByteCount;
use wasmill_stream::{Error, ErrorKind, Result};

/// The states of one job. Shared: clones count together.
#[derive(Debug, Clone)]
pub struct StateUsage {
    total: Arc<AtomicUsize>,
    limit: ByteCount,
}

/// What one step on one worker takes of it.
pub struct Share {
    usage: StateUsage,
    held: usize,
}

impl StateUsage {
    /// Nothing used yet.
    pub fn new(limit: ByteCount) -> Self {
        Self { total: Arc::default(), limit }
    }

    /// A share, which is empty at first.
    pub fn share(&self) -> Share {
        Share { usage: self.clone(), held: 0 }
    }
}

impl Share {
    /// Says how much the share is now. An error if it has grown and all together are above the limit.
    pub fn is(&mut self, bytes: usize) -> Result<()> {
        let before = std::mem::replace(&mut self.held, bytes);
        if bytes <= before {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares that shrink make room for others, and only the one that grows beyond the limit is told.
    #[test]
    fn the_limit_is_for_all_together() {
        let usage = StateUsage::new(ByteCount::new(100));
        let (mut a, mut b) = (usage.share(), usage.share());
        a.is(60).expect("60 of 100");
        b.is(40).expect("100 of 100");
        let error = b.is(41).expect_err("101 of 100");
        assert!(error.kind() == ErrorKind::Denied && error.to_string().contains("state_limit"), "{error}");
        a.is(10).expect("less is always fine");
        b.is(90).expect("100 of 100 again");
    }
}
