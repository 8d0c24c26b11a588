//! One file while it is written: `NAME.part` until it is complete, then `NAME`.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wasmill_stream::{Error, Result};

/// A file that is not complete yet.
pub(super) struct Part {
    path: PathBuf,
    unfinished: PathBuf,
    encoder: Encoder,
    begun: Instant,
    written: u64,
}

enum Encoder {
    Plain(File),
    Gzip(GzEncoder<File>),
}

/// What a file is called while it is written.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    name.into()
}

impl Part {
    /// Creates the file under its unfinished name; an error if that exists, unless it may be replaced.
    pub(super) fn create(path: PathBuf, gzip: bool, replace: bool) -> io::Result<Self> {
        let unfinished = unfinished(&path);
        let mut options = OpenOptions::new();
        if replace {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let file = options.write(true).open(&unfinished)?;
        let encoder = match gzip {
            true => Encoder::Gzip(GzEncoder::new(file, Compression::fast())),
            false => Encoder::Plain(file),
        };
        Ok(Self { path, unfinished, encoder, begun: Instant::now(), written: 0 })
    }

    /// Hands lines to the operating system.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<()> {
        if self.written == 0 {
            self.begun = Instant::now();
        }
        let result = match &mut self.encoder {
            Encoder::Plain(file) => file.write_all(lines),
            Encoder::Gzip(encoder) => encoder.write_all(lines).and_then(|()| encoder.flush()),
        };
        self.written += lines.len() as u64;
        result.map_err(|error| failed("write", &self.unfinished, error))
    }

    /// How many bytes of lines it has, before compression.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// How long ago it got its first lines.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Puts it on the disk and gives it its name.
    pub(super) fn complete(self) -> Result<()> {
        let finished = match self.encoder {
            Encoder::Plain(file) => Ok(file),
            Encoder::Gzip(encoder) => encoder.finish(),
        };
        finished.and_then(|file| file.sync_all()).map_err(|error| failed("write", &self.unfinished, error))?;
        fs::rename(&self.unfinished, &self.path).map_err(|error| failed("rename", &self.unfinished, error))
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<()> {
        fs::remove_file(&self.unfinished).map_err(|error| failed("remove", &self.unfinished, error))
    }
}

/// An error of the disk, naming the file.
pub(super) fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::invalid(format!("{verb} `{}`", path.display())).with_source(error)
}
