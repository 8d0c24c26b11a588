//! What a sink promises.

use std::fmt;

/// What becomes of a row that is delivered again, after a job has started anew or by a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// It is written again.
    AtLeastOnce,
    /// It is written again, but replaces what it wrote before: rows have ids.
    EffectivelyOnce,
    /// It becomes visible once, with the checkpoint that it belongs to. Without checkpoints it is written again.
    ExactlyOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "at-least-once",
            Self::EffectivelyOnce => "effectively-once",
            Self::ExactlyOnce => "exactly-once with checkpoints",
        })
    }
}
