//! Checkpoints in a local folder. An object is written under another name, synced, and then gets its own name at once.
//! Names that begin with a dot belong to the store and are never listed.

use super::name;
use crate::disk::{blocking, create_folder, failed, parent, sync_folder};
use async_trait::async_trait;
use bytes::Bytes;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_stream::checkpoint::{Created, Store};
use wasmill_stream::{Error, ErrorKind, Result};

/// How the names of files end that are not complete.
const UNFINISHED: &str = ".unfinished";

/// A folder of objects. Any number of processes may use it.
pub(super) struct FolderStore {
    folder: Arc<Folder>,
    place: String,
}

struct Folder {
    root: PathBuf,
}

/// A complete and synced file that has no name yet. It is locked, so that nobody takes it for a left-over.
struct Draft {
    path: PathBuf,
    _locked: File,
}

impl FolderStore {
    /// Creates the folder if it is missing, and removes what dead writers left in it.
    pub(super) fn open(root: PathBuf) -> Result<Self> {
        create_folder(&root)?;
        let place = root.display().to_string();
        let folder = Folder { root };
        folder.remove_leftovers()?;
        Ok(Self { folder: Arc::new(folder), place })
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        name: &str,
        act: impl FnOnce(&Folder, &Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        name::check(name)?;
        let folder = self.folder.clone();
        let path = folder.root.join(name);
        blocking(move || act(&folder, &path)).await
    }
}

#[async_trait]
impl Store for FolderStore {
    fn place(&self) -> &str {
        &self.place
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.on_disk(name, move |folder, path| folder.put(path, &bytes)).await
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<Created> {
        self.on_disk(name, move |folder, path| folder.create(path, &bytes)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.on_disk(name, |_, path| read(path)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (inside, _) = name::split_prefix(prefix)?;
        let (folder, inside, prefix) = (self.folder.clone(), inside.to_owned(), prefix.to_owned());
        blocking(move || {
            let mut names = Vec::new();
            folder.collect(&inside, &mut names)?;
            names.retain(|name| name.starts_with(&prefix));
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let remove = |_: &Folder, path: &Path| match fs::remove_file(path) {
            Ok(()) => sync_folder(parent(path)),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(failed("remove", path, error)),
        };
        self.on_disk(name, remove).await
    }
}

impl Folder {
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        create_folder(parent(path))?;
        let draft = self.draft(bytes)?;
        fs::rename(&draft.path, path).map_err(|error| draft.discarded(failed("write", path, error)))?;
        sync_folder(parent(path))
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> Result<Created> {
        create_folder(parent(path))?;
        let draft = self.draft(bytes)?;
        // A hard link is refused if the name is taken: the one way to name a complete file that only one can win.
        let created = match fs::hard_link(&draft.path, path) {
            Ok(()) => Created::New,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => match read(path)? {
                Some(there) if there == bytes => Created::New,
                Some(_) => Created::Taken,
                None => return Err(draft.discarded(Error::unavailable(format!("create `{}`", path.display())))),
            },
            Err(error) => return Err(draft.discarded(failed("create", path, error))),
        };
        draft.discard();
        // Also for a file of someone else: who acts upon its being there must find it there after a crash.
        sync_folder(parent(path))?;
        Ok(created)
    }

    /// Writes bytes to a file without a name. After any failure the file is thrown away: after a failed sync nobody knows
    /// what is in it.
    fn draft(&self, bytes: &[u8]) -> Result<Draft> {
        let random = RandomState::new().hash_one(std::process::id());
        let path = self.root.join(format!(".{random:016x}{UNFINISHED}"));
        let file = File::create_new(&path).map_err(|error| failed("create", &path, error))?;
        let written = file.try_lock().map_err(io::Error::from).and_then(|()| (&file).write_all(bytes));
        let draft = Draft { path, _locked: file };
        match written.and_then(|()| draft._locked.sync_all()) {
            Ok(()) => Ok(draft),
            Err(error) => {
                let error = failed("write", &draft.path, error);
                Err(draft.discarded(error))
            }
        }
    }

    /// Removes unfinished files whose writers are dead: whoever lives holds the lock.
    fn remove_leftovers(&self) -> Result<()> {
        let entries = fs::read_dir(&self.root).map_err(|error| failed("read the folder", &self.root, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("read the folder", &self.root, error))?;
            if !is_unfinished(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            // It may be gone by now: its writer has finished, or someone else cleans up.
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                match fs::remove_file(&path) {
                    Err(error) if !is_absent(&error) => return Err(failed("remove", &path, error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The names of all objects in a folder below the root.
    fn collect(&self, inside: &str, names: &mut Vec<String>) -> Result<()> {
        let folder = self.root.join(inside);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(failed("read the folder", &folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed("read the folder", &folder, error))?;
            let file_name = entry.file_name();
            let Some(segment) = file_name.to_str().filter(|segment| name::check(segment).is_ok()) else { continue };
            let name = if inside.is_empty() { segment.to_owned() } else { format!("{inside}/{segment}") };
            let kind = entry.file_type().map_err(|error| failed("look at", &entry.path(), error))?;
            match kind.is_dir() {
                true => self.collect(&name, names)?,
                false => names.push(name),
            }
        }
        Ok(())
    }
}

impl Draft {
    /// Removes the file. If that fails it is removed when the store is opened the next time.
    fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Removes the file and hands the error on. A draft that vanished was taken for a left-over, which the next try is not.
    fn discarded(self, error: Error) -> Error {
        let vanished = !self.path.exists();
        self.discard();
        if vanished { Error::new(ErrorKind::Unavailable, error.report()) } else { error }
    }
}

fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(UNFINISHED))
}

fn read(path: &Path) -> Result<Option<Bytes>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// Whether there is no such file. Below a file there is none either, and a folder is none.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}

#[cfg(test)]
mod tests;
