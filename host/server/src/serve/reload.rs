//! Settings that are read again while the host runs: on SIGHUP, as service managers send it.

use super::api::{Door, Guard};
use super::fleet::Fleet;
use super::front::Listen;
use super::host_file::HostFile;
use super::manager::Manager;
use crate::terminal::Terminal;
use std::sync::Arc;
use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use wasmill_stream::{Error, Result};

/// Reads settings again.
pub struct Reload {
    /// The jobs, whose folders are looked at.
    pub fleet: Arc<Fleet>,
    /// What hears requests under other names from then on.
    pub door: Arc<Door>,
    /// Where the host listens.
    pub at: Listen,
    /// What `host.toml` said when it was started.
    pub file: HostFile,
    /// Who is told.
    pub manager: Arc<Manager>,
    /// Where it is said.
    pub terminal: Terminal,
}

impl Reload {
    /// Does so each time that somebody hangs up.
    pub async fn on(self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            self.manager.reloads();
            let said = match self.read().await {
                Ok(said) => said,
                Err(error) => format!("not everything could be read again, and stays as it was: {}", error.report()),
            };
            self.terminal.note(&said);
            self.manager.is_ready(&said);
        }
    }

    /// Reads all that can be read again, and says what was found.
    async fn read(&self) -> Result<String> {
        let fleet = self.fleet.clone();
        let looked = spawn_blocking(move || fleet.look()).await;
        let looked = looked.map_err(|error| Error::internal(format!("look at the jobs: {error}")))?;
        let now = HostFile::read(self.fleet.home().root())?;
        self.door.is_called(Guard::of(&self.at, &now.names, self.file.tls.is_some()));
        looked?;
        let mut said = format!("settings were read again: {} jobs", self.fleet.number());
        if (HostFile { names: self.file.names.clone(), ..now }) != self.file {
            said.push_str(
                "; what host.toml says of `listen`, [tls], [tenants] and [api] holds when the host is started again",
            );
        }
        Ok(said)
    }
}
