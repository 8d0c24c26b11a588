//! Rings when something has happened in one of the folders that are watched. It says neither what nor where: events may be
//! lost, doubled, or of another file, so whoever hears it looks for himself. Where the system gives no events, it says so once
//! and never rings; what is watched is looked at from time to time anyway.

use crate::terminal::Terminal;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

/// The one bell of a process: the system has few watchers to give away.
pub struct Bell {
    rings: watch::Sender<u64>,
    /// The number of the next listener.
    next: AtomicUsize,
    ropes: Mutex<Ropes>,
    terminal: Terminal,
}

/// What is watched, and for whom.
struct Ropes {
    /// `None`: the system gives no events.
    watcher: Option<RecommendedWatcher>,
    /// The folders that each listener wants.
    wanted: BTreeMap<usize, BTreeSet<PathBuf>>,
    /// Those that are watched, with the folder that had this name then.
    watched: BTreeMap<PathBuf, Inode>,
    /// Whether it was said that events are missing.
    complained: bool,
}

/// What tells a folder from another one of the same path. Numbers of inodes are given again at once, so the time of its birth
/// belongs to it, where the file system knows that.
type Inode = (u64, u64, Option<SystemTime>);

impl Bell {
    /// Watches nothing yet.
    pub fn new(terminal: Terminal) -> Self {
        let rings = watch::Sender::new(0);
        let ring = rings.clone();
        let heard = move |event: notify::Result<Event>| {
            // Errors, too: an overflow of the queue is one, and then anything may have happened.
            if event.is_ok_and(|event| !is_change(&event.kind)) {
                return;
            }
            ring.send_modify(|count| *count += 1);
        };
        let (watcher, failure) = match notify::recommended_watcher(heard) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error)),
        };
        let ropes = Ropes { watcher, wanted: BTreeMap::new(), watched: BTreeMap::new(), complained: false };
        let bell = Self { rings, next: AtomicUsize::new(0), ropes: Mutex::new(ropes), terminal };
        if let Some(error) = failure {
            bell.complain(&mut bell.ropes(), &error);
        }
        bell
    }

    /// The number of a new listener.
    pub fn listener(&self) -> usize {
        self.next.fetch_add(1, Relaxed)
    }

    /// Hears every ring from now on.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.rings.subscribe()
    }

    /// Watches these folders for a listener, and no others. Tells whether one of them was not watched before: then something
    /// may have happened that nobody has heard.
    pub fn watch(&self, listener: usize, folders: BTreeSet<PathBuf>) -> bool {
        let mut ropes = self.ropes();
        let is_known = ropes.wanted.get(&listener) == Some(&folders);
        if is_known && folders.iter().all(|folder| ropes.watched.get(folder).copied() == inode(folder)) {
            return false;
        }
        if folders.is_empty() {
            ropes.wanted.remove(&listener);
        } else {
            ropes.wanted.insert(listener, folders.clone());
        }
        ropes.drop_unwanted();
        let mut is_new = false;
        for folder in folders {
            match ropes.hang(&folder) {
                Ok(hung) => is_new |= hung,
                Err(error) => self.complain(&mut ropes, &error),
            }
        }
        is_new
    }

    fn complain(&self, ropes: &mut Ropes, error: &notify::Error) {
        if !std::mem::replace(&mut ropes.complained, true) {
            let period = super::POLL.as_secs();
            self.terminal.note(&format!("watch: no events of some folders, looking every {period} s instead: {error}"));
        }
    }

    fn ropes(&self) -> std::sync::MutexGuard<'_, Ropes> {
        self.ropes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ropes {
    /// Watches a folder, unless it is watched. Tells whether it was not.
    fn hang(&mut self, folder: &Path) -> notify::Result<bool> {
        let (Some(watcher), Some(inode)) = (&mut self.watcher, inode(folder)) else { return Ok(false) };
        if self.watched.get(folder) == Some(&inode) {
            return Ok(false);
        }
        if self.watched.remove(folder).is_some() {
            // The watch has gone with its folder; notify may or may not have noticed.
            let _ = watcher.unwatch(folder);
        }
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        self.watched.insert(folder.to_owned(), inode);
        Ok(true)
    }

    fn drop_unwanted(&mut self) {
        let Self { watcher: Some(watcher), wanted, watched, .. } = self else { return };
        watched.retain(|folder, _| {
            let is_wanted = wanted.values().any(|folders| folders.contains(folder));
            if !is_wanted {
                // It may not be there any more.
                let _ = watcher.unwatch(folder);
            }
            is_wanted
        });
    }
}

/// Whether an event says that something is different now. Looking at files makes events, too, and would never end.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn inode(folder: &Path) -> Option<Inode> {
    fs::metadata(folder).ok().map(|about| (about.dev(), about.ino(), about.created().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Format;
    use std::time::Duration;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(30);

    async fn heard(rings: &mut watch::Receiver<u64>) {
        timeout(LONG, rings.changed()).await.expect("it rings").expect("the bell is there");
    }

    /// A file appears in a folder that is watched, in one that was deleted and made again, and nobody else's → it rings.
    #[tokio::test]
    async fn changes_ring() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("a");
        fs::create_dir(&folder).expect("created");
        let bell = Bell::new(Terminal::start(Format::Text));
        let folders = || BTreeSet::from([folder.clone()]);
        assert!(bell.watch(1, folders()), "it was not watched");
        assert!(!bell.watch(1, folders()), "now it is");
        let mut rings = bell.listen();
        fs::write(folder.join("x"), "x").expect("written");
        heard(&mut rings).await;
        fs::remove_dir_all(&folder).expect("removed");
        heard(&mut rings).await;
        fs::create_dir(&folder).expect("created");
        assert!(bell.watch(1, folders()), "it is another one");
        let mut rings = bell.listen();
        fs::write(folder.join("x"), "x").expect("written");
        heard(&mut rings).await;
    }

    /// One of two listeners goes elsewhere → the other still hears; with nobody left, nothing is watched.
    #[test]
    fn folders_are_shared() {
        let (a, b) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let set = |folder: &tempfile::TempDir| BTreeSet::from([folder.path().to_owned()]);
        let bell = Bell::new(Terminal::start(Format::Text));
        assert!(bell.watch(1, set(&a)));
        assert!(!bell.watch(2, set(&a)), "the other one watches it");
        assert!(bell.watch(1, set(&b)));
        assert!(!bell.watch(1, set(&a)), "still watched");
        assert!(bell.watch(2, set(&b)), "nobody wanted it any more");
    }

    /// Reading and listing → no change.
    #[test]
    fn looks_are_no_changes() {
        assert!(!is_change(&EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(is_change(&EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(is_change(&EventKind::Modify(notify::event::ModifyKind::Any)));
    }
}
