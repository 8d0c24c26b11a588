//! What becomes of a path that has changed: a component goes to its steps, sources are built first, and of a job file the
//! user is told. Whatever is refused is said once; nothing that runs is disturbed.

use super::content::Contents;
use super::eye::{Sight, Taken};
use crate::job::{Given, Origin};
use crate::live::{Change, Live};
use crate::terminal::Terminal;
use std::path::Path;
use std::time::SystemTime;
use wasmill_plugin::{Grants, Limits};
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
    /// Does what has to be done about a sight that has settled. `taken` is there if it is a file.
    pub async fn judge(&self, path: &Path, sight: Sight, taken: Option<Taken>) {
        let done = match &self.role {
            Role::JobFile => self.job_file(path, &sight),
            Role::Plugin(names) => self.plugin(path, names, sight, taken).await,
        };
        if let Err(error) = done {
            self.terminal.note(&format!("watch: {}", error.report()));
        }
    }

    /// What can be done about another job file while its job runs: nothing yet.
    fn job_file(&self, path: &Path, sight: &Sight) -> Result<()> {
        match sight {
            Sight::File { .. } => {
                let words = "has changed; the job goes on as it was read, start it again to apply the change";
                self.terminal.note(&format!("watch: {} {words}", path.display()));
                Ok(())
            }
            other => Err(lost(path, other, "the job goes on")),
        }
    }

    async fn plugin(&self, path: &Path, names: &[String], sight: Sight, taken: Option<Taken>) -> Result<()> {
        let taken = match (sight, taken) {
            (Sight::File { .. }, Some(taken)) => taken,
            (Sight::Sources(_), _) => self.build(path).await?,
            (other, _) => {
                return Err(lost(path, &other, &format!("{} goes on with the plugin that it runs", names.join(", "))));
            }
        };
        for name in names {
            match self.offer(path, name, &taken).await {
                Ok(Some(done)) => self.terminal.note(&format!("watch: {done}")),
                Ok(None) => {}
                // The others may take it.
                Err(error) => self.terminal.note(&format!("watch: {}", error.report())),
            }
        }
        Ok(())
    }

    /// Nothing is done if the step runs these bytes already.
    async fn offer(&self, path: &Path, name: &str, taken: &Taken) -> Result<Option<String>> {
        if self.live.digest(name).await? == *taken.content.digest {
            return Ok(None);
        }
        let signature = taken.beside.as_ref().map(|content| content.bytes.clone());
        let given = Some(Given { component: taken.content.bytes.clone(), signature });
        let (step, plugin) = (name.to_owned(), Origin::Path(path.to_owned()));
        // Nobody has approved anything by putting a file there.
        self.live.swap(Change { step, plugin, given, grants: Grants::default() }).await.map(Some)
    }

    async fn build(&self, path: &Path) -> Result<Taken> {
        let file = self.live.build(path).await?;
        let unreadable =
            |error| Error::unavailable(format!("read the component of {}", path.display())).with_source(error);
        let content = Contents::default().of(&file, Limits::LARGEST_COMPONENT.bytes(), SystemTime::now());
        Ok(Taken { content: content.map_err(unreadable)?, beside: None })
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
