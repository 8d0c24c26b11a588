//! The jobs of a host: one for each file `NAME.toml` in a folder, paused as long as there is a file `NAME.paused` beside it.

use super::hosted::{Hosted, Wish};
use super::keeper::Keeper;
use crate::digest::sha256;
use crate::job::{JobFile, Parameters};
use crate::terminal::Terminal;
use crate::watch::Bell;
use crate::workshop;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use wasmill_stream::{Error, Result};

/// How long jobs may take for their last checkpoints when the host ends.
const LAST_CHECKPOINTS: Duration = Duration::from_secs(9);

/// The longest name of a job.
const LONGEST: usize = 100;

/// The jobs of a host.
pub struct Fleet {
    folder: PathBuf,
    parameters: Vec<(String, String)>,
    /// Rings when something may have changed, for all jobs.
    bell: Arc<Bell>,
    terminal: Terminal,
    jobs: Mutex<BTreeMap<String, Entry>>,
    keepers: Mutex<JoinSet<()>>,
}

/// A job, and its files as they were when they were looked at last.
struct Entry {
    hosted: Arc<Hosted>,
    digest: String,
    is_paused: bool,
}

/// A job as its files say.
struct Found {
    file: PathBuf,
    digest: String,
    is_paused: bool,
}

impl Fleet {
    /// The jobs of a folder, of which none has been looked at. `parameters`: values of `${NAME}` in their files.
    pub fn new(folder: PathBuf, parameters: Vec<(String, String)>, terminal: Terminal) -> Self {
        let bell = Arc::new(Bell::new(terminal.clone()));
        Self { folder, parameters, bell, terminal, jobs: Mutex::default(), keepers: Mutex::default() }
    }

    /// What rings when something may have changed.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Where their files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of them, by name.
    pub fn jobs(&self) -> Vec<Arc<Hosted>> {
        self.entries().values().map(|entry| entry.hosted.clone()).collect()
    }

    /// The one of this name.
    pub fn job(&self, name: &str) -> Result<Arc<Hosted>> {
        let unknown = || Error::invalid(format!("there is no job {name}"));
        self.entries().get(name).map(|entry| entry.hosted.clone()).ok_or_else(unknown)
    }

    /// Looks at the folder, and has jobs come, go, pause and go on as it says. Needs a tokio runtime.
    pub fn look(&self) -> Result<()> {
        let mut found = self.find()?;
        while self.keepers().try_join_next().is_some() {}
        let mut jobs = self.entries();
        jobs.retain(|name, entry| {
            let stays = found.contains_key(name);
            if !stays {
                self.terminal.note(&format!("{name}: its file has gone"));
                entry.hosted.wish(Wish::Leave);
            }
            stays
        });
        for (name, entry) in jobs.iter_mut() {
            let Some(Found { digest, is_paused, .. }) = found.remove(name) else { continue };
            if std::mem::replace(&mut entry.is_paused, is_paused) != is_paused {
                entry.hosted.wish(if is_paused { Wish::Pause } else { Wish::Resume });
            }
            if entry.digest != digest {
                entry.digest = digest;
                entry.hosted.wish(Wish::Changed);
            }
        }
        for (name, Found { file, digest, is_paused }) in found {
            let (hosted, wishes) = Hosted::new(name.clone(), file);
            let terminal = self.terminal.of_job(&name);
            let keeper = Keeper::new(hosted.clone(), wishes, self.parameters.clone(), self.bell.clone(), terminal);
            self.keepers().spawn(keeper.keep(is_paused));
            jobs.insert(name, Entry { hosted, digest, is_paused });
        }
        Ok(())
    }

    /// Pauses a job, or has it go on. It stays so when the host is started again.
    pub fn set_paused(&self, name: &str, paused: bool) -> Result<Arc<Hosted>> {
        let hosted = self.job(name)?;
        let marker = hosted.file().with_extension("paused");
        let done = match paused {
            true => fs::write(&marker, ""),
            false => fs::remove_file(&marker).or_else(|error| match error.kind() {
                ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        done.map_err(|error| Error::unavailable(format!("write {}", marker.display())).with_source(error))?;
        self.look()?;
        Ok(hosted)
    }

    /// Whether a job is paused.
    pub fn is_paused(&self, name: &str) -> bool {
        self.entries().get(name).is_some_and(|entry| entry.is_paused)
    }

    /// Writes the file of a job, new or not, once it has been examined.
    pub async fn write(&self, name: &str, text: String) -> Result<Arc<Hosted>> {
        if !is_name(name) {
            let message =
                format!("a job cannot be called {name:?}: letters, digits, `-`, `_` and `.`, at most {LONGEST}");
            return Err(Error::invalid(message));
        }
        let path = self.folder.join(format!("{name}.toml"));
        let (file, terminal) = (JobFile::new(&path, text), self.terminal.of_job(name));
        let parameters = Parameters::new(self.parameters.iter().cloned());
        let making = spawn_blocking(move || workshop::make(&file, &parameters, &terminal).map(|_| file));
        let file = making.await.map_err(|error| Error::internal(format!("examine a job: {error}")))??;
        let failed = |error| Error::unavailable(format!("write {}", path.display())).with_source(error);
        // Whoever looks meanwhile sees the one before, whole.
        let draft = path.with_extension("draft");
        fs::write(&draft, file.text()).and_then(|()| fs::rename(&draft, &path)).map_err(failed)?;
        self.look()?;
        self.job(name)
    }

    /// Removes the file of a job.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.job(name)?.file().clone();
        let failed = |error| Error::unavailable(format!("remove {}", path.display())).with_source(error);
        fs::remove_file(&path).map_err(failed)?;
        // It may not be paused.
        let _ = fs::remove_file(path.with_extension("paused"));
        self.look()
    }

    /// Stops all jobs, each with a checkpoint.
    pub async fn leave(&self) {
        for job in self.jobs() {
            job.wish(Wish::Leave);
        }
        let mut keepers = std::mem::take(&mut *self.keepers());
        let all = async { while keepers.join_next().await.is_some() {} };
        if timeout(LAST_CHECKPOINTS, all).await.is_err() {
            self.terminal.note("some jobs could not finish in time: they go on from the checkpoint before");
        }
    }

    /// The jobs that there are files of.
    fn find(&self) -> Result<BTreeMap<String, Found>> {
        let failed = |error| Error::unavailable(format!("read {}", self.folder.display())).with_source(error);
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let name = file.file_stem().and_then(|name| name.to_str()).filter(|name| is_name(name)).map(str::to_owned);
            let (Some(name), Some("toml")) = (name, file.extension().and_then(|end| end.to_str())) else { continue };
            // One that has gone since is found missing the next time.
            let Ok(text) = fs::read(&file) else { continue };
            let is_paused = file.with_extension("paused").exists();
            found.insert(name, Found { file, digest: sha256(&text), is_paused });
        }
        Ok(found)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keepers(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a job may be called so: names become parts of paths and labels of metrics.
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name.chars().all(fits)
}
