//! Holds an instance to its memory, tables and modules. wasmtime asks it before anything grows.

use super::Limits;
use std::sync::Arc;
use wasmill_stream::quota::Quota;
use wasmtime::ResourceLimiter;

/// The most core modules that a component may consist of.
pub(super) const MAX_CORE_INSTANCES: usize = 64;
/// The most linear memories of an instance.
pub(super) const MAX_MEMORIES: usize = 4;
/// The most tables of an instance.
pub(super) const MAX_TABLES: usize = 10;
/// The most elements of a table: function pointers, of which an interpreter has some ten thousand.
pub(super) const MAX_TABLE_ELEMENTS: usize = 100_000;

/// What an instance asked for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Memory,
    /// Memory that the instance might have, if others had less.
    Quota,
    Table,
}

impl Refusal {
    /// To follow "after it was refused".
    pub(crate) fn words(self, limits: &Limits) -> String {
        match self {
            Self::Memory => format!("more memory than its limit of {}", limits.memory()),
            Self::Quota => "more memory than the quota `memory` of its tenant leaves".to_owned(),
            Self::Table => format!("a table of more than {MAX_TABLE_ELEMENTS} elements"),
        }
    }
}

/// Counts the memory of one instance.
pub(crate) struct Meter {
    limit: u64,
    used: u64,
    /// What of `used` has been told.
    told: u64,
    refused: Option<Refusal>,
    quota: Option<Arc<Quota>>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits, quota: Option<Arc<Quota>>) -> Self {
        Self { limit: limits.memory().bytes(), used: 0, told: 0, refused: None, quota }
    }

    /// Call this before each call: a guest that made do with less is not blamed for it later.
    pub(crate) fn forget(&mut self) {
        self.refused = None;
    }

    /// What was refused since the last time this was asked.
    pub(crate) fn take_refusal(&mut self) -> Option<Refusal> {
        self.refused.take()
    }

    /// The memory in use, bytes, if it has grown since the last time this was asked. It never shrinks.
    pub(crate) fn take_peak(&mut self) -> Option<u64> {
        let grown = self.used > self.told;
        self.told = self.used;
        grown.then_some(self.used)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(quota) = &self.quota {
            quota.memory.give_back(self.used);
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current) as u64;
        let used = self.used.saturating_add(more);
        // Refused, not trapped: guests with a garbage collector ask for more than they need and then make do.
        if used > self.limit {
            self.refused = Some(Refusal::Memory);
            return Ok(false);
        }
        if self.quota.as_ref().is_some_and(|quota| !quota.memory.take(more)) {
            self.refused = Some(Refusal::Quota);
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let fits = desired <= MAX_TABLE_ELEMENTS;
        if !fits {
            self.refused = Some(Refusal::Table);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_stream::units::ByteCount;

    fn meter(limit: u64) -> Meter {
        within(limit, None)
    }

    fn within(limit: u64, quota: Option<Arc<Quota>>) -> Meter {
        Meter::new(&Limits { memory: Some(ByteCount::new(limit)), ..Limits::default() }, quota)
    }

    /// Several memories share one limit, and a refusal is told once.
    #[test]
    fn memories_share_the_limit() {
        let mut meter = meter(300);
        assert!(meter.memory_growing(0, 100, None).expect("an answer"));
        assert!(meter.memory_growing(0, 200, Some(200)).expect("an answer"));
        assert_eq!((meter.take_peak(), meter.take_peak(), meter.take_refusal()), (Some(300), None, None));
        assert!(!meter.memory_growing(100, 101, None).expect("an answer"));
        assert_eq!((meter.take_refusal(), meter.take_refusal()), (Some(Refusal::Memory), None));
    }

    /// Instances share a quota: what one has the others cannot have until it is gone, and what was refused was not taken.
    #[test]
    fn instances_share_a_quota() {
        let quota = Arc::new(Quota::unlimited("tenant a"));
        quota.memory.set_limit(Some(300));
        let (mut one, mut other) = (within(250, Some(quota.clone())), within(250, Some(quota.clone())));
        assert!(one.memory_growing(0, 200, None).expect("an answer"));
        assert!(!other.memory_growing(0, 101, None).expect("an answer"));
        assert_eq!((other.take_refusal(), quota.memory.used()), (Some(Refusal::Quota), 200));
        drop(one);
        assert!(other.memory_growing(0, 101, None).expect("an answer"));
        drop(other);
        assert_eq!(quota.memory.used(), 0);
    }

    /// Growth beyond the memory's own maximum fails without being counted or blamed on the limit.
    #[test]
    fn the_guests_own_maximum_is_not_ours() {
        let mut meter = meter(1 << 20);
        assert!(!meter.memory_growing(0, 200, Some(100)).expect("an answer"));
        assert!(!meter.table_growing(0, MAX_TABLE_ELEMENTS + 1, Some(10)).expect("an answer"));
        assert_eq!((meter.used, meter.take_refusal()), (0, None));
    }

    /// A table that is too large is refused, and a later call does not hear of it.
    #[test]
    fn tables() {
        let mut meter = meter(1);
        assert!(meter.table_growing(0, MAX_TABLE_ELEMENTS, None).expect("an answer"));
        assert!(!meter.table_growing(0, MAX_TABLE_ELEMENTS + 1, None).expect("an answer"));
        assert_eq!(meter.refused, Some(Refusal::Table));
        meter.forget();
        assert_eq!(meter.take_refusal(), None);
    }
}
