//! What a running job does when it is asked over its socket.

use super::job::{builder, host};
use crate::control::{Answer, Control, Request};
use crate::job::{self, JobFile, Parameters, Plugins};
use crate::report::{self, Style};
use crate::terminal::Terminal;
use miette::Severity;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;
use wasmill_engine::{Swapped, Swapper};
use wasmill_stream::plugin::{Identity, Version};
use wasmill_stream::{Error, Result};

/// Serves the requests to one job, one after the other.
pub struct Requests {
    /// The job file, as the job has read it.
    pub file: JobFile,
    /// Its parameters.
    pub parameters: Parameters,
    /// Replaces its plugins.
    pub swapper: Swapper,
    /// Where it says what it does.
    pub terminal: Terminal,
}

impl Requests {
    /// Serves until it is dropped.
    pub async fn serve(self, control: Control) {
        loop {
            let (request, reply) = control.next().await;
            let Request::Swap { step, plugin } = request;
            let answer = match self.swap(step, plugin).await {
                Ok(done) => Answer::Done(done),
                Err(error) => Answer::Refused(error.report()),
            };
            let (Answer::Done(words) | Answer::Refused(words)) = &answer;
            self.terminal.note(words);
            reply.send(&answer).await;
        }
    }

    fn swap(&self, step: String, plugin: PathBuf) -> impl Future<Output = Result<String>> + use<> {
        let (file, parameters, terminal) = (self.file.clone(), self.parameters.clone(), self.terminal.clone());
        let name = step.clone();
        let loading = spawn_blocking(move || load(&file, &parameters, &terminal, &name, &plugin));
        let swapper = self.swapper.clone();
        async move {
            let version = loading.await.map_err(|error| Error::internal(format!("load a plugin: {error}")))??;
            let identity = version.plugin().identity().clone();
            let Swapped { before, pause, took } = swapper.swap(&step, version).await?;
            let (now, before) = (words(&identity), words(&before));
            let times = format!("it took {took:.1?}, workers stood still for {pause:.1?} of it");
            Ok(format!("step {step}: {now} in place of {before}; {times}"))
        }
    }
}

/// Builds the plugin if it is a source folder, compiles it, and has it judge the settings of the step.
fn load(file: &JobFile, parameters: &Parameters, terminal: &Terminal, step: &str, plugin: &Path) -> Result<Version> {
    let mut plugins = Plugins::new(host()?, Some(builder(terminal)));
    job::replacement(file, parameters, &mut plugins, step, plugin).map_err(|problems| {
        let drawn = report::draw(file, &problems, Severity::Error, Style::Plain);
        Error::invalid(format!("{} does not fit:\n{drawn}", plugin.display()))
    })
}

fn words(identity: &Identity) -> String {
    format!("{} {} ({:.8})", identity.name, identity.version, identity.digest)
}
