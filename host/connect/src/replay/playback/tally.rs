//! What a playback has done so far.

use crate::producer;
use std::time::Duration;

/// How many bad lines are described.
pub const EXAMPLES: usize = 5;

/// Counts.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Events that were read.
    pub read: u64,
    /// Events that were handed to the producer.
    pub sent: u64,
    /// Events that are in the stream.
    pub confirmed: u64,
    /// Lines that are no events, or without the time or the key that is needed.
    pub bad: u64,
    /// The first of them, each with its place and the reason.
    pub examples: Vec<String>,
    /// Markers that were sent, one to a shard.
    pub markers: u64,
    /// How often the input was begun.
    pub passes: u64,
    /// Bytes that were read, as they are stored.
    pub taken: u64,
    /// Bytes of the input, as they are stored, of all passes; 0: nobody knows.
    pub bytes: u64,
    /// Whether it was stopped before the end.
    pub was_stopped: bool,
    /// What the producer has done.
    pub producer: producer::Tally,
}

/// The state at one moment.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    /// The counts.
    pub tally: Tally,
    /// Since the start.
    pub elapsed: Duration,
    /// How far it is behind the time at which the next event was due.
    pub lag: Duration,
    /// Events that are not confirmed.
    pub buffered: usize,
}
