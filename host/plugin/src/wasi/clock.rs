//! The clocks of a guest under the grant. Both are made of what a call is given, so that nothing of the machine shows.

/// The last millisecond that is shown, in the year 2262: C, Go and others keep nanoseconds since 1970 in 64 bits.
const LAST: u64 = i64::MAX as u64 / NANOS_PER_MILLI;
/// Event times are in milliseconds.
pub(super) const NANOS_PER_MILLI: u64 = 1_000_000;
/// Nanoseconds by which the monotonic clock moves each time it is read.
pub(super) const TICK: u64 = 1_000;

/// The clocks of one instance.
#[derive(Default)]
pub(crate) struct Clock {
    /// The time of day of the call under way, in milliseconds since 1970.
    millis: u64,
    /// How often the monotonic clock was read. Calls do not reset it: a guest may keep what it has read.
    ticks: u64,
}

impl Clock {
    /// A call begins whose latest event time is this.
    pub(crate) fn set(&mut self, latest: Option<i64>) {
        self.millis = latest.map_or(0, |time| u64::try_from(time).unwrap_or(0).min(LAST));
    }

    /// Seconds and nanoseconds since 1970.
    pub(super) fn time_of_day(&self) -> (u64, u32) {
        // Below a thousand, so that it fits.
        let millis = (self.millis % 1_000) as u32;
        (self.millis / 1_000, millis * NANOS_PER_MILLI as u32)
    }

    /// Nanoseconds of the monotonic clock.
    pub(super) fn monotonic(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks * TICK
    }
}
