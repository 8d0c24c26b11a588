//! The files that say which jobs there are.

use super::{Fleet, Jobs, too_many};
use crate::digest::sha256;
use crate::serve::home::{JobId, is_name};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use wasmill_stream::{Error, Result};

/// A job as its files say.
pub(super) struct Found {
    pub(super) file: PathBuf,
    /// Its digest; `None`: it cannot be read now.
    pub(super) digest: Option<String>,
    pub(super) is_paused: bool,
    /// Why it may not run.
    pub(super) barred: Option<String>,
}

impl Fleet {
    /// The jobs that there are files of, and why some of these cannot be read.
    pub(super) fn find(&self, jobs: &Jobs) -> Result<(BTreeMap<JobId, Found>, Option<Error>)> {
        let (mut found, mut problem) = (BTreeMap::new(), None);
        let here = jobs.tenants.keys().map(String::as_str).filter(|tenant| jobs.runs_here(tenant));
        for tenant in [None].into_iter().chain(here.map(Some)) {
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
}

/// Bars what is beyond the number of jobs that a tenant may have: those that came last.
pub(super) fn bar(jobs: &Jobs, found: &mut BTreeMap<JobId, Found>) {
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

/// The files `NAME.toml` of a folder, if there is one.
pub fn toml_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
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
