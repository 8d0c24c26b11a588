//! Tenants: whose jobs a host runs, what these may reach, and what they may take together.

mod access;
mod rules;
mod settings;
mod status;

pub use access::{Ways, session_of};
pub use rules::Rules;
pub use settings::{Class, Settings};
pub use status::{RateStatus, TenantStatus};

use super::home::Home;
use crate::digest::sha256;
use crate::job::{JobFile, Parameters};
use crate::report::{self, Style};
use access::TenantAccess;
use miette::Severity;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmill_stream::quota::Quota;
use wasmill_stream::{Error, ErrorKind, Result};

/// A tenant of a host.
pub struct Tenant {
    name: String,
    /// Everything that belongs to it.
    folder: PathBuf,
    quota: Arc<Quota>,
    known: Mutex<Known>,
}

struct Known {
    /// The digest of the file they come from.
    digest: String,
    settings: Settings,
}

impl Tenant {
    /// The tenant of a file `tenants/NAME.toml`. Its folder is made if there is none.
    pub fn open(home: &Home, name: &str, text: &str) -> Result<Self> {
        let folder = home.tenant(name);
        let failed = |error| Error::unavailable(format!("make the folder {}", folder.display())).with_source(error);
        for folder in [&folder, &folder.join("jobs")] {
            // What belongs to a tenant is nobody else's to read.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        Ok(Self::with(home, name, read(home, name, text)?, sha256(text.as_bytes())))
    }

    /// The one whose file says that, in a process that has no such file.
    pub fn of_settings(home: &Home, name: &str, settings: Settings) -> Self {
        Self::with(home, name, settings, String::new())
    }

    fn with(home: &Home, name: &str, settings: Settings, digest: String) -> Self {
        let folder = home.tenant(name);
        let quota = Arc::new(Quota::unlimited(format!("tenant {name}")));
        settings.set_limits(&quota);
        let known = Mutex::new(Known { digest, settings });
        Self { name: name.to_owned(), folder, quota, known }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its jobs take together.
    pub fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// How many jobs it may have.
    pub fn jobs(&self) -> Option<usize> {
        self.known().settings.jobs
    }

    /// Takes on what its file says now. Limits hold from now on; tells whether it is something else that its jobs may reach, for
    /// which they have to be started again.
    pub fn follow(&self, home: &Home, text: &str) -> Result<bool> {
        let digest = sha256(text.as_bytes());
        if self.known().digest == digest {
            return Ok(false);
        }
        let settings = read(home, &self.name, text)?;
        Ok(self.take(settings, digest))
    }

    /// The same, of settings that were read elsewhere.
    pub fn follow_settings(&self, settings: Settings) -> bool {
        self.take(settings, String::new())
    }

    fn take(&self, settings: Settings, digest: String) -> bool {
        settings.set_limits(&self.quota);
        let mut known = self.known();
        let is_other = known.settings.rules != settings.rules || known.settings.parameters != settings.parameters;
        *known = Known { digest, settings };
        is_other
    }

    /// What its file says.
    pub fn settings(&self) -> Settings {
        self.known().settings.clone()
    }

    /// What its jobs may reach.
    pub fn rules(&self) -> Rules {
        self.known().settings.rules.clone()
    }

    /// Where its jobs run, if its file says so.
    pub fn class(&self) -> Option<Class> {
        self.known().settings.class
    }

    /// What is around the files of its jobs: its own parameters and secrets, and what it may reach, which way. `job`: the name of the job.
    pub fn surroundings(&self, job: &str, ways: Ways) -> Result<Parameters> {
        let (rules, mut values) = {
            let known = self.known();
            (known.settings.rules.clone(), known.settings.parameters.clone())
        };
        values.extend(secrets(&self.folder.join("secrets"))?);
        let folder = self.folder.canonicalize();
        let folder = folder.map_err(|error| {
            Error::unavailable(format!("find the folder {}", self.folder.display())).with_source(error)
        })?;
        let access = TenantAccess::new(&self.name, job, folder, rules, self.quota.clone()).by(ways);
        Ok(Parameters::new(values).within(Arc::new(access)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the file of a tenant. Everything that is wrong with it is the error.
fn read(home: &Home, name: &str, text: &str) -> Result<Settings> {
    let file = JobFile::new(home.tenants().join(format!("{name}.toml")), text);
    Settings::read(&file).map_err(|problems| {
        let drawn = report::draw(&file, &problems, Severity::Error, Style::Plain);
        Error::invalid(format!("tenant {name}: {} cannot be used\n{drawn}", file.path().display()))
    })
}

/// What the files `secrets/NAME` of a tenant hold, each a parameter. Others than its owner must not be able to read one.
fn secrets(folder: &Path) -> Result<BTreeMap<String, String>> {
    let failed = |path: &Path, error| Error::unavailable(format!("read {}", path.display())).with_source(error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(folder, error)),
    };
    let mut secrets = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        let (Some(name), true) = (path.file_name().and_then(|name| name.to_str()), path.is_file()) else { continue };
        let mode = fs::metadata(&path).map_err(|error| failed(&path, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let message = format!("{} can be read by others (mode {:o})", path.display(), mode & 0o777);
            return Err(Error::new(ErrorKind::Denied, message).hint(format!("chmod 600 {}", path.display())));
        }
        let value = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        // Editors end files with a line break.
        secrets.insert(name.to_owned(), value.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(secrets)
}
