//! The listing of the files that a commit has given their names.

use super::Staging;
use crate::disk::{create_folder, failed, parent, sync_folder};
use crate::file::prepared::Entry;
use crate::listing;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use wasmill_stream::{Error, ErrorKind, Result};

impl Staging {
    /// Writes the listing of files that have their names, whole or not at all. Another process may do the same.
    pub(super) fn list(&self, name: Option<&str>, entries: &[Entry]) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        let path = self.listing_path(name)?;
        create_folder(parent(&path))?;
        let text = listing::text(entries.iter().map(|entry| (entry.name.as_str(), entry.bytes)))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = self.folder.join(self.names.hidden(&file));
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(|error| failed("write", &unfinished, error))?;
        fs::rename(&unfinished, &path).map_err(|error| failed("rename", &unfinished, error))?;
        sync_folder(parent(&path))
    }

    /// Where a listing lies, whose name may come from a checkpoint.
    pub(super) fn listing_path(&self, name: &str) -> Result<PathBuf> {
        match listing::is_name(name) {
            true => Ok(self.folder.join(name)),
            false => Err(Error::new(ErrorKind::Corrupt, format!("the checkpoint calls a listing `{name}`"))),
        }
    }
}
