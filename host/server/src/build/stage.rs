//! What goes into a component of a script language: the plugin's files, the SDK, the contract and an entry module. From
//! these follow the digest that tells whether a component is up to date, and the folder that the tool is run on.

use super::fault;
use super::sdk::Files;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use wasmill_stream::Result;

/// Where in the folder everything is that is not the plugin's.
pub const OWN: &str = "wasmill-build";

/// Folders that hold no source: what is built, and what other tools keep.
const NO_SOURCES: [&str; 4] = ["target", "dist", "build", "__pycache__"];

/// Larger plugins are a mistake: a data file, a folder that does not belong here.
const MOST_BYTES: u64 = 32 << 20;

/// The files, by their path.
#[derive(Default)]
pub struct Stage {
    files: BTreeMap<String, Vec<u8>>,
}

impl Stage {
    /// Adds a file of this program.
    pub fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Adds files of this program under a folder.
    pub fn add_all(&mut self, folder: &str, files: Files) {
        for (path, content) in files {
            self.add(format!("{folder}/{path}"), *content);
        }
    }

    /// Adds the plugin's files with these endings. Hidden folders and such that hold no source are left out.
    pub fn add_sources(&mut self, dir: &Path, endings: &[&str]) -> Result<()> {
        let mut size = 0;
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let place = dir.join(&folder);
            let unreadable = |error| fault(dir, format!("read {}", place.display())).with_source(error);
            for entry in std::fs::read_dir(&place).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let kind = entry.file_type().map_err(unreadable)?;
                if kind.is_dir() && !name.starts_with('.') && !NO_SOURCES.contains(&name.as_str()) {
                    folders.push(path);
                } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                    let content = std::fs::read(entry.path()).map_err(unreadable)?;
                    size += content.len() as u64;
                    self.add(path, content);
                }
            }
            if size > MOST_BYTES {
                return Err(fault(dir, "its sources have more than 32 MiB; is this the folder of a plugin?"));
            }
        }
        Ok(())
    }

    /// Changes whenever a component would: with a file, its path, or the tool and how it is called.
    pub fn digest(&self, tool: &str) -> String {
        // As in cargo's fingerprints, this guards against forgetting, not against malice.
        let mut hasher = DefaultHasher::new();
        tool.hash(&mut hasher);
        self.files.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Writes the files to a folder that is removed with the result.
    pub fn write(&self, dir: PathBuf) -> std::io::Result<Staged> {
        let staged = Staged(dir);
        for (path, content) in &self.files {
            let path = staged.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(&staged.0))?;
            std::fs::write(path, content)?;
        }
        Ok(staged)
    }
}

/// The folder, while it is needed.
pub struct Staged(PathBuf);

impl Staged {
    /// A path in it.
    pub fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What stays behind is overwritten by nobody, and disturbs nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(dir: &Path) -> Stage {
        let mut stage = Stage::default();
        stage.add("wasmill-build/entry.js", "entry");
        stage.add_sources(dir, &[".js"]).expect("readable sources");
        stage
    }

    /// Sources in sub-folders belong to a plugin; what was built, hidden folders and other files do not.
    #[test]
    fn sources_are_found() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for path in ["plugin.js", "lib/time.js", "target/old.js", ".git/hook.js", "README.md"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("create it");
            std::fs::write(path, "x").expect("write a file");
        }
        let stage = stage(dir.path());
        let found: Vec<_> = stage.files.keys().map(String::as_str).collect();
        assert_eq!(found, ["lib/time.js", "plugin.js", "wasmill-build/entry.js"]);
        let written = stage.write(dir.path().join("target/stage")).expect("a writable folder");
        assert_eq!(std::fs::read_to_string(written.join("lib/time.js")).ok().as_deref(), Some("x"));
        let place = written.dir().to_owned();
        drop(written);
        assert!(!place.exists());
    }

    /// The digest changes with a source, its name, and the tool; it does not change otherwise.
    #[test]
    fn digests_tell_what_is_up_to_date() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let source = dir.path().join("plugin.js");
        std::fs::write(&source, "one").expect("write it");
        let first = stage(dir.path()).digest("tool 1");
        assert_eq!(stage(dir.path()).digest("tool 1"), first);
        assert_ne!(stage(dir.path()).digest("tool 2"), first);
        std::fs::write(&source, "two").expect("change it");
        assert_ne!(stage(dir.path()).digest("tool 1"), first);
        std::fs::write(&source, "one").expect("change it back");
        assert_eq!(stage(dir.path()).digest("tool 1"), first);
        std::fs::rename(&source, dir.path().join("other.js")).expect("rename it");
        assert_ne!(stage(dir.path()).digest("tool 1"), first);
    }
}
