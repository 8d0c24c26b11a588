//! What becomes of a path that has changed: a component goes to its steps, sources are built first, and a job file is
//! applied. Whatever is refused is said once; nothing that runs is disturbed.

use super::content::Contents;
use super::eye::{Sight, Taken};
use crate::job::{Given, Origin};
use crate::live::apply::Applied;
use crate::live::history::Reason;
use crate::live::{Change, Entry, Live};
use crate::terminal::Terminal;
use std::path::Path;
use std::sync::Arc;
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
    /// The component that was there when the job file was read, until another one has been seen.
    pub declared: Option<String>,
    /// The component that was offered last, and what lay beside it.
    pub offered: Option<(Arc<str>, Option<Arc<str>>)>,
}

/// What a path is to a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// The file that describes it.
    JobFile,
    /// A component or a source folder, for these steps.
    Plugin(Vec<String>),
}

impl Judge {
    /// Does what has to be done about a sight that has settled. `taken` is there if it is a file.
    pub async fn judge(&mut self, path: &Path, sight: Sight, taken: Option<Taken>) {
        let done = match self.role.clone() {
            Role::JobFile => self.job_file(path, &sight).await,
            Role::Plugin(names) => self.plugin(path, &names, sight, taken).await,
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
        let reason = reason(path);
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

    async fn plugin(&mut self, path: &Path, names: &[String], sight: Sight, taken: Option<Taken>) -> Result<()> {
        let taken = match (sight, taken) {
            (Sight::File { .. }, Some(taken)) => taken,
            (Sight::Sources(_), _) => self.build(path).await?,
            (other, _) => {
                return Err(lost(path, &other, &format!("{} goes on with the plugin that it runs", names.join(", "))));
            }
        };
        if !self.is_new(&taken) {
            return Ok(());
        }
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

    /// Whether a component is another one than before. What runs does not count: somebody may have swapped in something else.
    fn is_new(&mut self, taken: &Taken) -> bool {
        let beside = taken.beside.as_ref().map(|content| content.digest.clone());
        let found = Some((taken.content.digest.clone(), beside));
        let before = std::mem::replace(&mut self.offered, found.clone());
        let declared = self.declared.take();
        before != found && declared.is_none_or(|declared| *declared != *taken.content.digest)
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
        let (grants, entry, reason) = (Grants::default(), Entry::TAKE_OVER, reason(path));
        self.live.swap(Change { step, plugin, given, grants, entry, reason }).await.map(Some)
    }

    async fn build(&self, path: &Path) -> Result<Taken> {
        let file = self.live.build(path).await?;
        let unreadable =
            |error| Error::unavailable(format!("read the component of {}", path.display())).with_source(error);
        let content = Contents::default().of(&file, Limits::LARGEST_COMPONENT.bytes(), SystemTime::now());
        Ok(Taken { content: content.map_err(unreadable)?, beside: None })
    }
}

/// Who wants a change, and why.
fn reason(path: &Path) -> Reason {
    Reason { by: "wasmill run --watch".into(), why: Some(format!("{} has changed", path.display())) }
}

/// What is said of a path from which nothing can be had.
fn lost(path: &Path, sight: &Sight, so: &str) -> Error {
    let path = path.display();
    match sight {
        Sight::Unreadable(reason) => Error::invalid(format!("{path} cannot be read: {reason}; {so}")),
        _ => Error::invalid(format!("{path} is gone; {so}")),
    }
}
