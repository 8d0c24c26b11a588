//! What survives a crash of the machine, and what an error of the disk means. Used by everything that keeps files.
//! Blocking.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;
use wasmill_stream::{Error, ErrorKind, Result};

/// Runs something that touches the disk where it holds up nobody.
pub async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(act).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("use the disk").with_source(error)),
    }
}

/// Creates a folder and those above it, durably.
pub fn create_folder(folder: &Path) -> Result<()> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<PathBuf> = folder.ancestors().take_while(is_missing).map(Path::to_path_buf).collect();
    fs::create_dir_all(folder).map_err(|error| failed("create the folder", folder, error))?;
    missing.iter().try_for_each(|created| sync_folder(parent(created)))
}

/// Makes the names in a folder durable: what was created, renamed or removed there.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("sync the folder", folder, error))
}

/// The folder in which a path lies.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An error of the disk, naming the file. A full or failing disk may work again after a while, and is not the job's fault.
pub fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::StaleNetworkFileHandle => {
            ErrorKind::Unavailable
        }
        io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => ErrorKind::Unavailable,
        _ if error.raw_os_error() == Some(libc::EIO) => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, format!("{verb} `{}`", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A full disk and a failing one are worth another try; a path that is no folder is not.
    #[test]
    fn kinds_of_failures() {
        let full = Path::new("/dev/full");
        let error = File::create(full).and_then(|mut file| file.write_all(b"x")).expect_err("it is full");
        let error = failed("write", full, error);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
        assert!(error.report().starts_with("write `/dev/full`: "), "{}", error.report());
        let broken = io::Error::from_raw_os_error(libc::EIO);
        assert_eq!(failed("sync", full, broken).kind(), ErrorKind::Unavailable);
        let below_a_file = create_folder(&full.join("x")).expect_err("no folder");
        assert_eq!(below_a_file.kind(), ErrorKind::Invalid);
    }

    /// Folders in folders are created, relative ones too, and once more without harm.
    #[test]
    fn folders_in_folders() {
        let root = tempfile::tempdir().expect("a folder");
        let deep = root.path().join("a/b/c");
        create_folder(&deep).expect("created");
        create_folder(&deep).expect("there");
        assert!(deep.is_dir());
        assert_eq!(parent(Path::new("x")), Path::new("."));
        assert_eq!(parent(Path::new("x/y")), Path::new("x"));
    }
}
