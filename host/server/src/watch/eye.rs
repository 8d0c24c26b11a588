//! Looks at one path: at a component, at the source folder of a plugin, or at a job file. Tells what is there and where
//! changes to it would happen. Only looks: what follows from it is for others.

use super::content::{Content, Contents};
use super::settle;
use super::whole::is_whole;
use super::{places, sources};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What a look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Nothing is there.
    Gone,
    /// Something that cannot be read, and why.
    Unreadable(String),
    /// A file.
    File {
        /// The SHA-256 of its bytes, in hex.
        digest: Arc<str>,
        /// Whether it may be all of a component.
        is_whole: bool,
        /// The digest of the file beside it, if there is one and it counts.
        beside: Option<Arc<str>>,
    },
    /// A folder of sources, all files of which have this digest together.
    Sources(String),
}

impl settle::Sight for Sight {
    fn is_finished(&self) -> bool {
        match self {
            Self::File { is_whole, .. } => *is_whole,
            Self::Sources(_) => true,
            // Between the removal of a file and its successor, or of its rights.
            Self::Gone | Self::Unreadable(_) => false,
        }
    }
}

/// One path, looked at again and again.
pub struct Eye {
    path: PathBuf,
    /// Longer files than this, bytes, are no business of this path.
    most: u64,
    /// A file that belongs to it, such as a signature.
    beside: Option<PathBuf>,
    contents: Contents,
    /// What the last look has read, if it was a file.
    taken: Option<Taken>,
}

/// What one look has read.
pub struct Taken {
    /// The file.
    pub content: Content,
    /// The one beside it.
    pub beside: Option<Content>,
}

impl Eye {
    /// Looks at a path, whatever is there.
    pub fn new(path: PathBuf, most: u64) -> Self {
        Self { path, most, beside: None, contents: Contents::default(), taken: None }
    }

    /// Looks at a file beside it as well: a change of either is a change.
    pub fn beside(self, path: PathBuf) -> Self {
        Self { beside: Some(path), ..self }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is there now, and the folders in which it would be seen to change.
    pub fn look(&mut self) -> (Sight, BTreeSet<PathBuf>) {
        let now = SystemTime::now();
        let mut folders = places::of(&self.path);
        self.taken = None;
        let seen = if self.path.is_dir() {
            sources::digest(&self.path, &mut self.contents, &mut folders, now).map(Sight::Sources)
        } else {
            self.contents.of(&self.path, self.most, now).map(|content| {
                let beside = self.beside.as_ref().and_then(|path| self.contents.of(path, self.most, now).ok());
                let sight = Sight::File {
                    digest: content.digest.clone(),
                    is_whole: is_whole(&content.bytes),
                    beside: beside.as_ref().map(|content| content.digest.clone()),
                };
                self.taken = Some(Taken { content, beside });
                sight
            })
        };
        let sight = seen.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Sight::Gone,
            _ => Sight::Unreadable(error.to_string()),
        });
        (sight, folders)
    }

    /// What the last look has read, if it found a file. It is not read again, and not kept.
    pub fn take(&mut self) -> Option<Taken> {
        self.contents.drop_bytes();
        self.taken.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A file that is not there, is there, is replaced after the look, and is gone → each is seen, and the bytes are those
    /// of the look.
    #[test]
    fn files_come_and_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.wasm");
        let mut eye = Eye::new(path.clone(), 100);
        assert_eq!(eye.look().0, Sight::Gone);
        fs::write(&path, "\0as").expect("written");
        assert_eq!(eye.look().0, Sight::File { digest: sha256(b"\0as").into(), is_whole: false, beside: None });
        fs::write(&path, "other").expect("written");
        assert_eq!(&*eye.take().expect("it was there").content.bytes, b"\0as");
        assert_eq!(eye.look().0, Sight::File { digest: sha256(b"other").into(), is_whole: true, beside: None });
        fs::remove_file(&path).expect("removed");
        assert_eq!(eye.look().0, Sight::Gone);
        assert!(eye.take().is_none());
    }

    /// A file beside it appears, and changes → each is another sight, and the bytes of both are those of the look.
    #[test]
    fn what_lies_beside_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, beside) = (folder.path().join("p"), folder.path().join("p.minisig"));
        fs::write(&path, "p").expect("written");
        let mut eye = Eye::new(path, 100).beside(beside.clone());
        let mut sights = vec![eye.look().0];
        for signature in ["one", "two"] {
            fs::write(&beside, signature).expect("written");
            sights.push(eye.look().0);
        }
        let taken = eye.take().expect("it is there");
        assert_eq!(taken.beside.as_ref().map(|content| &*content.bytes), Some(&b"two"[..]));
        assert!(sights.iter().enumerate().all(|(at, sight)| !sights[..at].contains(sight)), "{sights:?}");
    }

    /// A link to a link, of which the first is switched over, as in a mounted config map → the new file is seen, and all
    /// folders on the way are worth watching.
    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        for version in ["1", "2"] {
            fs::create_dir(root.join(version)).expect("created");
            fs::write(root.join(version).join("p.wasm"), version).expect("written");
        }
        symlink("1", root.join("..data")).expect("a link");
        symlink("..data/p.wasm", root.join("p.wasm")).expect("a link");
        let mut eye = Eye::new(root.join("p.wasm"), 100);
        let (sight, folders) = eye.look();
        assert_eq!(sight, Sight::File { digest: sha256(b"1").into(), is_whole: true, beside: None });
        assert_eq!(folders, BTreeSet::from([root.clone(), root.join("1")]));
        symlink("2", root.join("..data_tmp")).expect("a link");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("renamed");
        let (sight, folders) = eye.look();
        assert_eq!(sight, Sight::File { digest: sha256(b"2").into(), is_whole: true, beside: None });
        assert_eq!(folders, BTreeSet::from([root.clone(), root.join("2")]));
    }

    /// A path whose folder is gone → the nearest folder that is left is watched, in which it would come back.
    #[test]
    fn the_nearest_folder_is_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        let (sight, folders) = Eye::new(root.join("a/b/p.wasm"), 100).look();
        assert_eq!((sight, folders), (Sight::Gone, BTreeSet::from([root])));
    }
}
