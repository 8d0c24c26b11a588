//! The text of a job file and where it lies.

use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

/// A job file as it was written.
#[derive(Debug, Clone)]
pub struct JobFile {
    path: PathBuf,
    text: String,
}

impl JobFile {
    /// A job file of this text. Paths of plugins are relative to the folder of `path`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Reads a job file.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Error::invalid(format!("read job file {}", path.display())).with_source(error))?;
        Ok(Self { path, text })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of a job that does not name itself.
    pub fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A path of the job file as seen from the working directory.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}
