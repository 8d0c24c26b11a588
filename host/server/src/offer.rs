//! Another plugin for a step of a running job, from wherever it comes: built, loaded, judged by the table of the step, and
//! put in its place. Who asks for it, and what is said about it, is for others.

use crate::job::{self, JobFile, Parameters, Plugins};
use crate::report::{self, Style};
use crate::terminal::Terminal;
use miette::Severity;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use wasmill_engine::{Swapped, Swapper};
use wasmill_stream::plugin::{Identity, Version};
use wasmill_stream::{Error, Result};

/// A running job, and what it takes to put other plugins into it. Clones are of the same job.
#[derive(Clone)]
pub struct Steps {
    /// The job file, as the job has read it.
    pub file: JobFile,
    /// Its parameters.
    pub parameters: Parameters,
    /// Replaces its plugins.
    pub swapper: Swapper,
    /// Where builds show how far they are.
    pub terminal: Terminal,
    /// Builds and loads plugins.
    pub plugins: fn(&Terminal) -> Result<Plugins>,
}

/// A component, or the folder of its source, for a step.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes, if they were read. Then nothing is read from the path.
    pub bytes: Option<Arc<[u8]>>,
}

impl Steps {
    /// The SHA-256 of the component that a step runs, in hex.
    pub fn running(&self, step: &str) -> Result<String> {
        self.swapper.running(step).map(|version| version.plugin().identity().digest.clone())
    }

    /// Puts a plugin into a step. Returns what was done, for people.
    pub async fn swap(&self, step: &str, offer: Offer) -> Result<String> {
        let (steps, name) = (self.clone(), step.to_owned());
        let loading = spawn_blocking(move || steps.load(&name, &offer));
        let version = loading.await.map_err(|error| Error::internal(format!("load a plugin: {error}")))??;
        let identity = version.plugin().identity().clone();
        let Swapped { before, pause, took } = self.swapper.swap(step, version).await?;
        let (now, before) = (words(&identity), words(&before));
        let times = format!("it took {took:.1?}, workers stood still for {pause:.1?} of it");
        Ok(format!("step {step}: {now} in place of {before}; {times}"))
    }

    /// Builds the plugin if it is a source folder, compiles it, and has it judge the settings of the step.
    fn load(&self, step: &str, offer: &Offer) -> Result<Version> {
        let mut plugins = (self.plugins)(&self.terminal)?;
        if let Some(bytes) = &offer.bytes {
            plugins.supply(&offer.path, bytes.clone());
        }
        let refused = |drawn| Error::invalid(format!("step {step}: {} does not fit:\n{drawn}", offer.path.display()));
        job::replacement(&self.file, &self.parameters, &mut plugins, step, &offer.path)
            .map_err(|problems| refused(report::draw(&self.file, &problems, Severity::Error, Style::Plain)))
    }

    /// Builds a source folder. Returns where its component is.
    pub async fn build(&self, folder: &Path) -> Result<PathBuf> {
        let (steps, folder) = (self.clone(), folder.to_owned());
        let building = spawn_blocking(move || (steps.plugins)(&steps.terminal)?.build(&folder));
        building.await.map_err(|error| Error::internal(format!("build a plugin: {error}")))?
    }
}

fn words(identity: &Identity) -> String {
    format!("{} {} ({:.8})", identity.name, identity.version, identity.digest)
}
