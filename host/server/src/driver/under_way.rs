//! A job between two runs: on its way to another job file or to an older checkpoint, or back because it could not get there.

use crate::control::{Answer, Reply};
use crate::job::{Given, Job, JobFile, Parameters, Uses};
use crate::terminal::Terminal;
use crate::workshop;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use wasmill_connect::component_store::SIGNATURE_ENDING;
use wasmill_engine::Declared;
use wasmill_stream::{Error, Result};

/// A job as it was: its file, and the components that came with it, whatever is there now.
pub(super) struct Before {
    file: JobFile,
    declared: Declared,
    components: BTreeMap<String, Arc<[u8]>>,
}

impl Before {
    /// Of a job that is about to run.
    pub(super) fn of(job: &Job) -> Self {
        Self { file: job.file.clone(), declared: job.declared.clone(), components: job.components.clone() }
    }

    /// The text of its file.
    pub(super) fn text(&self) -> String {
        self.file.text().to_owned()
    }

    /// The job once more.
    pub(super) fn examine(&self, parameters: &Parameters, terminal: &Terminal) -> Result<Job> {
        let mut plugins = workshop::plugins(terminal)?;
        for (step, origin) in Uses::of(&self.file, parameters).origins {
            let Some(digest) = self.declared.get(&step) else { continue };
            if let Some(component) = self.components.get(&digest).cloned() {
                let signature = self.components.get(&format!("{digest}{SIGNATURE_ENDING}")).cloned();
                plugins.supply(origin, Given { component, signature });
            }
        }
        let examined = workshop::examine(&self.file, parameters, plugins, terminal);
        examined.job.ok_or_else(|| Error::invalid("the job file as it was before does not fit any more"))
    }
}

/// A job on its way from one job file to another.
pub(super) struct UnderWay {
    pub(super) before: Before,
    /// Since when nothing is read.
    pub(super) since: Instant,
    pub(super) changes: Vec<String>,
    /// Whether it goes back to an older checkpoint.
    pub(super) goes_back: bool,
    /// Whether it does so whatever comes: that checkpoint is in force.
    pub(super) is_back: bool,
    pub(super) reply: Option<Reply>,
    /// Why it could not, and goes on as it was.
    pub(super) refusal: Option<Error>,
}

impl UnderWay {
    /// The job runs again: says as which.
    pub(super) async fn done(self, terminal: &Terminal) {
        let (changes, gap) = (self.changes.join("\n"), self.since.elapsed());
        let answer = match (self.refusal, self.goes_back) {
            (None, false) => {
                Answer::Done(format!("{changes}\nthe job goes on as the file says; nothing was read for {gap:.1?}"))
            }
            (None, true) => {
                Answer::Done(format!("{changes}\nthe job goes on from there; nothing was read for {gap:.1?}"))
            }
            (Some(error), _) if self.is_back => {
                let reason = error.report();
                Answer::Done(format!(
                    "{changes}\nthe job goes on from there; its first start failed: {reason}; nothing was read for {gap:.1?}"
                ))
            }
            (Some(error), goes_back) => {
                let why = if goes_back { "it cannot go back" } else { "it cannot start as the new file says" };
                let reason = error.report();
                Answer::Refused(format!(
                    "{changes}\nthe job goes on as it was, {why}: {reason}; nothing was read for {gap:.1?}"
                ))
            }
        };
        if let Answer::Done(words) | Answer::Refused(words) = &answer {
            terminal.note(words);
        }
        if let Some(reply) = self.reply {
            reply.send(&answer).await;
        }
    }
}
