//! What can be wrong with a row, or with the plugin that was given it: the words that ledgers, dead letters and retry code
//! have in common.

use std::fmt;

/// How a call into a plugin failed, as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestFault {
    /// It trapped: a panic, an index out of bounds, a stack overflow.
    Trap,
    /// It ran longer than it may.
    Deadline,
    /// It asked for more memory than it may have, and trapped.
    Memory,
    /// It returned more bytes or rows than it may.
    Output,
    /// What it returned breaks the contract: a row number that does not exist, a time beyond the calendar.
    Contract,
    /// It asked to be called again.
    Retry,
    /// It said that it cannot work, whatever the rows.
    Fatal,
}

impl GuestFault {
    /// Every fault.
    pub const ALL: [Self; 7] =
        [Self::Trap, Self::Deadline, Self::Memory, Self::Output, Self::Contract, Self::Retry, Self::Fatal];

    /// Its name in dead letters and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Contract => "contract",
            Self::Retry => "retry",
            Self::Fatal => "fatal",
        }
    }
}

impl fmt::Display for GuestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a row left the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It is not what the source or the step needs: not JSON, a field missing or of the wrong type, no event time.
    Undecodable,
    /// The plugin refused it.
    Rejected,
    /// The plugin fails on it.
    Guest(GuestFault),
    /// It came after its window had closed.
    Late,
    /// Its event time is further ahead of the clock than the source allows.
    Future,
    /// The sink's other side refused it for good.
    Refused,
    /// The sink's other side took nothing for longer than rows are to wait for it. It may have it all the same.
    Outage,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 6 + GuestFault::ALL.len()] = [
        Self::Undecodable,
        Self::Rejected,
        Self::Late,
        Self::Future,
        Self::Refused,
        Self::Outage,
        Self::Guest(GuestFault::Trap),
        Self::Guest(GuestFault::Deadline),
        Self::Guest(GuestFault::Memory),
        Self::Guest(GuestFault::Output),
        Self::Guest(GuestFault::Contract),
        Self::Guest(GuestFault::Retry),
        Self::Guest(GuestFault::Fatal),
    ];

    /// Its name in dead letters and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Rejected => "rejected",
            Self::Guest(fault) => fault.name(),
            Self::Late => "late",
            Self::Future => "future",
            Self::Refused => "refused",
            Self::Outage => "outage",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
