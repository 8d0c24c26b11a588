//! What whoever watches files asks of a running job: what it was made of, and which components it runs.

use super::{Live, Settings};
use crate::job::{self, JobFile, Parameters};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use tokio::task::spawn_blocking;
use wasmill_stream::{Error, Result};

impl Live {
    /// The job file, as the job has read it.
    pub fn file(&self) -> JobFile {
        self.settings().file.clone()
    }

    /// The steps, and sources with a decoder, each with the path of its plugin in the job file.
    pub fn plugin_paths(&self) -> Vec<(String, PathBuf)> {
        let settings = self.settings();
        job::plugin_paths(&settings.file, &settings.parameters())
    }

    /// The SHA-256 of the component that a step runs, in hex.
    pub async fn digest(&self, step: &str) -> Result<String> {
        self.swapper.running(step).await.map(|version| version.plugin().identity().digest.clone())
    }

    /// Builds a source folder. Returns where its component is.
    pub async fn build(&self, folder: &Path) -> Result<PathBuf> {
        let (settings, folder) = (self.settings(), folder.to_owned());
        let building = spawn_blocking(move || (settings.plugins)()?.build(&folder));
        building.await.map_err(|error| Error::internal(format!("build a plugin: {error}")))?
    }
}

impl Settings {
    pub(super) fn parameters(&self) -> Parameters {
        self.parameters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
