//! The source folder of a plugin as one digest. What is built, downloaded or kept by other tools is no source, and neither is
//! what editors leave beside a file while it is open: none of it changes the digest.

use super::content::Contents;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders of other tools, and of builds. Hidden ones are not named here: none of them has sources.
const NO_SOURCES: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// The same, where they lie at the top: deeper down they may be modules.
const NO_SOURCES_AT_THE_TOP: [&str; 2] = ["dist", "build"];
/// Endings of what editors write beside a file. `4913` is the name with which vim tries whether it may.
const EDITOR_ENDINGS: [&str; 6] = ["~", ".swp", ".swo", ".swx", ".tmp", ".bak"];

/// More files, or more bytes, are no plugin: somebody named the wrong folder.
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 32 << 20;

/// One digest of all sources in a folder, by path and content. Adds the folders in which they lie.
pub fn digest(
    folder: &Path,
    contents: &mut Contents,
    folders: &mut BTreeSet<PathBuf>,
    now: SystemTime,
) -> io::Result<String> {
    let mut files = BTreeMap::new();
    let mut left = MOST_BYTES;
    let mut inside = vec![folder.canonicalize()?];
    let root = inside[0].clone();
    while let Some(folder) = inside.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if is_source_folder(&entry.file_name().to_string_lossy(), folder == root) {
                    inside.push(path);
                }
                continue;
            }
            // A link to a folder may lead into a circle; one to a file is a file.
            if !is_source(&entry.file_name().to_string_lossy()) || !path.is_file() {
                continue;
            }
            let content = match contents.of(&path, left, now) {
                // It was removed at this very moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
                Ok(content) => content,
            };
            left -= fs::metadata(&path).map_or(0, |about| about.len()).min(left);
            files.insert(path.strip_prefix(&root).unwrap_or(&path).to_owned(), content.digest);
            if files.len() > MOST_FILES {
                return Err(io::Error::other(format!("it has more than {MOST_FILES} files; is it a plugin's folder?")));
            }
        }
        folders.insert(folder);
    }
    contents.drop_bytes();
    contents.retain(|path| path.strip_prefix(&root).is_ok_and(|path| files.contains_key(path)));
    let mut hasher = Sha256::new();
    for (path, digest) in &files {
        let path = path.as_os_str().as_encoded_bytes();
        hasher.update((path.len() as u64).to_le_bytes());
        hasher.update(path);
        hasher.update(digest.as_bytes());
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn is_source_folder(name: &str, at_the_top: bool) -> bool {
    let is_output = NO_SOURCES.contains(&name) || (at_the_top && NO_SOURCES_AT_THE_TOP.contains(&name));
    !name.starts_with('.') && !is_output
}

fn is_source(name: &str) -> bool {
    let of_an_editor = name.starts_with(['.', '#']) || name == "4913";
    !of_an_editor && !EDITOR_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with some files, and a way to tell whether what is done to it changes its digest.
    struct Folder {
        folder: tempfile::TempDir,
        contents: Contents,
    }

    impl Folder {
        fn new() -> Self {
            let folder = Self { folder: tempfile::tempdir().expect("a folder"), contents: Contents::default() };
            folder.write("Cargo.toml", "a");
            folder.write("src/lib.rs", "b");
            folder
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::write(path, text).expect("written");
        }

        fn digest(&mut self) -> String {
            let mut folders = BTreeSet::new();
            digest(self.folder.path(), &mut self.contents, &mut folders, SystemTime::now()).expect("it can be read")
        }
    }

    /// Builds, downloads, hidden files and what editors leave → no change; a source, deep down or renamed → a change.
    #[test]
    fn sources_count_and_the_rest_does_not() {
        let mut folder = Folder::new();
        let first = folder.digest();
        for path in [
            "target/release/x.wasm",
            "deep/target/x",
            "node_modules/a/index.js",
            "build/x",
            "dist/x",
            ".git/HEAD",
            ".idea/x",
            "__pycache__/x.pyc",
            "src/.lib.rs.swp",
            "src/lib.rs~",
            "src/.#lib.rs",
            "src/#lib.rs#",
            "src/4913",
            "src/x.tmp",
        ] {
            folder.write(path, "x");
            assert_eq!(folder.digest(), first, "{path}");
        }
        // Written once more with the same bytes: no change.
        folder.write("src/lib.rs", "b");
        assert_eq!(folder.digest(), first);
        let mut digests = BTreeSet::from([first]);
        for (path, text) in [("src/lib.rs", "c"), ("src/build/deep.rs", "d"), ("package.json", "{}")] {
            folder.write(path, text);
            assert!(digests.insert(folder.digest()), "{path}");
        }
        let inside = |name: &str| folder.folder.path().join(name);
        fs::rename(inside("package.json"), inside("other.json")).expect("renamed");
        assert!(digests.insert(folder.digest()), "a new name");
    }

    /// A link into a circle, and a file that is too large → no endless walk, and the reason.
    #[test]
    fn odd_folders() {
        let mut folder = Folder::new();
        let first = folder.digest();
        std::os::unix::fs::symlink(".", folder.folder.path().join("self")).expect("a link");
        assert_eq!(folder.digest(), first);
        let large = fs::File::create(folder.folder.path().join("data.bin")).expect("created");
        large.set_len(MOST_BYTES + 1).expect("it has no blocks");
        let found = digest(folder.folder.path(), &mut folder.contents, &mut BTreeSet::new(), SystemTime::now());
        let reason = found.expect_err("too large").to_string();
        assert!(reason.contains("data.bin: it has 33554433 bytes"), "{reason}");
    }
}
