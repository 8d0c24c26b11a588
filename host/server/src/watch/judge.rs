//! What becomes of a path that has changed: a component goes to its steps, sources are built first, and of a job file the
//! user is told. Whatever is refused is said once; nothing that runs is disturbed.

use super::content::{Content, Contents};
use super::eye::Sight;
use crate::live::apply::Applied;
use crate::live::history::Reason;
use crate::live::{Change, Entry, Live};
use crate::terminal::Terminal;
use std::path::Path;
use std::time::SystemTime;
use wasmill_plugin::Limits;
use wasmill_stream::{Error, Result};

/// Judges what is found at one path.
pub struct Judge {
    /// What the path is to the job.
    pub role: Role,
    /// The job.
    pub live: Live,
    /// Where it says what it did.
    pub terminal: Terminal,
}

/// What a path is to a job.
pub enum Role {
    /// The file that describes it.
    JobFile,
    /// A component or a source folder, for these steps.
    Plugin(Vec<String>),
}

impl Judge {
    /// Does what has to be done about a sight that has settled. `content` is there if it is a file.
    pub async fn judge(&self, path: &Path, sight: Sight, content: Option<Content>) {
        let done = match &self.role {
            Role::JobFile => self.job_file(path, &sight).await,
            Role::Plugin(names) => self.plugin(path, names, sight, content).await,
        };
        if let Err(error) = done {
            self.terminal.note(&format!("watch: {}", error.report()));
        }
    }

    /// Applies another job file.
    async fn job_file(&self, path: &Path, sight: &Sight) -> Result<()> {
        if !matches!(sight, Sight::File { .. }) {
            return Err(lost(path, sight, "the job goes on"));
        }
        let reason = Reason { by: "wasmill run --watch".into(), why: Some(format!("{} has changed", path.display())) };
        match self.live.apply(reason.clone()).await {
            Ok(Applied::Done(done)) => self.terminal.note(&format!("watch: {done}")),
            Ok(Applied::HandOver(hand_over)) => self.live.send_over(*hand_over),
            Err(error) => {
                self.live.refuse_file(reason, &error).await;
                return Err(error.context(format!("{} is not applied", path.display())));
            }
        }
        Ok(())
    }

    async fn plugin(&self, path: &Path, names: &[String], sight: Sight, content: Option<Content>) -> Result<()> {
        let content = match (sight, content) {
            (Sight::File { .. }, Some(content)) => content,
            (Sight::Sources(_), _) => self.build(path).await?,
            (other, _) => {
                return Err(lost(path, &other, &format!("{} goes on with the plugin that it runs", names.join(", "))));
            }
        };
        for name in names {
            match self.offer(path, name, &content).await {
                Ok(Some(done)) => self.terminal.note(&format!("watch: {done}")),
                Ok(None) => {}
                // The others may take it.
                Err(error) => self.terminal.note(&format!("watch: {}", error.report())),
            }
        }
        Ok(())
    }

    /// Nothing is done if the step runs these bytes already.
    async fn offer(&self, path: &Path, name: &str, content: &Content) -> Result<Option<String>> {
        if self.live.digest(name).await? == *content.digest {
            return Ok(None);
        }
        let (step, bytes) = (name.to_owned(), Some(content.bytes.clone()));
        let reason = Reason { by: "wasmill run --watch".into(), why: Some(format!("{} has changed", path.display())) };
        let entry = Entry::TakeOver(None);
        self.live.swap(Change { step, plugin: path.to_owned(), bytes, entry, reason }).await.map(Some)
    }

    async fn build(&self, path: &Path) -> Result<Content> {
        let file = self.live.build(path).await?;
        let unreadable =
            |error| Error::unavailable(format!("read the component of {}", path.display())).with_source(error);
        Contents::default().of(&file, Limits::LARGEST_COMPONENT.bytes(), SystemTime::now()).map_err(unreadable)
    }
}

/// What is said of a path from which nothing can be had.
fn lost(path: &Path, sight: &Sight, so: &str) -> Error {
    let path = path.display();
    match sight {
        Sight::Unreadable(reason) => Error::invalid(format!("{path} cannot be read: {reason}; {so}")),
        _ => Error::invalid(format!("{path} is gone; {so}")),
    }
}
