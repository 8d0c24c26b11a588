//! Which file lines go to: when the current part is complete, what the next one is called. Blocking, and not aware of rows.

use super::part::{self, Clock, Part, Style};
use crate::disk::failed;
use crate::format::Format;
use crate::partitions::Partitions;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmill_stream::{Error, Result};

/// When a part is complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rolling {
    /// So many bytes of lines, before compression; of a file that is gathered in memory, what it takes there.
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
    File { path: PathBuf, format: Format, overwrite: bool },
    /// Into numbered files of a folder, or of folders in it.
    Folder { path: PathBuf, format: Format, rolling: Rolling, partitions: Partitions, lists: bool },
}

impl Target {
    /// How rows are written.
    pub(super) fn format(&self) -> &Format {
        match self {
            Self::File { format, .. } | Self::Folder { format, .. } => format,
        }
    }

    /// Whether files are gathered in memory and written as a whole: those that are no lines, and those of partitions.
    pub(super) fn gathers(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Folder { format, partitions, .. } => !format.has_lines() || !partitions.is_empty(),
        }
    }

    /// Whether each checkpoint lists what it has made visible.
    pub(super) fn lists(&self) -> bool {
        matches!(self, Self::Folder { lists: true, .. })
    }

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
        let style = Style::of(self.target.format());
        match &self.target {
            Target::File { path, overwrite, .. } => {
                Part::create(path.clone(), part::unfinished(path), style, *overwrite, self.clock)
                    .map_err(|error| occupied(path, error))
            }
            Target::Folder { path, format, .. } => {
                let names = |number: u64| {
                    let path = path.join(format!("part-{number:06}.{}", format.suffix()));
                    (part::unfinished(&path), path)
                };
                create_numbered(&mut self.next, names, &style, self.clock)
            }
        }
    }
}

/// Creates the next part of a folder whose names are free, unfinished and complete.
pub(super) fn create_numbered(
    next: &mut u64,
    names: impl Fn(u64) -> (PathBuf, PathBuf),
    style: &Style,
    clock: Clock,
) -> Result<Part> {
    loop {
        let (unfinished, path) = names(*next);
        *next += 1;
        // Another sink that writes into the same folder may be ahead. As long as it writes a part the unfinished name is
        // taken, and afterwards the other one; it is looked for while nobody else can begin this part.
        match Part::create(path.clone(), unfinished.clone(), style.clone(), false, clock) {
            Ok(part) if path.exists() => part.discard()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map_err(|error| failed("create", &unfinished, error)),
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
pub(super) fn next_number(folder: &Path) -> Result<u64> {
    let mut highest = 0;
    for entry in fs::read_dir(folder).map_err(|error| failed("read the folder", folder, error))? {
        let entry = entry.map_err(|error| failed("read the folder", folder, error))?;
        highest = highest.max(number(&entry.file_name()).unwrap_or(0));
    }
    Ok(highest + 1)
}

fn number(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let (number, _) = name.strip_prefix('.').unwrap_or(name).strip_prefix("part-")?.split_once('.')?;
    number.parse().ok()
}
