//! What whoever watches files asks of a running job: what it was made of, and which components it runs.

use super::{Live, Settings};
use crate::job::{JobFile, Uses};
use crate::log::carried;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use tokio::task::spawn_blocking;
use wasmill_plugin::Grants;
use wasmill_stream::{Error, Result};

impl Live {
    /// The job file, as the job has read it.
    pub fn file(&self) -> JobFile {
        self.settings().file.clone()
    }

    /// The plugins of the job file.
    pub fn uses(&self) -> Uses {
        self.settings().uses()
    }

    /// The SHA-256 of the component that the job file names for a step, as far as it has come in. What runs may be another one.
    pub fn declared(&self, step: &str) -> Option<String> {
        self.declared.get(step)
    }

    /// What was approved for a step so far.
    pub(super) fn approved(&self, step: &str) -> Grants {
        let approved = self.approved.lock().unwrap_or_else(PoisonError::into_inner);
        approved.get(step).copied().unwrap_or_default()
    }

    /// A version came in with these approvals: the ones after it need not be approved again.
    pub(super) fn approve(&self, step: &str, grants: Grants) {
        let mut approved = self.approved.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = approved.entry(step.to_owned()).or_default();
        *granted = granted.and(grants);
    }

    /// The SHA-256 of the component that a step runs, in hex.
    pub async fn digest(&self, step: &str) -> Result<String> {
        self.swapper.running(step).await.map(|version| version.plugin().identity().digest.clone())
    }

    /// Builds a source folder. Returns where its component is.
    pub async fn build(&self, folder: &Path) -> Result<PathBuf> {
        let (settings, folder) = (self.settings(), folder.to_owned());
        let building = spawn_blocking(carried(move || (settings.plugins)()?.build(&folder)));
        building.await.map_err(|error| Error::internal(format!("build a plugin: {error}")))?
    }
}

impl Settings {
    pub(super) fn uses(&self) -> Uses {
        Uses::of(&self.file, &self.parameters)
    }
}
