//! The settings of requests as the job file has them.

use std::num::NonZeroUsize;
use std::time::Duration;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::units::{ByteCount, Period};

/// How large a request may be.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Most items.
    pub items: usize,
    /// Most bytes, by the estimate of whoever makes the items.
    pub bytes: usize,
}

/// How many requests may be on their way, and how long a row may wait for one.
#[derive(Debug, Clone)]
pub struct RequestSettings {
    /// Most requests at once.
    pub concurrency: usize,
    /// Most bytes of requests that are on their way.
    pub in_flight_bytes: usize,
    /// How long a row may wait.
    pub flush_interval: Duration,
}

impl RequestSettings {
    /// Reads `concurrency`, `in_flight_bytes` and `flush_interval`.
    pub fn check(concurrency: NonZeroUsize, section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let bytes = section.optional("in_flight_bytes", problems).unwrap_or(ByteCount::new(32 << 20));
        let interval = section.optional("flush_interval", problems).unwrap_or(Period::from_millis(1_000));
        Self {
            concurrency: section.optional("concurrency", problems).unwrap_or(concurrency).get(),
            in_flight_bytes: usize::try_from(bytes.bytes()).unwrap_or(usize::MAX),
            flush_interval: interval.duration(),
        }
    }
}
