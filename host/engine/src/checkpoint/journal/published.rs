//! Marks of what was published: `published/NUMBER`, an empty object for each manifest, made before any sink commits. So a
//! manifest that vanishes later is missed, and nothing silently goes on from the one before. After a crash the newest mark may
//! be missing; there is never one without a manifest. Marks are added and never changed: a host that was fenced off cannot
//! move anything back. Only their names count.

use super::{Journal, manifest_name};
use bytes::Bytes;
use wasmill_stream::{Error, ErrorKind, Result};

/// What the names of marks begin with.
pub(super) const PUBLISHED: &str = "published/";

fn mark_name(number: u64) -> String {
    format!("{PUBLISHED}{number:010}")
}

impl Journal {
    /// Remembers that a manifest is published.
    pub(super) async fn mark(&self, number: u64) -> Result<()> {
        self.store.put(&mark_name(number), Bytes::new()).await
    }

    /// Forgets it, before the manifest is removed.
    pub(super) async fn unmark(&self, number: u64) -> Result<()> {
        self.store.delete(&mark_name(number)).await
    }

    /// An error if a manifest that is not there was published.
    pub(super) async fn must_not_miss(&self, number: u64) -> Result<()> {
        if self.store.get(&mark_name(number)).await?.is_none() {
            return Ok(());
        }
        let (name, place) = (manifest_name(number), self.place());
        let message = format!("{name} in {place} is damaged: it was published, and now it is missing");
        Err(Error::new(ErrorKind::Corrupt, message))
    }
}
