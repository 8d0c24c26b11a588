//! A running `wasmill serve`, and its API.

use super::host::{Ended, Host};
use super::http::{json, send, send_with};
use super::patience::until;
use super::program::wasmill;
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A host of many jobs, with a folder for their files.
pub struct Fleet {
    dir: TempDir,
    runs: Cell<usize>,
}

/// A run of it.
pub struct Serving {
    host: Host,
    url: String,
}

impl Fleet {
    /// Without jobs.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("jobs")).expect("a folder");
        Self { dir, runs: Cell::new(0) }
    }

    /// Where job files lie.
    pub fn jobs(&self) -> PathBuf {
        self.dir.path().join("jobs")
    }

    /// Puts a job file there, whole at once.
    pub fn write(&self, name: &str, text: &str) {
        let draft = self.dir.path().join(name);
        fs::write(&draft, text).expect("it can be written");
        fs::rename(draft, self.jobs().join(format!("{name}.toml"))).expect("it can be renamed");
    }

    /// The folder of a tenant.
    pub fn tenant(&self, tenant: &str) -> PathBuf {
        self.dir.path().join("tenants").join(tenant)
    }

    /// Puts the file of a tenant there, whole at once.
    pub fn allow(&self, tenant: &str, text: &str) {
        let (folder, draft) = (self.tenant(tenant), self.dir.path().join(tenant));
        fs::create_dir_all(folder.join("jobs")).expect("a folder");
        fs::write(&draft, text).expect("it can be written");
        fs::rename(draft, folder.with_extension("toml")).expect("it can be renamed");
    }

    /// Puts a job file of a tenant there, whole at once.
    pub fn write_for(&self, tenant: &str, name: &str, text: &str) {
        let draft = self.dir.path().join(name);
        fs::write(&draft, text).expect("it can be written");
        fs::rename(draft, self.tenant(tenant).join("jobs").join(format!("{name}.toml"))).expect("it can be renamed");
    }

    /// Starts it.
    pub fn start(&self) -> Serving {
        self.start_with(&[])
    }

    /// Starts it with more arguments.
    pub fn start_with(&self, arguments: &[&str]) -> Serving {
        self.runs.set(self.runs.get() + 1);
        let log = self.dir.path().join(format!("serve-{}.log", self.runs.get()));
        let mut command = wasmill(self.dir.path());
        let mut host = Host::start(command.args(["serve", ".", "--listen", "127.0.0.1:0"]).args(arguments), &log);
        let url = until("the address of the API", || {
            assert!(host.status().is_none(), "{}", host.text());
            let text = host.text();
            let (_, address) = text.split_once("; http://")?;
            Some(format!("http://{}", address.split_once('/')?.0))
        });
        Serving { host, url }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Serving {
    /// The URL of a path of the API.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What a path says, as JSON.
    pub fn get(&self, path: &str) -> Value {
        json("GET", &self.url(path), "")
    }

    /// What a path says, and with which status.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        send(method, &self.url(path), body)
    }

    /// Writes a job by the API.
    pub fn put(&self, name: &str, text: &str) -> (u16, String) {
        let headers = [("Content-Type", "application/toml")];
        let (status, _, body) = send_with("PUT", &self.url(&format!("/api/v1/jobs/{name}")), &headers, text.as_bytes());
        (status, body)
    }

    /// Waits until a job is in a state, and returns what is known of it then.
    pub fn until(&mut self, job: &str, state: &str) -> Value {
        let path = format!("/api/v1/jobs/{job}");
        until(&format!("{job} is {state}"), || {
            assert!(self.host.status().is_none(), "{}", self.host.text());
            let (status, text) = self.ask("GET", &path, "");
            let now: Value = serde_json::from_str(&text).unwrap_or_default();
            (status == 200 && now["state"] == state).then_some(now)
        })
    }

    /// Stops it as a service manager does.
    pub fn stop(self) -> Ended {
        self.host.signal("TERM");
        self.host.wait()
    }

    /// Ends it as a power cut does.
    pub fn kill(self) -> Ended {
        self.host.kill()
    }
}
