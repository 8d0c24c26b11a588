//! The jobs of a host: one for each file `NAME.toml` in its folders, paused as long as there is a file `NAME.paused` beside it.

use super::home::{Home, JobId, is_name};
use super::hosted::{Hosted, Target};
use super::keeper::{Keeper, hostable};
use crate::digest::sha256;
use crate::job::{JobFile, Parameters};
use crate::terminal::Terminal;
use crate::watch::Bell;
use std::collections::{BTreeMap, BTreeSet};
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

/// The jobs of a host.
pub struct Fleet {
    home: Home,
    parameters: Vec<(String, String)>,
    /// Rings when something may have changed, for all jobs.
    bell: Arc<Bell>,
    terminal: Terminal,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    /// Those that there are files of.
    hosted: BTreeMap<JobId, Arc<Hosted>>,
    /// Who keeps them, and those that are still on their way out.
    keepers: BTreeMap<JobId, JoinHandle<()>>,
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
    /// The jobs of a host, of which none has been looked at. `parameters`: values of `${NAME}` in their files.
    pub fn new(home: Home, parameters: Vec<(String, String)>, terminal: Terminal) -> Self {
        let bell = Arc::new(Bell::new(terminal.clone()));
        Self { home, parameters, bell, terminal, jobs: Mutex::default() }
    }

    /// What rings when something may have changed.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Where their files are.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Values of `${NAME}` in their files.
    pub fn parameters(&self) -> Parameters {
        Parameters::new(self.parameters.iter().cloned())
    }

    /// All of them, by what they are called.
    pub fn jobs(&self) -> Vec<Arc<Hosted>> {
        self.known().hosted.values().cloned().collect()
    }

    /// The one that is called so.
    pub fn job(&self, id: &str) -> Result<Arc<Hosted>> {
        let unknown = || Error::invalid(format!("there is no job {id}"));
        let known = id.parse().ok().and_then(|id: JobId| self.known().hosted.get(&id).cloned());
        known.ok_or_else(unknown)
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
        jobs.hosted.retain(|id, hosted| {
            let stays = found.contains_key(id);
            if !stays {
                self.terminal.note(&format!("{id}: its file has gone"));
                hosted.leave();
            }
            stays
        });
        for (id, Found { file, digest, is_paused }) in found {
            let Some(digest) = digest else { continue };
            match jobs.hosted.get(&id) {
                Some(hosted) => hosted.follow(&digest, is_paused),
                None => self.begin(&mut jobs, id, file, digest, is_paused),
            }
        }
        problem.map_or(Ok(()), Err)
    }

    fn begin(&self, jobs: &mut Jobs, id: JobId, file: PathBuf, digest: String, is_paused: bool) {
        let target = if is_paused { Target::Paused } else { Target::Run { file: digest, restarts: 0 } };
        let hosted = Arc::new(Hosted::new(id.clone(), file, target));
        let terminal = self.terminal.of_job(&id.to_string());
        let keeper = Keeper::new(hosted.clone(), self.parameters.clone(), self.bell.clone(), terminal);
        let before = jobs.keepers.remove(&id);
        let kept = tokio::spawn(async move {
            // One of the same name may still be taking its last checkpoint.
            if let Some(before) = before {
                let _ = before.await;
            }
            keeper.keep().await;
        });
        jobs.keepers.insert(id.clone(), kept);
        jobs.hosted.insert(id, hosted);
    }

    /// Pauses a job, or has it go on. It stays so when the host is started again.
    pub fn set_paused(&self, id: &str, paused: bool) -> Result<Arc<Hosted>> {
        let hosted = self.job(id)?;
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
    pub async fn write(&self, id: &str, text: String) -> Result<Arc<Hosted>> {
        let known: JobId = id.parse()?;
        let path = self.home.job(&known);
        let (file, terminal) = (JobFile::new(&path, text), self.terminal.of_job(id));
        let parameters = self.parameters();
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
        self.job(id)
    }

    /// Removes the file of a job.
    pub fn remove(&self, id: &str) -> Result<()> {
        let path = self.job(id)?.file().clone();
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
        for (id, keeper) in keepers {
            if timeout_at(until, keeper).await.is_err() {
                late.push(id.to_string());
            }
        }
        match late.is_empty() {
            true => Ok(()),
            false => Err(Error::unavailable(format!("no last checkpoint in time: {}", late.join(", ")))
                .hint("the next start goes on from the one before")),
        }
    }

    /// The folders whose content decides which jobs there are.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let tenants = self.tenants().unwrap_or_default();
        let jobs = tenants.iter().map(|tenant| self.home.jobs(Some(tenant)));
        let own = [self.home.root().to_owned(), self.home.jobs(None), self.home.tenants()];
        own.into_iter().chain(jobs).filter(|folder| folder.is_dir()).collect()
    }

    /// The names of all tenants.
    fn tenants(&self) -> Result<Vec<String>> {
        Ok(toml_files(&self.home.tenants())?.into_iter().map(|(name, _)| name).collect())
    }

    /// The jobs that there are files of, and why some of these cannot be read.
    fn find(&self) -> Result<(BTreeMap<JobId, Found>, Option<Error>)> {
        let (mut found, mut problem) = (BTreeMap::new(), None);
        let tenants = self.tenants()?;
        for tenant in [None].into_iter().chain(tenants.iter().map(|tenant| Some(tenant.as_str()))) {
            for (name, file) in toml_files(&self.home.jobs(tenant))? {
                let Some(id) = JobId::new(tenant, &name) else { continue };
                let digest = match fs::read(&file) {
                    Ok(text) => Some(sha256(&text)),
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
                    Err(error) => {
                        problem = Some(Error::unavailable(format!("read {}", file.display())).with_source(error));
                        None
                    }
                };
                let is_paused = file.with_extension("paused").exists();
                found.insert(id, Found { file, digest, is_paused });
            }
        }
        Ok((found, problem))
    }

    fn known(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files `NAME.toml` of a folder, if there is one.
fn toml_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error| Error::unavailable(format!("read {}", folder.display())).with_source(error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(failed)?.path();
        let name = file.file_stem().and_then(|name| name.to_str()).filter(|name| is_name(name)).map(str::to_owned);
        if let (Some(name), Some("toml")) = (name, file.extension().and_then(|end| end.to_str())) {
            files.push((name, file));
        }
    }
    Ok(files)
}
