//! The jobs of a host: one for each file `NAME.toml` in its folders, paused as long as there is a file `NAME.paused` beside it.

use super::home::{Home, JobId, is_name};
use super::hosted::{Hosted, Target};
use super::keeper::{Keeper, hostable};
use super::tenant::{Tenant, TenantStatus};
use crate::digest::sha256;
use crate::job::{JobFile, Parameters};
use crate::log::Ring;
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
use tracing::Instrument;
use wasmill_stream::{Error, ErrorKind as Kind, Result};

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
    /// What was said of the files of tenants.
    complaints: Mutex<BTreeMap<String, String>>,
}

#[derive(Default)]
struct Jobs {
    tenants: BTreeMap<String, Arc<Tenant>>,
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
    /// Why it may not run.
    barred: Option<String>,
}

impl Fleet {
    /// The jobs of a host, of which none has been looked at. `parameters`: values of `${NAME}` in their files.
    pub fn new(home: Home, parameters: Vec<(String, String)>, terminal: Terminal) -> Self {
        let bell = Arc::new(Bell::new(terminal.clone()));
        Self { home, parameters, bell, terminal, jobs: Mutex::default(), complaints: Mutex::default() }
    }

    /// What rings when something may have changed.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Where their files are.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Values of `${NAME}` in the file of one of them, and what it may reach.
    pub fn parameters(&self, id: &JobId) -> Result<Parameters> {
        let surroundings = Surroundings::of(self, id, &self.known());
        surroundings.parameters()
    }

    /// All of them, by what they are called.
    pub fn jobs(&self) -> Vec<Arc<Hosted>> {
        self.known().hosted.values().cloned().collect()
    }

    /// What a job keeps of its log.
    pub fn logs(&self, id: &JobId) -> Arc<Ring> {
        self.terminal.logs().ring(&id.to_string())
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
        let changed = self.find_tenants(&mut jobs)?;
        let (mut found, problem) = self.find(&jobs)?;
        bar(&jobs, &mut found);
        jobs.hosted.retain(|id, hosted| {
            let stays = found.contains_key(id);
            if !stays {
                self.terminal.note(&format!("{id}: its file has gone"));
                hosted.leave();
                self.terminal.logs().forget(&id.to_string());
            }
            stays
        });
        for (id, Found { file, digest, is_paused, barred }) in found {
            let Some(digest) = digest else { continue };
            let target = match barred {
                Some(reason) => Target::Barred(reason),
                None if is_paused => Target::Paused,
                None => Target::Run { file: digest, restarts: 0 },
            };
            match jobs.hosted.get(&id) {
                Some(hosted) => hosted.follow(target),
                None => self.begin(&mut jobs, id, file, target),
            }
        }
        for hosted in jobs.hosted.values().filter(|hosted| hosted.id().tenant().is_some_and(|of| changed.contains(of)))
        {
            hosted.restart();
        }
        problem.map_or(Ok(()), Err)
    }

    fn begin(&self, jobs: &mut Jobs, id: JobId, file: PathBuf, target: Target) {
        let surroundings = Surroundings::of(self, &id, jobs);
        let hosted = Arc::new(Hosted::new(id.clone(), file, target));
        let terminal = self.terminal.of_job(&id);
        let span = terminal.span().clone();
        let keeper = Keeper::new(hosted.clone(), surroundings, self.bell.clone(), terminal);
        let before = jobs.keepers.remove(&id);
        let keeping = async move {
            // One of the same name may still be taking its last checkpoint.
            if let Some(before) = before {
                let _ = before.await;
            }
            keeper.keep().await;
        };
        let kept = tokio::spawn(keeping.instrument(span));
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
        let (file, terminal) = (JobFile::new(&path, text), self.terminal.of_job(&known));
        let parameters = {
            let jobs = self.known();
            if let (Some(tenant), None) = (known.tenant(), jobs.hosted.get(&known)) {
                jobs.room_for_one(tenant)?;
            }
            Surroundings::of(self, &known, &jobs).parameters()?
        };
        let making = spawn_blocking(move || {
            let _of_job = terminal.span().enter();
            hostable(&file, &parameters, &terminal).map(|_| file)
        });
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
        let tenants: Vec<_> = self.known().tenants.keys().cloned().collect();
        let jobs = tenants.iter().map(|tenant| self.home.jobs(Some(tenant)));
        let own = [self.home.root().to_owned(), self.home.jobs(None), self.home.tenants()];
        own.into_iter().chain(jobs).filter(|folder| folder.is_dir()).collect()
    }

    /// How all tenants stand.
    pub fn tenants(&self) -> Vec<TenantStatus> {
        let jobs = self.known();
        jobs.tenants.values().map(|tenant| TenantStatus::of(tenant, jobs.of(tenant.name()).count())).collect()
    }

    /// Takes on what the files of tenants say. Those whose jobs may reach something else than before.
    fn find_tenants(&self, jobs: &mut Jobs) -> Result<BTreeSet<String>> {
        let (mut found, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for (name, file) in toml_files(&self.home.tenants())? {
            let text = match fs::read_to_string(&file) {
                Ok(text) => Ok(text),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
                Err(error) => Err(Error::unavailable(format!("read {}", file.display())).with_source(error)),
            };
            let followed = text.and_then(|text| match jobs.tenants.get(&name) {
                Some(tenant) => tenant.follow(&self.home, &text),
                None => {
                    jobs.tenants.insert(name.clone(), Arc::new(Tenant::open(&self.home, &name, &text)?));
                    Ok(false)
                }
            });
            match followed {
                Ok(true) => drop(changed.insert(name.clone())),
                Ok(false) => {}
                // What it said before still holds.
                Err(error) => self.complain(&name, &error),
            }
            found.insert(name);
        }
        jobs.tenants.retain(|name, _| found.contains(name));
        Ok(changed)
    }

    /// The jobs that there are files of, and why some of these cannot be read.
    fn find(&self, jobs: &Jobs) -> Result<(BTreeMap<JobId, Found>, Option<Error>)> {
        let (mut found, mut problem) = (BTreeMap::new(), None);
        for tenant in [None].into_iter().chain(jobs.tenants.keys().map(|tenant| Some(tenant.as_str()))) {
            for (name, file) in toml_files(&self.home.jobs(tenant))? {
                let Some(id) = JobId::new(tenant, &name) else { continue };
                // A link may lead to what is not the tenant's.
                if tenant.is_some() && file.is_symlink() {
                    continue;
                }
                let digest = match fs::read(&file) {
                    Ok(text) => Some(sha256(&text)),
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
                    Err(error) => {
                        problem = Some(Error::unavailable(format!("read {}", file.display())).with_source(error));
                        None
                    }
                };
                let is_paused = file.with_extension("paused").exists();
                found.insert(id, Found { file, digest, is_paused, barred: None });
            }
        }
        Ok((found, problem))
    }

    /// Says what is wrong with the file of a tenant, once.
    fn complain(&self, tenant: &str, error: &Error) {
        let complaint = error.report();
        let mut last = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(tenant) != Some(&complaint) {
            self.terminal.note(&complaint);
            last.insert(tenant.to_owned(), complaint);
        }
    }

    fn known(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// The jobs of a tenant.
    fn of(&self, tenant: &str) -> impl Iterator<Item = &Arc<Hosted>> {
        self.hosted.values().filter(move |hosted| hosted.id().tenant() == Some(tenant))
    }

    /// Whether a tenant may have one more job.
    fn room_for_one(&self, tenant: &str) -> Result<()> {
        let Some(known) = self.tenants.get(tenant) else {
            return Err(Error::invalid(format!("there is no tenant {tenant}")));
        };
        match known.jobs() {
            Some(most) if self.of(tenant).count() >= most => Err(Error::new(Kind::Denied, too_many(tenant, most))),
            _ => Ok(()),
        }
    }
}

/// Bars what is beyond the number of jobs that a tenant may have: those that came last.
fn bar(jobs: &Jobs, found: &mut BTreeMap<JobId, Found>) {
    for (name, tenant) in &jobs.tenants {
        let Some(most) = tenant.jobs() else { continue };
        let mut ids: Vec<_> = found.keys().filter(|id| id.tenant() == Some(name)).cloned().collect();
        ids.sort_by_key(|id| jobs.hosted.get(id).is_none_or(|hosted| hosted.is_barred()));
        for id in ids.iter().skip(most) {
            if let Some(found) = found.get_mut(id) {
                found.barred = Some(too_many(name, most));
            }
        }
    }
}

fn too_many(tenant: &str, most: usize) -> String {
    format!("quota `jobs` of tenant {tenant}: it has more jobs than the {most} that it may have")
}

/// Where the values in a job file come from, and what the job may reach.
#[derive(Clone)]
pub struct Surroundings {
    job: String,
    tenant: Option<Arc<Tenant>>,
    parameters: Vec<(String, String)>,
}

impl Surroundings {
    fn of(fleet: &Fleet, id: &JobId, jobs: &Jobs) -> Self {
        let tenant = id.tenant().and_then(|tenant| jobs.tenants.get(tenant).cloned());
        Self { job: id.name().to_owned(), tenant, parameters: fleet.parameters.clone() }
    }

    /// As they are now.
    pub fn parameters(&self) -> Result<Parameters> {
        match &self.tenant {
            Some(tenant) => tenant.surroundings(&self.job),
            None => Ok(Parameters::new(self.parameters.iter().cloned())),
        }
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
