//! What a file has in it, without reading it again and again: its digest is remembered for as long as nothing speaks for a
//! change.

use crate::digest::sha256;
use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A file that was changed just now may change once more without a sign: file systems tell times apart only so well. Until
/// it is so old, it is read again.
const FRESH: Duration = Duration::from_secs(2);

/// A file's content.
#[derive(Clone)]
pub struct Content {
    /// Its SHA-256, in hex.
    pub digest: Arc<str>,
    /// The bytes that have this digest.
    pub bytes: Arc<[u8]>,
}

/// Everything by which a file can be seen to have changed without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Whether it may not show another change. A time in the future never gets old.
    fn is_fresh(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let touched = self.modified.max(self.changed).0;
        u64::try_from(touched).unwrap_or(0) + FRESH.as_secs() >= now.as_secs()
    }
}

/// Remembers the contents of files.
#[derive(Default)]
pub struct Contents {
    known: HashMap<PathBuf, (Fingerprint, Content)>,
}

impl Contents {
    /// What a file has in it. Links are followed; of longer ones than `most` bytes nothing is read.
    pub fn of(&mut self, path: &Path, most: u64, now: SystemTime) -> io::Result<Content> {
        // What comes back after it was gone is read, whatever its times are.
        self.read(path, most, now).inspect_err(|_| drop(self.known.remove(path)))
    }

    fn read(&mut self, path: &Path, most: u64, now: SystemTime) -> io::Result<Content> {
        let fingerprint = Fingerprint::of(&regular(fs::metadata(path)?, most)?);
        if let Some((known, content)) = self.known.get(path)
            && *known == fingerprint
            && !fingerprint.is_fresh(now)
        {
            return Ok(content.clone());
        }
        let file = File::open(path)?;
        // The file that is open now, which need not be the one of a moment ago.
        let fingerprint = Fingerprint::of(&regular(file.metadata()?, most)?);
        let mut bytes = Vec::with_capacity(fingerprint.size as usize);
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        let content = Content { digest: sha256(&bytes).into(), bytes: bytes.into() };
        self.known.insert(path.to_owned(), (fingerprint, content.clone()));
        Ok(content)
    }

    /// Forgets the bytes of all files; their digests stay.
    pub fn drop_bytes(&mut self) {
        self.known.values_mut().for_each(|(_, content)| content.bytes = Arc::default());
    }

    /// Forgets files for which `keep` does not speak.
    pub fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.known.retain(|path, _| keep(path));
    }
}

/// Pipes and devices would be read for ever.
fn regular(about: Metadata, most: u64) -> io::Result<Metadata> {
    if !about.is_file() {
        return Err(io::Error::other("it is neither a file nor a folder"));
    }
    if about.len() > most {
        return Err(io::Error::other(format!("it has {} bytes, at most {most} are possible", about.len())));
    }
    Ok(about)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 8;

    /// A file that is old and has not changed → not read again; one that is fresh → read again, for its times may lie.
    #[test]
    fn only_old_files_are_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, "one").expect("written");
        let (now, later) = (SystemTime::now(), SystemTime::now() + Duration::from_secs(9));
        let mut contents = Contents::default();
        let first = contents.of(&path, MOST, now).expect("it is there");
        assert_eq!((&*first.bytes, &*first.digest), (&b"one"[..], &*sha256(b"one")));
        contents.drop_bytes();
        assert_eq!(contents.of(&path, MOST, later).expect("it is there").bytes.len(), 0, "not read");
        assert_eq!(&*contents.of(&path, MOST, now).expect("it is there").bytes, b"one", "read");
        contents.drop_bytes();
        fs::write(&path, "three").expect("written");
        let changed = contents.of(&path, MOST, later).expect("it is there");
        assert_eq!((&*changed.bytes, &*changed.digest), (&b"three"[..], &*sha256(b"three")));
    }

    /// Another file in the place of one, as long and as old → it is read: it is another one.
    #[test]
    fn replaced_files_are_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "one").expect("written");
        let later = SystemTime::now() + Duration::from_secs(9);
        let mut contents = Contents::default();
        let first = contents.of(&path, MOST, later).expect("it is there").digest;
        let times = fs::FileTimes::new().set_modified(fs::metadata(&path).and_then(|m| m.modified()).expect("a time"));
        fs::write(&other, "two").expect("written");
        File::options().write(true).open(&other).and_then(|file| file.set_times(times)).expect("its time is set");
        fs::rename(&other, &path).expect("renamed");
        assert_ne!(contents.of(&path, MOST, later).expect("it is there").digest, first);
    }

    /// Longer files than wanted, folders and devices → refused, unread.
    #[test]
    fn what_cannot_be_a_component() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, "nine long").expect("written");
        let mut contents = Contents::default();
        let mut refusal =
            |path: &Path| contents.of(path, MOST, SystemTime::now()).err().expect("no content").to_string();
        assert_eq!(refusal(&path), "it has 9 bytes, at most 8 are possible");
        assert_eq!(refusal(Path::new("/dev/zero")), "it is neither a file nor a folder");
        assert_eq!(refusal(folder.path()), "it is neither a file nor a folder");
    }
}
