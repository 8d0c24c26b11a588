//! The order of files: that in which they became complete, which is that of the records of each split.

use serde::{Deserialize, Serialize};

/// Where a file stands among those of its source. Files of a later run come later: a run goes on behind the checkpoint that
/// the one before has left, and what that checkpoint does not hold never becomes visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// The run of the job, whose number is greater than those of all before.
    pub run: u64,
    /// Which file of the run it is.
    pub number: u64,
}
