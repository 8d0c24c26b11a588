//! The undo logs of sinks: `undo/SINK/RUN-NUMBER`, one object for each entry, where SINK is the digest of the sink's name.
//! Entries are kept while there is a checkpoint to which the job may be rewound, and removed when there is none that is older.

use super::coordinator::Standing;
use super::journal::patiently;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use wasmill_stream::checkpoint::{Digest, Manifest, Store};
use wasmill_stream::sink::Undo;
use wasmill_stream::{Error, ErrorKind, Result};

const LOGS: &str = "undo/";

/// The undo log of one sink, as one run continues it.
pub struct UndoLog {
    store: Arc<dyn Store>,
    folder: String,
    run: u64,
    /// The number of the next entry.
    next: AtomicU64,
    is_wanted: Arc<AtomicBool>,
    standing: Standing,
}

impl UndoLog {
    /// Of a sink. `is_wanted`: whether there is a checkpoint to which the job may be rewound, or will be one soon. `standing`: that
    /// of its run.
    pub fn new(store: Arc<dyn Store>, sink: &str, run: u64, is_wanted: Arc<AtomicBool>, standing: Standing) -> Self {
        Self { store, folder: folder(sink), run, next: AtomicU64::new(0), is_wanted, standing }
    }

    /// What belongs into the mark of the sink: entries from this one on come after it. `None`: it keeps none.
    pub fn mark(&self) -> Option<String> {
        self.is_wanted().then(|| entry(self.run, self.next.load(Relaxed)))
    }
}

#[async_trait]
impl Undo for UndoLog {
    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    async fn keep(&self, bytes: Bytes) -> Result<()> {
        let name = format!("{}{}", self.folder, entry(self.run, self.next.fetch_add(1, Relaxed)));
        patiently(self.store.place(), || self.store.put(&name, bytes.clone())).await
    }

    async fn read(&self, name: &str) -> Result<Bytes> {
        // Another run may have taken it back meanwhile, and written since what must stay.
        if let Some(error) = self.standing.lost().await {
            return Err(error);
        }
        let found = patiently(self.store.place(), || self.store.get(name)).await?;
        found.ok_or_else(|| {
            let message = format!("{name} in {} is missing: it says what a sink has to take back", self.store.place());
            Error::new(ErrorKind::Corrupt, message)
        })
    }
}

impl fmt::Debug for UndoLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndoLog").field("folder", &self.folder).field("next", &self.next).finish_non_exhaustive()
    }
}

/// The entries of a sink from a mark on, the oldest first; without a mark all.
pub async fn since(store: &dyn Store, sink: &str, mark: Option<&str>) -> Result<Vec<String>> {
    let folder = folder(sink);
    let mut entries = store.list(&folder).await?;
    entries.retain(|name| name.strip_prefix(&folder).is_some_and(|entry| mark.is_none_or(|mark| mark <= entry)));
    entries.sort_unstable();
    Ok(entries)
}

/// Removes entries from before a checkpoint; all, if there is none to go back to. Those of runs after this one are not its own to
/// remove.
pub async fn forget(store: &dyn Store, oldest: Option<&Manifest>, run: u64) -> Result<()> {
    let mark = |folder: &str| {
        let (_, mark) = oldest?.sinks.iter().find(|(sink, _)| self::folder(sink) == folder)?;
        mark.undo.clone()
    };
    for name in store.list(LOGS).await? {
        let Some((folder, entry)) = name.rfind('/').and_then(|at| name.split_at_checked(at + 1)) else { continue };
        let is_needed = oldest.is_some() && mark(folder).is_none_or(|mark| mark.as_str() <= entry);
        if !is_needed && *entry < *self::entry(run.saturating_add(1), 0) {
            store.delete(&name).await?;
        }
    }
    Ok(())
}

fn folder(sink: &str) -> String {
    // Names of sinks may have letters that names of objects have not.
    format!("{LOGS}{}/", Digest::of(sink.as_bytes()))
}

fn entry(run: u64, number: u64) -> String {
    format!("{run:010}-{number:010}")
}
