//! What proves that files are as the checkpoint that names them has left them. Read once, when a run goes on; while rows are
//! written their digest is kept along the way. Blocking.

use super::part::Progress;
use crate::digest::Hasher;
use crate::disk::failed;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use wasmill_stream::{Error, ErrorKind, Result};

/// Read at a time.
const BLOCK: usize = 256 << 10;

/// Proves that a file begins as it was. Returns the digest so far of what is appended next.
pub(super) fn beginning(file: &File, path: &Path, recorded: Progress) -> Result<Hasher> {
    let hashed = hash(file, recorded.bytes).map_err(|error| failed("read", path, error))?;
    let (there, hasher) = hashed;
    if there < recorded.bytes {
        return Err(other_length(path, there, recorded.bytes));
    }
    let found = hasher.digest();
    match recorded.digest {
        // Older versions did not say.
        None => Ok(hasher),
        Some(expected) if expected == found => Ok(hasher),
        Some(expected) => {
            let bytes = recorded.bytes;
            Err(damaged(path, format!("its {bytes} bytes have the digest {found}, and {expected} in the checkpoint")))
        }
    }
}

/// Proves that a file is as it was. Whether there is one at all.
pub(super) fn whole(path: &Path, recorded: Progress) -> Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("open", path, error)),
    };
    let there = file.metadata().map_err(|error| failed("open", path, error))?.len();
    if there != recorded.bytes {
        return Err(other_length(path, there, recorded.bytes));
    }
    beginning(&file, path, recorded).map(|_| true)
}

/// A file that is too short or too long.
pub(super) fn other_length(path: &Path, there: u64, recorded: u64) -> Error {
    damaged(path, format!("it has {there} bytes, and {recorded} in the checkpoint"))
}

fn damaged(path: &Path, how: String) -> Error {
    Error::new(ErrorKind::Corrupt, format!("`{}` is damaged: {how}", path.display())).hint(
        "put the file back as it was; or go back to an older checkpoint: `wasmill checkpoint list JOB` names them, and \
         `wasmill checkpoint restore JOB NUMBER` puts one in force",
    )
}

/// How many of the first so many bytes are there, and their digest. The next one who reads the file begins at its beginning.
fn hash(mut file: &File, bytes: u64) -> io::Result<(u64, Hasher)> {
    let (mut hasher, mut read) = (Hasher::new(), 0);
    let mut block = vec![0; BLOCK];
    let mut rest = file.take(bytes);
    loop {
        match rest.read(&mut block)? {
            0 => break,
            count => {
                hasher.update(&block[..count]);
                read += count as u64;
            }
        }
    }
    file.rewind()?;
    Ok((read, hasher))
}
