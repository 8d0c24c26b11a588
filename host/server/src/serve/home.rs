//! The folder of a host, and what its jobs are called.
//!
//! ```text
//! HOME/jobs/NAME.toml                     jobs of whoever runs the host
//! HOME/tenants/TENANT.toml                what a tenant may, and may take
//! HOME/tenants/TENANT/jobs/NAME.toml      its jobs; all its files are in HOME/tenants/TENANT
//! HOME/processes/TENANT                   of its process, if it has one to itself: can be had again
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use wasmill_stream::{Error, Result};

/// The longest name of a job or a tenant.
const LONGEST: usize = 100;

/// The folder of a host.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The one that is there.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| {
            let hint = format!("`mkdir -p {}` makes one; job files go there", path.join("jobs").display());
            Error::invalid(format!("find the folder {}", path.display())).with_source(error).hint(hint)
        };
        let home = Self { root: path.canonicalize().map_err(failed)? };
        if !home.jobs(None).is_dir() && !home.tenants().is_dir() {
            let message = format!("{} has neither a folder `jobs` nor one `tenants`", path.display());
            let hint = format!("job files go into {}", path.join("jobs").display());
            return Err(Error::invalid(message).hint(hint));
        }
        Ok(home)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the settings of tenants are, and their folders.
    pub fn tenants(&self) -> PathBuf {
        self.root.join("tenants")
    }

    /// Everything that belongs to a tenant.
    pub fn tenant(&self, name: &str) -> PathBuf {
        self.tenants().join(name)
    }

    /// What belongs to the process of a tenant, and not to the tenant: what it has compiled, and its sockets.
    pub fn process(&self, tenant: &str) -> PathBuf {
        self.root.join("processes").join(tenant)
    }

    /// The job files of a tenant, or of whoever runs the host.
    pub fn jobs(&self, tenant: Option<&str>) -> PathBuf {
        match tenant {
            Some(tenant) => self.tenant(tenant).join("jobs"),
            None => self.root.join("jobs"),
        }
    }

    /// The file of a job.
    pub fn job(&self, id: &JobId) -> PathBuf {
        self.jobs(id.tenant()).join(format!("{}.toml", id.name))
    }
}

/// What a job is called: `NAME`, or `TENANT:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    tenant: Option<String>,
    name: String,
}

impl JobId {
    /// The job of a tenant, or of whoever runs the host. `None` if it cannot be called so.
    pub fn new(tenant: Option<&str>, name: &str) -> Option<Self> {
        let fits = is_name(name) && tenant.is_none_or(is_name);
        fits.then(|| Self { tenant: tenant.map(str::to_owned), name: name.to_owned() })
    }

    /// Whose it is; `None`: it belongs to whoever runs the host.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Its name among the jobs of its tenant.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant}:{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = match text.split_once(':') {
            Some((tenant, name)) => Self::new(Some(tenant), name),
            None => Self::new(None, text),
        };
        id.ok_or_else(|| {
            Error::invalid(format!(
                "a job cannot be called {text:?}: letters, digits, `-`, `_` and `.`, at most {LONGEST}"
            ))
            .hint("the job of a tenant is TENANT:NAME")
        })
    }
}

/// Whether a job or a tenant may be called so: names become parts of paths and labels of metrics.
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with and without a tenant → themselves, as text and back; what leads out of the folder, or nowhere → refused.
    #[test]
    fn what_jobs_are_called() {
        for text in ["taxi", "acme:taxi", "a.b-c_1:d.e"] {
            assert_eq!(text.parse::<JobId>().expect("a name").to_string(), text);
        }
        let longest = "x".repeat(LONGEST);
        assert!(longest.parse::<JobId>().is_ok());
        let longer = format!("{longest}x");
        for text in ["", ":", "a:", ":a", "a:b:c", "..", "a/b", "../a:b", "a:..", ".a", "a b", "a\n", "ä", &longer] {
            let error = text.parse::<JobId>().expect_err(text);
            assert!(error.to_string().contains("cannot be called"), "{error}");
        }
    }
}
