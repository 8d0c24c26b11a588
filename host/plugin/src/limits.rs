//! How much a plugin may take: the limits of a step, and the meter that holds an instance to its memory.

use wasmill_stream::units::{ByteCount, Period};
use wasmtime::ResourceLimiter;

/// More than any toolchain needs; a component with more is refused when it is instantiated.
const MAX_CORE_INSTANCES: usize = 20;
const MAX_MEMORIES: usize = 4;
const MAX_TABLES: usize = 10;
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// What one instance of a plugin may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of the instance together.
    pub memory: ByteCount,
    /// Time for one call with rows.
    pub call: Period,
    /// Time for instantiating, and for each of `describe` and `configure`.
    pub init: Period,
    /// What one call may return.
    pub output: ByteCount,
    /// How many rows one call may return.
    pub rows: usize,
    /// What one call may write to the log; the rest is dropped and counted.
    pub log: ByteCount,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: ByteCount::new(64 << 20),
            call: Period::from_millis(1_000),
            init: Period::from_millis(5_000),
            output: ByteCount::new(64 << 20),
            rows: 1 << 20,
            log: ByteCount::new(64 << 10),
        }
    }
}

/// Counts the memory of one instance. wasmtime asks it before anything grows.
pub(crate) struct Meter {
    limit: u64,
    used: u64,
    refused: bool,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limit: limits.memory.bytes(), used: 0, refused: false }
    }

    /// Whether memory was refused since the last time this was asked.
    pub(crate) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.used + (desired - current) as u64;
        self.refused |= used > self.limit;
        // Refused, not trapped: guests with a garbage collector ask for more than they need and then make do.
        if used <= self.limit {
            self.used = used;
        }
        Ok(used <= self.limit)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
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

    /// Several memories share one limit, and a refusal is remembered once.
    #[test]
    fn memories_share_the_limit() {
        let limits = Limits { memory: ByteCount::new(300), ..Limits::default() };
        let mut meter = Meter::new(&limits);
        assert!(meter.memory_growing(0, 100, None).expect("an answer"));
        assert!(meter.memory_growing(0, 200, Some(200)).expect("an answer"));
        assert!(!meter.take_refused());
        assert!(!meter.memory_growing(100, 101, None).expect("an answer"));
        assert!(meter.take_refused());
        assert!(!meter.take_refused());
    }

    /// Growth beyond the memory's own maximum fails without being counted or blamed on the limit.
    #[test]
    fn the_guests_own_maximum_is_not_ours() {
        let mut meter = Meter::new(&Limits::default());
        assert!(!meter.memory_growing(0, 200, Some(100)).expect("an answer"));
        assert_eq!((meter.used, meter.take_refused()), (0, false));
    }
}
