//! Taking back files that came after the checkpoint to which a job has gone back. What is done here is found done if it is
//! tried a second time.

use super::{Staging, remove};
use crate::disk::failed;
use crate::file::prepared::{Entry, Prepared};
use crate::saved;
use serde_json::Value;
use std::fs;
use std::io;
use std::path::Path;
use wasmill_stream::Result;

impl Staging {
    /// Removes the files of later checkpoints. `prepared`: what the sink goes on with; a file that was open then, and has
    /// become longer or complete since, is put back under the name that it had.
    pub(super) fn withdraw(&self, later: &[Value], prepared: &mut Option<Prepared>) -> Result<()> {
        if later.is_empty() {
            return Ok(());
        }
        let mut reopened = prepared.as_mut().and_then(|prepared| prepared.open.take());
        for value in later {
            let Some(later) = saved::prepared::<Prepared>(value, "file")? else { continue };
            if let Some(listing) = &later.listing {
                // It goes first: what is on it goes next.
                remove(&self.listing_path(listing)?)?;
            }
            for entry in &later.finished {
                self.check_name(entry)?;
                match &reopened {
                    Some(open) if open.name == entry.name => self.reopen(open, entry)?,
                    _ => {
                        remove(&self.folder.join(&entry.part))?;
                        remove(&self.folder.join(&entry.name))?;
                    }
                }
            }
            if let (Some(open), Some(entry)) = (&reopened, &later.open)
                && open.name == entry.name
            {
                self.check_name(entry)?;
                self.reopen(open, entry)?;
            }
        }
        reopened = reopened.filter(|open| {
            let path = self.folder.join(&open.part);
            let is_there = path.exists();
            if !is_there {
                let name = self.folder.join(&open.name);
                tracing::warn!("`{}` was taken away: what its readers got stays with them", name.display());
            }
            is_there
        });
        if let Some(prepared) = prepared {
            prepared.open = reopened;
        }
        Ok(())
    }

    /// Gives a file the name back that it had while it was open: it may be complete by now, or a copy.
    fn reopen(&self, open: &Entry, now: &Entry) -> Result<()> {
        let back = self.folder.join(&open.part);
        for name in [&now.name, &now.part] {
            let path = self.folder.join(name);
            if path != back && exists(&path)? {
                fs::rename(&path, &back).map_err(|error| failed("rename", &path, error))?;
            }
        }
        Ok(())
    }
}

fn exists(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("look at", path, error)),
    }
}
