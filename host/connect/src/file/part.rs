//! One file while it is written: it has another name until it is complete. What it is to have is packed in memory, so that what
//! the disk refused can be written again.

use super::proof;
use crate::digest::Hasher;
use crate::disk::failed;
use crate::format::Format;
use crate::format::packing::{Packer, Packing};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::{Error, ErrorKind, Result};

/// Tells the time by which parts age.
pub(super) type Clock = fn() -> Instant;

/// A file that is not complete yet. As long as it lives it holds the lock of the file: who gets it knows that nobody writes
/// there any more.
pub(super) struct Part {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
    style: Style,
    /// `None` between two streams: each is begun when there is something to put into it.
    packer: Option<Packer>,
    /// What the file is to have next.
    packed: Vec<u8>,
    /// What the file has for certain.
    bytes: u64,
    /// Of these bytes.
    hasher: Hasher,
    lines: u64,
    clock: Clock,
    begun: Instant,
    /// Whether the disk failed to keep what it had taken. Nobody knows what is in the file.
    is_lost: bool,
}

/// What a file is like whose rows are lines. It is a sequence of packed streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// How each stream is packed.
    pub(super) packing: Packing,
    /// What stands above the lines.
    pub(super) head: String,
}

impl Style {
    pub(super) fn of(format: &Format) -> Self {
        Self { packing: format.packing(), head: format.head() }
    }
}

/// How far a part has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// How long the file is.
    pub(super) bytes: u64,
    /// How many bytes of lines are in it, before compression.
    pub(super) lines: u64,
    /// Of the bytes of the file. Checkpoints of older versions have none.
    pub(super) digest: Option<Digest>,
}

/// What a file is called while it is written by a sink whose rows count as soon as they are safe.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    name.into()
}

impl Part {
    /// Creates the file under its unfinished name; an error if that exists, unless it may be replaced.
    pub(super) fn create(
        path: PathBuf,
        unfinished: PathBuf,
        style: Style,
        replace: bool,
        clock: Clock,
    ) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        if replace {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let file = options.write(true).open(&unfinished)?;
        let head = style.head.clone();
        let mut part = Self::over(path, unfinished, file, style, clock);
        part.pack(head.as_bytes())?;
        Ok(part)
    }

    /// Goes on with a file as it was before, which is proved. Whatever came behind that is cut off. If the one who wrote it
    /// may still be alive, frozen perhaps, the file is left to him and `copy` becomes a copy of its beginning.
    pub(super) fn resume(
        path: PathBuf,
        unfinished: PathBuf,
        copy: PathBuf,
        style: Style,
        recorded: Progress,
        clock: Clock,
    ) -> Result<Self> {
        let opened = OpenOptions::new().read(true).write(true).open(&unfinished);
        let file = opened.map_err(|error| failed("open", &unfinished, error))?;
        let hasher = proof::beginning(&file, &unfinished, recorded)?;
        let Progress { bytes, lines, .. } = recorded;
        if file.try_lock().is_ok() {
            file.set_len(bytes).map_err(|error| failed("cut off", &unfinished, error))?;
            return Ok(Self { bytes, lines, hasher, ..Self::over(path, unfinished, file, style, clock) });
        }
        let copied = File::create_new(&copy).and_then(|mut to| {
            io::copy(&mut file.take(bytes), &mut to)?;
            Ok(to)
        });
        let copied = copied.map_err(|error| failed("create", &copy, error))?;
        Ok(Self { bytes, lines, hasher, ..Self::over(path, copy, copied, style, clock) })
    }

    /// With nothing in it yet.
    fn over(path: PathBuf, unfinished: PathBuf, file: File, style: Style, clock: Clock) -> Self {
        // Where files cannot be locked, whoever goes on with them copies them.
        let _ = file.try_lock();
        Self {
            path,
            unfinished,
            file,
            style,
            packer: None,
            packed: Vec::new(),
            bytes: 0,
            hasher: Hasher::new(),
            lines: 0,
            clock,
            begun: clock(),
            is_lost: false,
        }
    }

    /// What it is called now.
    pub(super) fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    /// What it is like.
    pub(super) fn style(&self) -> &Style {
        &self.style
    }

    /// What it will be called.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes lines and hands them to the operating system. After an error another call goes on where it was.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> Result<()> {
        if self.lines == 0 {
            self.begun = (self.clock)();
        }
        self.pack(lines).map_err(|error| failed("pack", &self.unfinished, error))?;
        self.lines += lines.len() as u64;
        lines.clear();
        self.send()
    }

    /// Packs lines so that they can be read as soon as they are written.
    fn pack(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut packer = match self.packer.take() {
            Some(packer) => packer,
            None => Packer::new(self.style.packing)?,
        };
        packer.write_all(lines)?;
        packer.flush()?;
        self.packed.append(packer.packed_mut());
        self.packer = Some(packer);
        Ok(())
    }

    /// Ends the packed stream. A file without lines is an empty one.
    fn end_stream(&mut self) -> io::Result<()> {
        let is_empty = self.bytes == 0 && self.packed.is_empty();
        let packer = match self.packer.take() {
            None if is_empty => Some(Packer::new(self.style.packing)?),
            packer => packer,
        };
        if let Some(packer) = packer {
            self.packed.append(&mut packer.finish()?);
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        // At its place: what is left of a write that failed half-way is written over.
        let written = self.file.write_all_at(&self.packed, self.bytes);
        written.map_err(|error| failed("write", &self.unfinished, error))?;
        self.bytes += self.packed.len() as u64;
        self.hasher.update(&self.packed);
        self.packed.clear();
        Ok(())
    }

    /// How many bytes of lines it has, before compression.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// How long ago it got its first lines.
    pub(super) fn age(&self) -> Duration {
        (self.clock)().duration_since(self.begun)
    }

    /// Puts it on the disk. As it is now it could be complete, and what comes is appended.
    pub(super) fn sync(&mut self) -> Result<Progress> {
        self.end_stream().map_err(|error| failed("pack", &self.unfinished, error))?;
        self.send()?;
        // After a failure another call would succeed, although what was to be written is gone.
        let synced = if self.is_lost { Err(io::Error::other("it failed before")) } else { self.file.sync_all() };
        synced.map_err(|error| {
            self.is_lost = true;
            let message = format!("sync `{}`: the disk may have lost what was written", self.unfinished.display());
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        })?;
        Ok(Progress { bytes: self.bytes, lines: self.lines, digest: Some(self.hasher.digest()) })
    }

    /// Puts it on the disk and gives it its name, which must be free unless it may `replace` a file. Nothing may be written
    /// after that, but after an error another call goes on where it was.
    pub(super) fn complete(&mut self, replace: bool) -> Result<()> {
        self.sync()?;
        let rename =
            || fs::rename(&self.unfinished, &self.path).map_err(|error| failed("rename", &self.unfinished, error));
        if replace {
            return rename();
        }
        // A rename would silently take the place of a file that somebody else has written; a link is refused.
        match fs::hard_link(&self.unfinished, &self.path) {
            Ok(()) => self.discard(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
                if file(&self.unfinished) == file(&self.path) {
                    // The call before this one came so far.
                    return self.discard();
                }
                let (part, path) = (self.unfinished.display(), self.path.display());
                let message = format!("`{path}` exists by now, and `{part}` is to become it");
                Err(Error::invalid(message).hint(format!("move `{path}` away and rename `{part}`")))
            }
            // There are file systems without links.
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
                rename()
            }
            Err(error) => Err(failed("name", &self.path, error)),
        }
    }

    /// Removes it.
    pub(super) fn discard(&self) -> Result<()> {
        fs::remove_file(&self.unfinished).map_err(|error| failed("remove", &self.unfinished, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;

    /// What a full disk refused is written when there is room, once, plain and packed.
    #[test]
    fn a_full_disk_loses_nothing() {
        for packing in [Packing::None, Packing::Gzip, Packing::Zstd] {
            let style = Style { packing, head: "head\n".to_owned() };
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("x.jsonl");
            let mut part = Part::create(path.clone(), unfinished(&path), style, false, Instant::now).expect("a part");
            part.write(&mut b"1\n".to_vec()).expect("there is room");
            let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
            let roomy = std::mem::replace(&mut part.file, full);
            for lines in ["2\n", ""] {
                let error = part.write(&mut lines.as_bytes().to_vec()).expect_err("there is no room");
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
            }
            roomy.write_all_at(b"half of it", part.bytes).expect("what a failed write leaves");
            part.file = roomy;
            part.write(&mut Vec::new()).expect("there is room again");
            part.write(&mut b"three and many more\n".to_vec()).expect("there is room");
            part.complete(false).expect("there is room");
            let bytes = fs::read(&path).expect("a complete file");
            let mut text = String::new();
            match packing {
                Packing::None => (&bytes[..]).read_to_string(&mut text).expect("text"),
                Packing::Gzip => MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip"),
                Packing::Zstd => zstd::Decoder::new(&bytes[..]).expect("zstd").read_to_string(&mut text).expect("zstd"),
            };
            assert_eq!(text, "head\n1\n2\nthree and many more\n");
        }
    }
}
