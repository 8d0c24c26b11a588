//! What the jobs of a tenant may reach: what its rules name, and files in its own folder.

use super::rules::Rules;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use wasmill_stream::access::{Access, Barred, Reach, Role, WayOut};
use wasmill_stream::quota::Quota;

/// AWS takes no longer names of sessions.
const LONGEST_SESSION: usize = 64;

/// What one job of a tenant may reach.
#[derive(Debug)]
pub struct TenantAccess {
    owner: String,
    job: String,
    /// What its sessions at AWS are called.
    session: String,
    /// Its folder, as the system has it: without links.
    folder: PathBuf,
    rules: Rules,
    quota: Arc<Quota>,
    ways: Option<Ways>,
}

/// The ways out of a tenant's jobs.
#[derive(Debug, Clone)]
pub struct Ways {
    /// To servers.
    pub out: WayOut,
    /// To the credentials of its role, if the job is not to take it on by itself.
    pub credentials: Option<String>,
}

/// What the session of a job is called at AWS.
pub fn session_of(tenant: &str, job: &str) -> String {
    format!("{tenant}@{job}").chars().take(LONGEST_SESSION).collect()
}

impl TenantAccess {
    /// Of a job, in the folder of its tenant.
    pub fn new(tenant: &str, job: &str, folder: PathBuf, rules: Rules, quota: Arc<Quota>) -> Self {
        let (owner, session) = (format!("tenant {tenant}"), session_of(tenant, job));
        Self { owner, job: job.to_owned(), session, folder, rules, quota, ways: None }
    }

    /// Its connections go these ways.
    pub fn by(self, ways: Ways) -> Self {
        Self { ways: Some(ways), ..self }
    }

    /// A path without `.` and `..`, as seen from the tenant's folder.
    fn plain(&self, path: &Path) -> PathBuf {
        let mut plain = PathBuf::new();
        for part in self.folder.join(path).components() {
            match part {
                Component::ParentDir => {
                    plain.pop();
                }
                Component::CurDir => {}
                part => plain.push(part),
            }
        }
        plain
    }
}

impl Access for TenantAccess {
    fn allows(&self, reach: Reach<'_>) -> Result<(), Barred> {
        self.rules.allow(&self.owner, reach)
    }

    fn path(&self, path: PathBuf) -> Result<PathBuf, Barred> {
        let plain = self.plain(&path);
        // Of what is not there yet, the part that is: links in it may lead anywhere, or to what is not there either.
        let there = plain.ancestors().find(|part| part.symlink_metadata().is_ok());
        let there = there.and_then(|part| part.canonicalize().ok());
        let secrets = self.folder.join("secrets");
        let is_inside = |path: &Path| path.starts_with(&self.folder) && !path.starts_with(&secrets);
        if is_inside(&plain) && there.is_some_and(|there| is_inside(&there)) {
            return Ok(plain);
        }
        let message = format!("{} may not use the path {}", self.owner, path.display());
        Err(Barred { message, hint: "write a path as seen from the tenant's folder, such as \"out/rows\"".to_owned() })
    }

    fn builds(&self) -> bool {
        false
    }

    fn quota(&self) -> Option<Arc<Quota>> {
        Some(self.quota.clone())
    }

    fn role(&self) -> Option<Role> {
        let lent_at = self.ways.as_ref().and_then(|ways| ways.credentials.clone());
        self.rules.role(self.session.clone()).map(|role| Role { lent_at, ..role })
    }

    fn way_out(&self) -> Option<WayOut> {
        self.ways.as_ref().map(|ways| WayOut { user: self.job.clone(), ..ways.out.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn access(folder: &Path) -> TenantAccess {
        let quota = Arc::new(Quota::unlimited("tenant acme"));
        TenantAccess::new("acme", "job", folder.canonicalize().expect("a folder"), Rules::default(), quota)
    }

    /// Paths within the tenant's folder, there or not → they lead there; paths out of it, by dots, as a whole or by a link, and its
    /// secrets → refused.
    #[test]
    fn paths_stay_inside() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("acme");
        fs::create_dir_all(folder.join("jobs")).expect("a folder");
        fs::create_dir_all(folder.join("secrets")).expect("a folder");
        fs::create_dir(home.path().join("acme-2")).expect("a folder");
        symlink(home.path(), folder.join("up")).expect("a link");
        symlink("/etc/passwd", folder.join("passwd")).expect("a link");
        symlink(home.path().join("not/yet"), folder.join("nowhere")).expect("a link");
        symlink(folder.join("secrets"), folder.join("mine")).expect("a link");
        let access = access(&folder);
        let folder = folder.canonicalize().expect("a folder");
        for path in ["out", "out/deep/rows", "jobs/../plugin.wasm", "./a", "x/../y", "secrets.txt"] {
            let leads = access.path(path.into()).unwrap_or_else(|barred| panic!("{path}: {barred:?}"));
            assert!(leads.starts_with(&folder), "{path}: {}", leads.display());
            assert!(leads.components().all(|part| part != Component::ParentDir));
        }
        let whole = folder.join("jobs/../p.wasm");
        assert_eq!(access.path(whole).expect("it is inside"), folder.join("p.wasm"));
        let neighbour = home.path().join("acme-2/x").display().to_string();
        for path in [
            "..",
            "../acme-2/x",
            "jobs/../../x",
            "/etc/passwd",
            "up/x",
            "up/new/x",
            "passwd",
            "nowhere",
            "nowhere/x",
            "up",
            "secrets/key",
            "mine/key",
            "secrets",
            &neighbour,
        ] {
            let barred = access.path(path.into()).expect_err(path);
            assert!(barred.message.contains("tenant acme may not use the path"), "{barred:?}");
        }
    }

    /// Long names → a session name that AWS takes.
    #[test]
    fn sessions_are_short() {
        let quota = Arc::new(Quota::unlimited("tenant"));
        let aws = super::super::rules::AwsRules { role: "arn".into(), external_id: None, policy: None };
        let mut rules = Rules::default();
        rules.aws = Some(aws);
        let access = TenantAccess::new("acme", &"x".repeat(100), "/".into(), rules, quota);
        assert_eq!(access.role().expect("a role").session.len(), LONGEST_SESSION);
    }
}
