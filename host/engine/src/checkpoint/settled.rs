//! Which sinks have made visible what the newest manifest names. From then on it belongs to its readers, who may take it away:
//! a run that goes on from that manifest must not look for it. The record comes after the commit, so a crash may come
//! between the two; without a record the next run looks whether everything is there, and says what is not.

use super::journal::Fence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use wasmill_stream::Result;
use wasmill_stream::checkpoint::{Manifest, Store};

/// The name of the record. There is one: it is about the newest manifest only, as what an older one names may have been thrown
/// away uncommitted by a run that did not go on from it.
const NAME: &str = "settled";

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The number of the manifest.
    number: u64,
    /// Its writer: a number is given again after people have removed manifests.
    writer: String,
    /// The sinks.
    sinks: BTreeSet<String>,
}

impl Settled {
    /// No sink, of the newest manifest of a run.
    pub fn new(fence: &Fence) -> Self {
        Self { number: fence.number, writer: fence.writer.clone(), sinks: BTreeSet::new() }
    }

    /// Adds sinks and stores the record. A failure is only told: nothing depends on it while the job runs.
    pub async fn add(&mut self, sinks: impl IntoIterator<Item = String>, store: &dyn Store) {
        let before = self.sinks.len();
        self.sinks.extend(sinks);
        if self.sinks.len() == before {
            return;
        }
        // Text and numbers always become JSON.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        if let Err(error) = store.put(NAME, bytes.into()).await {
            tracing::warn!("note what is committed: {}", error.report());
        }
    }

    /// Marks the sinks of the newest manifest that have made visible what it names.
    pub async fn mark(store: &dyn Store, newest: &mut Manifest) -> Result<()> {
        let Some(bytes) = store.get(NAME).await? else { return Ok(()) };
        // One that cannot be read is as good as none.
        let Ok(settled) = serde_json::from_slice::<Self>(&bytes) else { return Ok(()) };
        if settled.number == newest.number && settled.writer == newest.writer {
            let marks = newest.sinks.iter_mut().filter(|(name, _)| settled.sinks.contains(*name));
            marks.for_each(|(_, mark)| mark.committed = true);
        }
        Ok(())
    }
}
