//! The jobs of a host: one for each file `NAME.toml` in its folders, paused as long as there is a file `NAME.paused` beside it.

mod files;
mod places;
mod surroundings;

pub use super::tenant::Ways;
pub use surroundings::Surroundings;

use super::LAST_CHECKPOINTS;
use super::home::{Home, JobId};
use super::hosted::{Hosted, Target};
use super::keeper::{Keeper, hostable};
use super::tenant::{Class, Settings, Tenant, TenantStatus};
use crate::job::{JobFile, Parameters};
use crate::log::Ring;
use crate::terminal::Terminal;
use crate::watch::Bell;
pub use files::toml_files;
use files::{Found, bar};
use places::Places;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use wasmill_stream::{Error, ErrorKind as Kind, Result};

/// How much longer than jobs of its own a host waits for those in other processes, which wait for them as long as it does.
const FAREWELL: Duration = Duration::from_secs(3);

/// The jobs of a host.
pub struct Fleet {
    home: Home,
    parameters: Vec<(String, String)>,
    /// Where the jobs of tenants run whose files do not say.
    class: Class,
    /// In the process of a tenant: the ways out, which others keep.
    ways: Option<Ways>,
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
    /// Where tenants run.
    places: Places,
    /// No more are started.
    is_closed: bool,
}

impl Fleet {
    /// The jobs of a host, of which none has been looked at. `class`: where those of tenants run whose files do not say;
    /// `parameters`: values of `${NAME}` in their files.
    pub fn new(home: Home, class: Class, parameters: Vec<(String, String)>, terminal: Terminal) -> Self {
        let (bell, jobs) = (Arc::new(Bell::new(terminal.clone())), Mutex::default());
        Self { home, parameters, class, ways: None, bell, terminal, jobs, complaints: Mutex::default() }
    }

    /// The jobs of one tenant, in a process of its own.
    pub fn of_tenant(home: Home, name: &str, settings: Settings, ways: Ways, terminal: Terminal) -> Self {
        let tenant = Tenant::of_settings(&home, name, settings);
        let fleet = Self::new(home, Class::Shared, Vec::new(), terminal);
        fleet.known().tenants.insert(name.to_owned(), Arc::new(tenant));
        Self { ways: Some(ways), ..fleet }
    }

    /// The file of the one tenant says that now.
    pub fn hand(&self, settings: Settings) {
        let jobs = self.known();
        for (name, tenant) in &jobs.tenants {
            if tenant.follow_settings(settings.clone()) {
                for hosted in jobs.of(name) {
                    hosted.restart();
                }
            }
        }
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
        self.place(&mut jobs)?;
        let (mut found, problem) = self.find(&jobs)?;
        bar(&jobs, &mut found);
        jobs.hosted.retain(|id, hosted| {
            let stays = found.contains_key(id);
            if !stays {
                let why = if hosted.file().exists() { "its tenant runs elsewhere" } else { "its file has gone" };
                self.terminal.note(&format!("{id}: {why}"));
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
        let (keepers, processes) = {
            let mut jobs = self.known();
            jobs.is_closed = true;
            jobs.hosted.values().for_each(|hosted| hosted.leave());
            (std::mem::take(&mut jobs.keepers), jobs.places.leave())
        };
        let until = Instant::now() + LAST_CHECKPOINTS;
        let mut late = Vec::new();
        for (id, keeper) in keepers {
            if timeout_at(until, keeper).await.is_err() {
                late.push(id.to_string());
            }
        }
        for (tenant, keeper) in processes {
            if timeout_at(until + FAREWELL, keeper).await.is_err() {
                late.push(format!("tenant {tenant}"));
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
        let of = |tenant: &Arc<Tenant>| {
            let status = TenantStatus::of(tenant, jobs.of(tenant.name()).count());
            jobs.places.complete(tenant.name(), status)
        };
        jobs.tenants.values().map(of).collect()
    }

    /// Takes on what the files of tenants say. Those whose jobs may reach something else than before.
    fn find_tenants(&self, jobs: &mut Jobs) -> Result<BTreeSet<String>> {
        // The process of a tenant is told what its file says.
        if self.ways.is_some() {
            return Ok(BTreeSet::new());
        }
        let (mut found, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for (name, file) in toml_files(&self.home.tenants())? {
            let text = match fs::read_to_string(&file) {
                Ok(text) => Ok(text),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
                Err(error) => Err(Error::unavailable(format!("read {}", file.display())).with_source(error)),
            };
            let followed = text.and_then(|text| match jobs.tenants.get(&name) {
                Some(tenant) => {
                    let before = tenant.settings();
                    tenant.follow(&self.home, &text).inspect(|_| jobs.places.follow(tenant, &before))
                }
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

fn too_many(tenant: &str, most: usize) -> String {
    format!("quota `jobs` of tenant {tenant}: it has more jobs than the {most} that it may have")
}
