//! The jobs of a host: one for each file `NAME.toml` in a folder, paused as long as there is a file `NAME.paused` beside it.

use super::hosted::{Hosted, Target};
use super::keeper::{Keeper, hostable};
use crate::digest::sha256;
use crate::job::{JobFile, Parameters};
use crate::terminal::Terminal;
use crate::watch::Bell;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};
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
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    /// Those that there are files of.
    hosted: BTreeMap<String, Arc<Hosted>>,
    /// Who keeps them, and those that are still on their way out.
    keepers: BTreeMap<String, JoinHandle<()>>,
    /// No more are started.
    is_closed: bool,
}

/// A job as its files say.
struct Found {
    file: PathBuf,
    /// Its digest; `None`: it cannot be read now.
    digest: Option<String>,
    is_paused: bool,
}

impl Fleet {
    /// The jobs of a folder, of which none has been looked at. `parameters`: values of `${NAME}` in their files.
    pub fn new(folder: PathBuf, parameters: Vec<(String, String)>, terminal: Terminal) -> Self {
        let bell = Arc::new(Bell::new(terminal.clone()));
        Self { folder, parameters, bell, terminal, jobs: Mutex::default() }
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
        self.known().hosted.values().cloned().collect()
    }

    /// The one of this name.
    pub fn job(&self, name: &str) -> Result<Arc<Hosted>> {
        let unknown = || Error::invalid(format!("there is no job {name}"));
        self.known().hosted.get(name).cloned().ok_or_else(unknown)
    }

    /// Looks at the folder, and has jobs come, go, pause and go on as it says. A file that cannot be read changes nothing, and is
    /// the error. Needs a tokio runtime.
    pub fn look(&self) -> Result<()> {
        // One look after the other: what was seen before must not undo what was seen after.
        let mut jobs = self.known();
        if jobs.is_closed {
            return Err(Error::unavailable("the host is stopping"));
        }
        let (found, problem) = self.find()?;
        jobs.hosted.retain(|name, hosted| {
            let stays = found.contains_key(name);
            if !stays {
                self.terminal.note(&format!("{name}: its file has gone"));
                hosted.leave();
            }
            stays
        });
        for (name, Found { file, digest, is_paused }) in found {
            let Some(digest) = digest else { continue };
            match jobs.hosted.get(&name) {
                Some(hosted) => hosted.follow(&digest, is_paused),
                None => self.begin(&mut jobs, name, file, digest, is_paused),
            }
        }
        problem.map_or(Ok(()), Err)
    }

    fn begin(&self, jobs: &mut Jobs, name: String, file: PathBuf, digest: String, is_paused: bool) {
        let target = if is_paused { Target::Paused } else { Target::Run { file: digest, restarts: 0 } };
        let hosted = Arc::new(Hosted::new(name.clone(), file, target));
        let terminal = self.terminal.of_job(&name);
        let keeper = Keeper::new(hosted.clone(), self.parameters.clone(), self.bell.clone(), terminal);
        let before = jobs.keepers.remove(&name);
        let kept = tokio::spawn(async move {
            // One of the same name may still be taking its last checkpoint.
            if let Some(before) = before {
                let _ = before.await;
            }
            keeper.keep().await;
        });
        jobs.keepers.insert(name.clone(), kept);
        jobs.hosted.insert(name, hosted);
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
        let making = spawn_blocking(move || hostable(&file, &parameters, &terminal).map(|_| file));
        let file = making.await.map_err(|error| Error::internal(format!("examine a job: {error}")))??;
        let failed = |error| Error::unavailable(format!("write {}", path.display())).with_source(error);
        {
            // One after the other. Whoever looks from outside sees the one before, whole.
            let _jobs = self.known();
            let draft = path.with_extension("draft");
            fs::write(&draft, file.text()).and_then(|()| fs::rename(&draft, &path)).map_err(failed)?;
        }
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

    /// Stops all jobs for good, each with a checkpoint. Jobs that take too long for that are an error.
    pub async fn leave(&self) -> Result<()> {
        let keepers = {
            let mut jobs = self.known();
            jobs.is_closed = true;
            jobs.hosted.values().for_each(|hosted| hosted.leave());
            std::mem::take(&mut jobs.keepers)
        };
        let until = Instant::now() + LAST_CHECKPOINTS;
        let mut late = Vec::new();
        for (name, keeper) in keepers {
            if timeout_at(until, keeper).await.is_err() {
                late.push(name);
            }
        }
        match late.is_empty() {
            true => Ok(()),
            false => Err(Error::unavailable(format!("no last checkpoint in time: {}", late.join(", ")))
                .hint("the next start goes on from the one before")),
        }
    }

    /// The jobs that there are files of, and why some of these cannot be read.
    fn find(&self) -> Result<(BTreeMap<String, Found>, Option<Error>)> {
        let failed = |error| Error::unavailable(format!("read {}", self.folder.display())).with_source(error);
        let (mut found, mut problem) = (BTreeMap::new(), None);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let name = file.file_stem().and_then(|name| name.to_str()).filter(|name| is_name(name)).map(str::to_owned);
            let (Some(name), Some("toml")) = (name, file.extension().and_then(|end| end.to_str())) else { continue };
            let digest = match fs::read(&file) {
                Ok(text) => Some(sha256(&text)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
                Err(error) => {
                    problem = Some(Error::unavailable(format!("read {}", file.display())).with_source(error));
                    None
                }
            };
            let is_paused = file.with_extension("paused").exists();
            found.insert(name, Found { file, digest, is_paused });
        }
        Ok((found, problem))
    }

    fn known(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a job may be called so: names become parts of paths and labels of metrics.
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name.chars().all(fits)
}
