//! Checkpoints of a running job. Now and then the open epoch becomes a **barrier**. When an operator has seen all of it, it
//! hands over its part: a source where its splits are, a step what has changed in its state, a sink what it has prepared.
//! The coordinator gathers the parts, stores the states, publishes the manifest that names everything, and only then tells
//! the sinks to commit. Nothing waits for it on the way: the epoch is the alignment.

mod coordinator;
mod counted;
mod journal;
mod part;
mod points;
mod resume;
mod runs;
mod settled;
mod status;
mod undo;

pub use coordinator::{Commit, Connections, Coordinator, Standing};
pub use journal::{COMPONENTS, Fence, Journal, Pruned};
pub use part::{Content, FINAL, Origin, Reporter, State};
pub use points::RewindPoints;
pub use resume::{Resumed, fits};
pub use status::{Known, Published, ResumedFrom, Status};
pub use undo::UndoLog;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
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
    /// How long the job can be rewound to a checkpoint that somebody has asked for with [`RewindPoints`].
    pub rewind: Duration,
    /// The name of the job.
    pub job: String,
    /// The text of the job file, kept with each checkpoint.
    pub definition: String,
    /// Begin as if there were no checkpoint.
    pub fresh: bool,
    /// What the job file names; what runs may be another version.
    pub declared: Declared,
}

/// By node, the digest of the plugin that the job file names, as far as the job knows. Clones are the same: whoever sees that
/// another one is there says so.
#[derive(Debug, Clone, Default)]
pub struct Declared(Arc<Mutex<BTreeMap<String, String>>>);

impl Declared {
    /// Of a node.
    pub fn get(&self, node: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }

    /// Another plugin is there for a node.
    pub fn set(&self, node: &str, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned(), digest.to_owned());
    }

    /// Of all nodes.
    fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FromIterator<(String, String)> for Declared {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(nodes: I) -> Self {
        Self(Arc::new(Mutex::new(nodes.into_iter().collect())))
    }
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoints").field("store", &self.store.place()).field("interval", &self.interval).finish()
    }
}
