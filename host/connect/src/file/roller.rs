//! Which file lines go to: when the current part is complete, what the next one is called. Blocking, and not aware of rows.

use super::part::{self, Clock, Part};
use crate::disk::failed;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmill_stream::{Error, Result};

/// When a part is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rolling {
    /// So many bytes of lines, before compression.
    pub(super) bytes: u64,
    /// So long after its first lines.
    pub(super) interval: Duration,
}

impl Rolling {
    /// Whether a part is complete.
    pub(super) fn is_due(&self, part: &Part) -> bool {
        part.lines() > 0 && (part.lines() >= self.bytes || part.age() >= self.interval)
    }
}

/// Where lines go.
#[derive(Debug)]
pub(super) enum Target {
    /// Into one file, which gets its name when the job ends.
    File { path: PathBuf, gzip: bool, overwrite: bool },
    /// Into numbered files of a folder.
    Folder { path: PathBuf, gzip: bool, rolling: Rolling },
}

impl Target {
    pub(super) fn roll_interval(&self) -> Option<Duration> {
        match self {
            Self::File { .. } => None,
            Self::Folder { rolling, .. } => Some(rolling.interval),
        }
    }
}

/// The current part of a target.
pub(super) struct Roller {
    target: Target,
    clock: Clock,
    /// `None` between two parts.
    part: Option<Part>,
    /// Number of the next part.
    next: u64,
    /// Met where nobody could be told.
    failure: Option<Error>,
}

impl Roller {
    /// Creates the folder and begins the first part, so that a path that cannot be written is found at once.
    pub(super) fn open(target: Target, clock: Clock) -> Result<Self> {
        let mut roller = Self { target, clock, part: None, next: 1, failure: None };
        match &roller.target {
            Target::File { path, overwrite, .. } => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(|error| failed("create the folder", folder, error))?;
                }
                if !overwrite && path.exists() {
                    let path = path.display();
                    return Err(Error::invalid(format!("`{path}` exists: remove it or set overwrite = true")));
                }
            }
            Target::Folder { path, .. } => {
                fs::create_dir_all(path).map_err(|error| failed("create the folder", path, error))?;
                roller.next = next_number(path)?;
            }
        }
        roller.part = Some(roller.begin()?);
        Ok(roller)
    }

    /// Takes lines and hands them to the operating system, in one part. After an error another call goes on where it was,
    /// with the lines if they are still there.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.part.is_none() {
            if lines.is_empty() {
                return Ok(());
            }
            self.part = Some(self.begin()?);
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        part.write(lines)?;
        self.complete_full()
    }

    /// Completes the current part if its time has come. An error comes out of the next write.
    pub(super) fn roll_in_time(&mut self) {
        if self.failure.is_none() {
            self.failure = self.complete_full().err();
        }
    }

    /// Completes the last part. A folder gets no part without lines.
    pub(super) fn close(&mut self) -> Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match &mut self.part {
            Some(part) if part.lines() == 0 && matches!(self.target, Target::Folder { .. }) => part.discard(),
            Some(part) => part.complete(matches!(self.target, Target::File { overwrite: true, .. })),
            None => Ok(()),
        }?;
        self.part = None;
        Ok(())
    }

    fn complete_full(&mut self) -> Result<()> {
        let Target::Folder { rolling, .. } = &self.target else { return Ok(()) };
        let Some(part) = self.part.as_mut().filter(|part| rolling.is_due(part)) else { return Ok(()) };
        part.complete(false)?;
        self.part = None;
        Ok(())
    }

    fn begin(&mut self) -> Result<Part> {
        match &self.target {
            Target::File { path, gzip, overwrite } => {
                Part::create(path.clone(), part::unfinished(path), *gzip, *overwrite, self.clock)
                    .map_err(|error| occupied(path, error))
            }
            Target::Folder { path, gzip, .. } => loop {
                let name = format!("part-{:06}.jsonl{}", self.next, if *gzip { ".gz" } else { "" });
                let path = path.join(name);
                self.next += 1;
                // Another sink that writes into the same folder may be ahead. As long as it writes a part the unfinished
                // name is taken, and afterwards the other one; it is looked for while nobody else can begin this part.
                match Part::create(path.clone(), part::unfinished(&path), *gzip, false, self.clock) {
                    Ok(part) if path.exists() => part.discard()?,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => return result.map_err(|error| failed("create", &part::unfinished(&path), error)),
                }
            },
        }
    }
}

fn occupied(path: &Path, error: io::Error) -> Error {
    let unfinished = part::unfinished(path);
    if error.kind() == io::ErrorKind::AlreadyExists {
        let unfinished = unfinished.display();
        return Error::invalid(format!(
            "`{unfinished}` exists: another job writes it or one was interrupted; remove it or set overwrite = true"
        ));
    }
    failed("create", &unfinished, error)
}

/// One more than the highest number in the folder, complete or not.
fn next_number(folder: &Path) -> Result<u64> {
    let mut highest = 0;
    for entry in fs::read_dir(folder).map_err(|error| failed("read the folder", folder, error))? {
        let entry = entry.map_err(|error| failed("read the folder", folder, error))?;
        highest = highest.max(number(&entry.file_name()).unwrap_or(0));
    }
    Ok(highest + 1)
}

fn number(name: &OsStr) -> Option<u64> {
    let (number, _) = name.to_str()?.strip_prefix("part-")?.split_once('.')?;
    number.parse().ok()
}
