//! Checkpoints of a running job. Now and then the open epoch becomes a **barrier**. When an operator has seen all of it, it
//! hands over its part: a source where its splits are, a step what has changed in its state, a sink what it has prepared.
//! The coordinator gathers the parts, stores the states, publishes the manifest that names everything, and only then tells
//! the sinks to commit. Nothing waits for it on the way: the epoch is the alignment.

mod coordinator;
mod journal;
mod part;
mod resume;
mod runs;
mod settled;
mod status;

pub use coordinator::{Commit, Connections, Coordinator, Standing};
pub use journal::{Fence, Journal, Pruned};
pub use part::{Content, FINAL, Origin, Reporter, State};
pub use resume::{Resumed, fits};
pub use status::{Known, Published, ResumedFrom, Status};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::checkpoint::Store;

/// How a job keeps checkpoints.
#[derive(Clone)]
pub struct Checkpoints {
    /// Where. The store is the job's alone.
    pub store: Arc<dyn Store>,
    /// How long from the end of one checkpoint to the begin of the next.
    pub interval: Duration,
    /// How many manifests are kept besides savepoints.
    pub retain: usize,
    /// The name of the job.
    pub job: String,
    /// The text of the job file, kept with each checkpoint.
    pub definition: String,
    /// Begin as if there were no checkpoint.
    pub fresh: bool,
    /// By node, the digests of the plugins that the job file names; what runs may be another version.
    pub declared: BTreeMap<String, String>,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("store", &self.store.place()).field("interval", &self.interval).finish()
    }
}
