//! Compiled components on disk, for the next start. Machine code that is loaded is run: so the folder is ours alone, and
//! each file carries a code that only someone with the folder's secret can make, over its name and its content. Whatever
//! is wrong with a file, it is compiled anew; whatever is wrong with the folder, there is no cache, and a warning.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::NamedTempFile;
use wasmill_stream::units::ByteCount;

mod secret;

/// The end of the names of our files.
const SUFFIX: &str = ".compiled";
/// The first bytes of each, with a version of this layout.
const MAGIC: &[u8; 16] = b"wasmill code 1\n\0";
const MAC_SIZE: usize = 32;

/// A folder of compiled components.
pub struct Cache {
    folder: PathBuf,
    secret: [u8; secret::SIZE],
    most: ByteCount,
}

impl Cache {
    /// How much a cache may hold unless told otherwise.
    pub const SIZE: ByteCount = ByteCount::new(1 << 30);

    /// Opens the cache, and makes the folder if need be. When `most` is exceeded, what was not used for longest goes.
    pub fn open(folder: &Path, most: ByteCount) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Who made it: a folder that someone else prepared is a trap.
        let owner = NamedTempFile::new_in(folder)?.as_file().metadata()?.uid();
        let found = fs::symlink_metadata(folder)?;
        if !found.is_dir() || found.uid() != owner {
            return Err(io::Error::other(format!("{} is not a folder of this user", folder.display())));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder: folder.to_owned(), secret: secret::open(folder, owner)?, most })
    }

    /// What was stored under this name, if it is whole and ours. A file that is not is removed.
    pub(crate) fn load(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("read {}: {error}", path.display());
                }
                return None;
            }
        };
        if !self.is_ours(name, &bytes) {
            tracing::warn!("{} is damaged or foreign; it is compiled anew", path.display());
            let _ = fs::remove_file(&path);
            return None;
        }
        // For the eviction. A file that cannot be touched is evicted too early, no more.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        bytes.drain(..MAGIC.len() + MAC_SIZE);
        Some(bytes)
    }

    /// Keeps code under a name. A cache that cannot be written slows the next start, no more.
    pub(crate) fn store(&self, name: &str, code: &[u8]) {
        if let Err(error) = self.write(name, code).and_then(|()| self.evict()) {
            tracing::warn!("keep the compiled component in {}: {error}", self.folder.display());
        }
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(MAGIC)?;
        file.write_all(&self.mac(name, code).finalize().into_bytes())?;
        file.write_all(code)?;
        // Whole or not at all, whoever else writes the same.
        file.persist(self.path(name))?;
        Ok(())
    }

    /// Removes what was used least recently, until the rest fits.
    fn evict(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(SUFFIX) {
                // Another process may have removed it by now.
                let Ok(metadata) = entry.metadata() else { continue };
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= self.most.bytes() {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }

    fn is_ours(&self, name: &str, bytes: &[u8]) -> bool {
        let parts = bytes.split_at_checked(MAGIC.len()).and_then(|(magic, rest)| {
            let (mac, code) = rest.split_at_checked(MAC_SIZE)?;
            Some((magic, mac, code))
        });
        let Some((magic, mac, code)) = parts else { return false };
        magic == MAGIC && self.mac(name, code).verify_slice(mac).is_ok()
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("a secret may have any length");
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }
}

#[cfg(test)]
mod tests;
