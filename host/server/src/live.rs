//! A job that runs, and what can be changed in it meanwhile. Whoever asks, people over the socket or whoever watches files,
//! comes here.

mod components;

use crate::job::{self, Given, JobFile, Origin, Parameters, Plugins};
use crate::report::{self, Style};
use miette::Severity;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::task::spawn_blocking;
use wasmill_engine::{Swapped, Swapper};
use wasmill_plugin::Grants;
use wasmill_stream::plugin::{Identity, Version};
use wasmill_stream::{Error, Result};

/// A running job. Clones are the same one.
#[derive(Clone)]
pub struct Live {
    settings: Arc<Settings>,
    swapper: Swapper,
}

struct Settings {
    file: JobFile,
    parameters: Mutex<Parameters>,
    plugins: LoadPlugins,
    /// What was approved for steps since the start, beyond what the file grants them.
    approved: Mutex<BTreeMap<String, Grants>>,
}

/// Builds and loads plugins as the command does that runs the job.
pub type LoadPlugins = Box<dyn Fn() -> Result<Plugins> + Send + Sync>;

/// Another plugin for a step.
#[derive(Debug, Clone)]
pub struct Change {
    /// The step, or the source whose decoder it is.
    pub step: String,
    /// The component, or the folder of its source.
    pub plugin: Origin,
    /// The component, if it was read already. Then nothing is read from there.
    pub given: Option<Given>,
    /// What is approved for it, beyond what the step was granted before.
    pub grants: Grants,
}

impl Live {
    /// A job that runs as its file says. `swapper`: replaces its plugins.
    pub fn new(file: JobFile, parameters: Parameters, plugins: LoadPlugins, swapper: Swapper) -> Self {
        let parameters = Mutex::new(parameters);
        let settings = Settings { file, parameters, plugins, approved: Mutex::default() };
        Self { settings: Arc::new(settings), swapper }
    }

    /// Replaces the plugin of a step. Says what was done; after an error nothing was.
    pub async fn swap(&self, change: Change) -> Result<String> {
        let (settings, step, grants) = (self.settings.clone(), change.step.clone(), change.grants);
        let loading = spawn_blocking(move || settings.load(&change));
        let version = loading.await.map_err(|error| Error::internal(format!("load a plugin: {error}")))??;
        let identity = version.plugin().identity().clone();
        let Swapped { before, pause, took } = self.swapper.swap(&step, version).await?;
        self.settings.approve(&step, grants);
        let (now, before) = (words(&identity), words(&before));
        let times = format!("it took {took:.1?}, workers stood still for {pause:.1?} of it");
        Ok(format!("step {step}: {now} in place of {before}; {times}"))
    }
}

impl Settings {
    /// Builds the plugin if it is a source folder, compiles it, and has it judge the settings of the step.
    fn load(&self, Change { step, plugin, given, grants }: &Change) -> Result<Version> {
        let mut plugins = (self.plugins)()?;
        if let Some(given) = given {
            plugins.supply(plugin.clone(), given.clone());
        }
        let granted = self.approved(step).and(*grants);
        job::replacement(&self.file, &self.parameters(), &mut plugins, step, plugin, granted).map_err(|problems| {
            let drawn = report::draw(&self.file, &problems, Severity::Error, Style::Plain);
            Error::invalid(format!("step {step}: {plugin} does not fit:\n{drawn}"))
        })
    }
}

fn words(identity: &Identity) -> String {
    format!("{} {} ({:.8})", identity.name, identity.version, identity.digest)
}
