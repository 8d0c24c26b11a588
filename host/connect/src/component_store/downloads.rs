//! What was fetched by its digest, kept for the next start. A file that does not have the digest which it is called by is
//! no use to anybody and goes; a folder that cannot be written slows the next start, no more.

use super::sha256;
use bytes::Bytes;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much is kept. What was not used for longest goes first.
const MOST: u64 = 1 << 30;

/// A folder of downloads.
#[derive(Debug, Clone)]
pub struct Downloads {
    folder: PathBuf,
    most: u64,
}

impl Downloads {
    /// In this folder, which is made when something is kept.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, most: MOST }
    }

    /// The bytes with this digest, `sha256:…`, if they are there.
    pub(super) fn load(&self, digest: &str) -> Option<Bytes> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        if sha256(&bytes) != digest {
            tracing::warn!("{} is damaged; it is fetched anew", path.display());
            let _ = fs::remove_file(&path);
            return None;
        }
        // For the eviction. A file that cannot be touched is evicted too early, no more.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes.into())
    }

    /// Keeps bytes with this digest.
    pub(super) fn store(&self, digest: &str, bytes: &[u8]) {
        if let Err(error) = self.write(&self.path(digest), bytes).and_then(|()| self.evict()) {
            tracing::warn!("keep a component in {}: {error}", self.folder.display());
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        // Whole or not at all, whoever else writes the same.
        let draft = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&draft, bytes)?;
        fs::rename(&draft, path)
    }

    fn evict(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // Another process may have removed it by now.
            let Ok(about) = entry.metadata() else { continue };
            files.push((about.modified()?, about.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= self.most {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(digest.replace(':', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes come back by their digest; changed ones do not, and are gone; the oldest go when there is too much.
    #[test]
    fn only_what_has_the_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let downloads = Downloads { folder: folder.path().join("new"), most: 10 };
        let (one, two) = (sha256(b"one"), sha256(b"two two"));
        assert_eq!(downloads.load(&one), None);
        downloads.store(&one, b"one");
        assert_eq!(downloads.load(&one).as_deref(), Some(&b"one"[..]));
        fs::write(downloads.path(&one), "two").expect("written");
        assert_eq!(downloads.load(&one), None);
        assert!(!downloads.path(&one).exists());
        downloads.store(&one, b"one");
        let long_ago = fs::File::open(downloads.path(&one)).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
        long_ago.expect("its time is set");
        downloads.store(&two, b"two two");
        assert!(downloads.load(&one).is_some(), "both fit");
        let long_ago = fs::File::open(downloads.path(&one)).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
        long_ago.expect("its time is set");
        downloads.store(&sha256(b"3"), b"3");
        assert!(downloads.load(&one).is_none() && downloads.load(&two).is_some(), "the oldest went");
    }
}
