//! What a process gives up before it does anything for others: the network, all files but a few, every right, and the memory and
//! files beyond its limits. None of it can be taken back. It is asked for by a process that has one thread only: namespaces
//! and rights are those of threads.

mod files;
mod network;
mod rights;

pub use rights::{Account, Limits};

use files::Tree;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use wasmill_stream::{Error, ErrorKind, Result};

/// What is left to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Its folders: where they are, and where it sees them. It may do with them what it likes.
    pub folders: Vec<(PathBuf, PathBuf)>,
    /// An empty folder, where its files are put together. Nobody sees that but itself.
    pub stage: PathBuf,
    /// Who it is; `None`: whoever started it.
    pub account: Option<Account>,
    /// What it may take.
    pub limits: Limits,
}

impl Confinement {
    /// Confines this process. What the machine cannot do of it is an error, and then the process has to end: some of it may have
    /// been done.
    pub fn apply(&self) -> Result<()> {
        let is_new_user = rights::enter_namespaces()?;
        network::raise_loopback()?;
        let tree = Tree::of(self);
        tree.build()?;
        rights::drop_all(self.account.as_ref(), is_new_user)?;
        self.limits.set()?;
        tree.restrict(self.account.is_some())
    }
}

/// The machine cannot do something, or does not let this process do it.
fn cannot(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Denied, what).with_source(error)
}
