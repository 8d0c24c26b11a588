//! The kinds of plugin: one world of the contract, one adapter to a trait of `wasmill_stream::plugin`, one line in
//! `Kind::ALL`. A component's kind is read off its exports when it is loaded, never guessed.

pub(crate) mod aggregator;
pub(crate) mod process;
pub(crate) mod transform;

use std::fmt;

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows in, rows out.
    Transform,
    /// Windowed logic over accumulators.
    Aggregator,
    /// Keyed logic with state and timers.
    Process,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Transform, Self::Aggregator, Self::Process];

    /// Its world in the contract.
    pub const fn world(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Aggregator => "aggregator",
            Self::Process => "process",
        }
    }

    /// The interface that only components of this world export.
    pub(crate) const fn interface(self) -> &'static str {
        match self {
            Self::Transform => "wasmill:plugin/transformer@0.1.0",
            Self::Aggregator => "wasmill:plugin/aggregation@0.1.0",
            Self::Process => "wasmill:plugin/processing@0.1.0",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.world())
    }
}
