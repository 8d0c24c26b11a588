//! Files whose rows count once a checkpoint commits them. A part is written under a name with the mark of the sink and the
//! number of the run; it gets its own name when a manifest that calls it finished is published. Blocking.

mod listed;
mod whole;
mod withdrawal;

use super::names::Names;
use super::part::{Clock, Part, Style};
use super::prepared::{Entry, Prepared};
use super::proof;
use super::roller::Target;
use crate::disk::{create_folder, failed, parent, sync_folder};
use crate::format::{Format, Named};
use crate::saved;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use wasmill_stream::sink::Cut;
use wasmill_stream::{Error, Result};

/// The parts of a sink that are not committed.
pub(super) struct Staging {
    target: Target,
    clock: Clock,
    /// Where everything lies.
    folder: PathBuf,
    names: Names,
    /// What rows go to; `None` between two parts.
    open: Option<Part>,
    /// Parts that are full and on the disk, since the last checkpoint was prepared.
    finished: Vec<Entry>,
    /// Parts that the next commit names.
    prepared: Vec<Entry>,
    /// What the listing of these parts is called.
    listing: Option<String>,
    /// How many listings this run has named.
    listed: u64,
    /// Files that were copied or have no lines, and that the manifest in force may still need.
    replaced: Vec<PathBuf>,
    /// Number of the next part in this run.
    next: u64,
    /// The one file of the target, which an earlier run of the job has completed.
    complete: Option<PathBuf>,
}

impl Staging {
    /// Commits and goes on with what was prepared, if anything was, and removes what came after it. What is known to be
    /// committed may be gone. `withdrawn`: what was prepared after it and may have been committed, but does not count any
    /// more.
    pub(super) fn open(
        target: Target,
        clock: Clock,
        names: Names,
        (prepared, is_committed): (&Value, bool),
        withdrawn: &[Value],
    ) -> Result<Self> {
        let mut prepared: Option<Prepared> = saved::prepared(prepared, "file")?;
        let folder = match &target {
            Target::File { path, .. } => parent(path).to_path_buf(),
            Target::Folder { path, .. } => path.clone(),
        };
        create_folder(&folder)?;
        let mut staging = Self {
            target,
            clock,
            folder,
            names,
            open: None,
            finished: Vec::new(),
            prepared: Vec::new(),
            listing: None,
            listed: 0,
            replaced: Vec::new(),
            next: 1,
            complete: None,
        };
        staging.withdraw(withdrawn, &mut prepared)?;
        let needed = prepared.as_ref().and_then(|prepared| prepared.open.as_ref()).map(|open| open.part.clone());
        match prepared {
            Some(prepared) => {
                staging.resume(prepared, is_committed)?;
                staging.complete = match &staging.target {
                    Target::File { path, .. } if staging.open.is_none() && path.exists() => Some(path.clone()),
                    _ => None,
                };
            }
            None => staging.refuse_to_overwrite()?,
        }
        staging.remove_leftovers(needed.as_deref())?;
        if staging.gathers() {
            // A folder that cannot be written is found at once.
            staging.begin_whole("")?.discard()?;
        } else if staging.open.is_none() && staging.complete.is_none() {
            staging.open = Some(staging.begin()?);
        }
        sync_folder(&staging.folder)?;
        Ok(staging)
    }

    fn resume(&mut self, prepared: Prepared, is_committed: bool) -> Result<()> {
        for entry in prepared.entries() {
            self.check_name(entry)?;
        }
        if !is_committed {
            prepared.finished.iter().try_for_each(|entry| self.prove(entry).and_then(|()| self.settle(entry)))?;
            self.list(prepared.listing.as_deref(), &prepared.finished)?;
        }
        let Some(open) = prepared.open else { return Ok(()) };
        let (part, path) = (self.folder.join(&open.part), self.folder.join(&open.name));
        if !part.exists() {
            // An older checkpoint was restored: the part has become complete since, and what follows goes to a new one.
            let is_complete = fs::metadata(&path).is_ok_and(|there| there.len() >= open.bytes);
            if is_complete && matches!(self.target, Target::Folder { .. }) {
                tracing::warn!("`{}` was completed after the checkpoint that is restored", path.display());
                return Ok(());
            }
            return Err(missing(&part).hint("put it back, or start without the checkpoint"));
        }
        let copy = self.folder.join(self.names.unfinished(&open.name));
        // Left by a run of this number that had just begun.
        if copy != part && copy.exists() {
            fs::remove_file(&copy).map_err(|error| failed("remove", &copy, error))?;
        }
        let style =
            Style { packing: Named::of(&open.name).map(Named::packing).unwrap_or_default(), head: open.head.clone() };
        let resumed = Part::resume(path, part.clone(), copy, style, open.progress(), self.clock)?;
        if resumed.unfinished() != part {
            self.replaced.push(part);
        }
        let is_as_wanted =
            !self.gathers() && open.name.ends_with(self.format().suffix()) && open.head == self.format().head();
        self.open = Some(resumed);
        match &self.target {
            _ if is_as_wanted => Ok(()),
            // The settings have changed; what is there is whole rows.
            Target::Folder { .. } => self.finish(),
            Target::File { path, .. } => {
                let message = format!("`{}` was begun with other columns", path.display());
                Err(Error::invalid(message).hint("set `columns` to what they were, or `path` to another file"))
            }
        }
    }

    fn format(&self) -> &Format {
        self.target.format()
    }

    /// Whether files are gathered in memory and come here as a whole.
    fn gathers(&self) -> bool {
        self.target.gathers()
    }

    /// Takes lines and hands them to the operating system, in one part. After an error another call goes on where it was,
    /// with the lines if they are still there.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> Result<()> {
        if self.open.is_none() {
            if lines.is_empty() {
                return Ok(());
            }
            if let Some(path) = &self.complete {
                let message =
                    format!("`{}` was completed when the job ended, and there are more rows now", path.display());
                return Err(Error::invalid(message).hint("let `path` be a folder if the input grows"));
            }
            self.open = Some(self.begin()?);
        }
        let Some(part) = &mut self.open else { return Ok(()) };
        part.write(lines)?;
        if self.is_full() { self.finish() } else { Ok(()) }
    }

    /// Puts everything on the disk and says what it is.
    pub(super) fn prepare(&mut self, cut: Cut) -> Result<Value> {
        let is_last = match self.target {
            Target::File { .. } => cut == Cut::End,
            // Whoever looks into the folder while the job is stopped finds all rows.
            Target::Folder { .. } => cut != Cut::Running,
        };
        if is_last || self.is_full() {
            self.finish()?;
        }
        let open = match &mut self.open {
            Some(part) => {
                let progress = part.sync()?;
                Some(Entry::of(part, &self.folder, progress))
            }
            None => None,
        };
        sync_folder(&self.folder)?;
        self.prepared.append(&mut self.finished);
        if self.target.lists() && !self.prepared.is_empty() {
            self.listed += 1;
            self.listing = Some(self.names.listing(self.listed));
        }
        saved::write(&Prepared { finished: self.prepared.clone(), open, listing: self.listing.clone() })
    }

    /// Gives the prepared parts their names.
    pub(super) fn commit(&mut self) -> Result<()> {
        self.prepared.iter().try_for_each(|entry| self.settle(entry))?;
        self.list(self.listing.as_deref(), &self.prepared)?;
        for path in &self.replaced {
            remove(path)?;
        }
        sync_folder(&self.folder)?;
        self.listing = None;
        self.prepared.clear();
        self.replaced.clear();
        Ok(())
    }

    /// Whether the open part has lines, and gets its name after a time although no others come.
    pub(super) fn is_rolling(&self) -> bool {
        matches!(self.target, Target::Folder { .. }) && self.open.as_ref().is_some_and(|part| part.lines() > 0)
    }

    fn is_full(&self) -> bool {
        let Target::Folder { rolling, .. } = &self.target else { return false };
        self.open.as_ref().is_some_and(|part| rolling.is_due(part))
    }

    /// Ends the open part. A folder gets no part without lines.
    fn finish(&mut self) -> Result<()> {
        let Some(part) = &mut self.open else { return Ok(()) };
        if part.lines() == 0 && matches!(self.target, Target::Folder { .. }) {
            // The manifest in force names it, until the next one is published.
            self.replaced.push(part.unfinished().to_path_buf());
        } else {
            let progress = part.sync()?;
            self.finished.push(Entry::of(part, &self.folder, progress));
        }
        self.open = None;
        Ok(())
    }

    fn begin(&mut self) -> Result<Part> {
        let name = match &self.target {
            Target::File { path, .. } => path.file_name().unwrap_or_default().to_string_lossy().into(),
            Target::Folder { .. } => {
                let number = self.next;
                self.next += 1;
                self.names.part(number, self.format().suffix())
            }
        };
        let unfinished = self.folder.join(self.names.unfinished(&name));
        let style = Style::of(self.format());
        let created = Part::create(self.folder.join(name), unfinished.clone(), style, false, self.clock);
        created.map_err(|error| failed("create", &unfinished, error))
    }

    /// Proves that a finished part is what was written, under whichever name it has. One that is missing is met later.
    fn prove(&self, entry: &Entry) -> Result<()> {
        let is_there = proof::whole(&self.folder.join(&entry.part), entry.progress())?;
        if !is_there {
            proof::whole(&self.folder.join(&entry.name), entry.progress())?;
        }
        Ok(())
    }

    /// Gives a finished part its name, or sees that it has it: another process may do the same at the same time.
    fn settle(&self, entry: &Entry) -> Result<()> {
        let (part, path) = (self.folder.join(&entry.part), self.folder.join(&entry.name));
        let length = |path: &Path| fs::metadata(path).ok().map(|there| there.len());
        if let Some(there) = length(&part) {
            if there != entry.bytes {
                return Err(proof::other_length(&part, there, entry.bytes));
            }
            let may_replace = matches!(self.target, Target::File { overwrite: true, .. });
            if !may_replace && path.exists() && part.exists() {
                let (part, path) = (part.display(), path.display());
                let message = format!("`{path}` exists, and `{part}` is to become it");
                return Err(Error::invalid(message).hint(format!("move `{path}` away")));
            }
            let is_below = parent(&path) != self.folder;
            if is_below {
                create_folder(parent(&path))?;
            }
            match fs::rename(&part, &path) {
                Ok(()) if is_below => return sync_folder(parent(&path)),
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("rename", &part, error)),
            }
        }
        match length(&path) {
            Some(there) if there == entry.bytes => Ok(()),
            Some(there) => Err(proof::other_length(&path, there, entry.bytes)),
            // The job has died between giving it its name and noting that, or was set back to an older checkpoint.
            None => Err(missing(&path).hint(
                "if its reader has taken it by now, put it back until the job has started; otherwise its rows are lost, \
                 unless the job goes back to an older checkpoint: `wasmill checkpoint list JOB`",
            )),
        }
    }

    fn refuse_to_overwrite(&self) -> Result<()> {
        match &self.target {
            Target::File { path, overwrite: false, .. } if path.exists() => {
                Err(Error::invalid(format!("`{}` exists: remove it or set overwrite = true", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Removes unfinished files of this sink and of this or earlier runs that nobody needs.
    fn remove_leftovers(&self, needed: Option<&str>) -> Result<()> {
        let open = self.open.as_ref().map(|part| part.unfinished().to_path_buf());
        let entries = fs::read_dir(&self.folder).map_err(|error| failed("read the folder", &self.folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("read the folder", &self.folder, error))?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else { continue };
            let is_needed = needed == Some(name) || open.as_deref() == Some(&entry.path());
            if !is_needed && self.is_target(name) && self.names.is_leftover(name) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether an unfinished file is to become a file of this target: several sinks may share a folder.
    fn is_target(&self, unfinished: &str) -> bool {
        match &self.target {
            Target::Folder { .. } => self.names.is_part(unfinished) || self.names.is_listing(unfinished),
            Target::File { path, .. } => {
                path.file_name().and_then(OsStr::to_str).is_some_and(|name| unfinished.starts_with(name))
            }
        }
    }

    fn check_name(&self, entry: &Entry) -> Result<()> {
        let (folders, file) = entry.name.rsplit_once('/').unwrap_or(("", &entry.name));
        let is_plain = |folder: &str| !matches!(folder, "" | "." | "..");
        let is_below = file == entry.name || folders.split('/').all(is_plain);
        let is_ours = match &self.target {
            Target::Folder { .. } => self.names.is_part(file) && is_below,
            Target::File { path, .. } => path.file_name() == Some(OsStr::new(&entry.name)),
        };
        // A whole part is hidden.
        let part = entry.part.strip_prefix('.').filter(|_| !entry.name.starts_with('.')).unwrap_or(&entry.part);
        let is_part = part.starts_with(file) && self.names.is_unfinished(&entry.part);
        if is_ours && is_part && !entry.part.contains('/') {
            return Ok(());
        }
        let folder = self.folder.display();
        let message =
            format!("the checkpoint has unfinished rows in `{}`, which is not of this sink in `{folder}`", entry.part);
        Err(Error::invalid(message).hint("set `path` to what it was, or start without the checkpoint"))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

fn missing(path: &Path) -> Error {
    Error::invalid(format!("`{}` is missing: the checkpoint has rows in it", path.display()))
}

#[cfg(test)]
mod tests;
