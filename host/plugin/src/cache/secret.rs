//! The secret of a cache: random bytes in a file that only its user can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use tempfile::NamedTempFile;

pub(super) const SIZE: usize = 32;
const NAME: &str = "secret";

/// Reads the secret of the folder, or makes one. One that others could have read or written is thrown away, and with it
/// everything in the cache.
pub(super) fn open(folder: &Path, owner: u32) -> io::Result<[u8; SIZE]> {
    let path = folder.join(NAME);
    // Another process may make or replace it at the same time; then the second look finds that one.
    for _ in 0..3 {
        match read(&path, owner) {
            Ok(Some(secret)) => return Ok(secret),
            Ok(None) => fs::remove_file(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        make(folder, &path)?;
    }
    Err(io::Error::other(format!("{} changes all the time", path.display())))
}

/// `None`: not private, or not a secret.
fn read(path: &Path, owner: u32) -> io::Result<Option<[u8; SIZE]>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let metadata = file.metadata()?;
    let mut secret = [0; SIZE];
    let fits = metadata.uid() == owner && metadata.mode() & 0o077 == 0 && metadata.len() == SIZE as u64;
    Ok((fits && file.read_exact(&mut secret).is_ok()).then_some(secret))
}

fn make(folder: &Path, path: &Path) -> io::Result<()> {
    let mut secret = [0; SIZE];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    // Files of this kind are made for their user alone.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&secret)?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
