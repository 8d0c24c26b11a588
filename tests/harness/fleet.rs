//! A running `wasmill serve`, and its API.

use super::host::{Ended, Host};
use super::http::send_with;
use super::patience::until;
use super::program::{output, wasmill};
use super::skipped;
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Where the jobs of tenants can run here: a machine that cannot confine processes has one of the two.
pub fn classes() -> Vec<&'static str> {
    if has_processes() { vec!["shared", "process"] } else { vec!["shared"] }
}

/// Whether tenants can have processes of their own here; says so if they cannot. With `WASMILL_REQUIRE_SERVERS` set that is a
/// failure.
pub fn has_processes() -> bool {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    let refusal = REFUSAL.get_or_init(|| {
        let fleet = Fleet::of_class("process");
        fleet.allow("acme", "");
        let serving = fleet.start();
        let refusal = until("a process, or why there is none", || {
            let process = serving.process("acme");
            let runs = process["state"] == "running";
            (runs || process["reason"].is_string()).then(|| process["reason"].as_str().map(str::to_owned))
        });
        serving.stop().well();
        refusal
    });
    if let Some(reason) = refusal {
        assert!(std::env::var_os("WASMILL_REQUIRE_SERVERS").is_none(), "processes of tenants are required: {reason}");
        skipped(&format!("tenants cannot have processes here: {reason}"));
    }
    refusal.is_none()
}

/// A host of many jobs, with a folder for their files.
pub struct Fleet {
    dir: TempDir,
    runs: Cell<usize>,
}

/// A run of it.
pub struct Serving {
    host: Host,
    url: String,
    /// What it is asked with.
    token: Option<String>,
}

impl Fleet {
    /// Without jobs.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("jobs")).expect("a folder");
        Self { dir, runs: Cell::new(0) }
    }

    /// The same, whose tenants run so if their files do not say.
    pub fn of_class(class: &str) -> Self {
        let fleet = Self::new();
        fs::write(fleet.path().join("host.toml"), format!("[tenants]\nclass = \"{class}\"\n"))
            .expect("it can be written");
        fleet
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

    /// Makes a token, with these arguments of `wasmill token create`.
    pub fn token(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = wasmill(self.dir.path());
        let (code, token, said) = output(command.args(["token", "create", ".", name]).args(arguments));
        assert!(code == Some(0) && !said.contains(token.trim()), "{said}");
        token.trim().to_owned()
    }

    /// Starts it.
    pub fn start(&self) -> Serving {
        self.start_with(&[])
    }

    /// Starts it with more arguments.
    pub fn start_with(&self, arguments: &[&str]) -> Serving {
        self.start_as(wasmill(self.dir.path()).args(["serve", ".", "--listen", "127.0.0.1:0"]).args(arguments))
    }

    /// Starts it with this command.
    pub fn start_as(&self, command: &mut Command) -> Serving {
        self.runs.set(self.runs.get() + 1);
        let log = self.dir.path().join(format!("serve-{}.log", self.runs.get()));
        let mut host = Host::start(command, &log);
        let url = until("the address of the API", || {
            assert!(host.status().is_none(), "{}", host.text());
            let text = host.text();
            let line = text.lines().find(|line| line.contains(" jobs of "))?.split_once("; ")?.1.to_owned();
            // The line may be JSON, which goes on behind it.
            Some(line.split("/api/v1/jobs").next()?.to_owned())
        });
        Serving { host, url, token: None }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Serving {
    /// Asked with a token from now on.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        self.host.text()
    }

    /// The URL of a path of the API.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What a path says, as JSON.
    pub fn get(&self, path: &str) -> Value {
        let (status, text) = self.ask("GET", path, "");
        assert!((200..300).contains(&status), "{path}: status {status}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// What a path says, and with which status.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_as(self.token.as_deref(), method, path, body)
    }

    /// The same for somebody with another token, or without any.
    pub fn ask_as(&self, token: Option<&str>, method: &str, path: &str, body: &str) -> (u16, String) {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let kind = if method == "PUT" { "application/toml" } else { "application/json" };
        let mut headers = vec![("Content-Type", kind)];
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        let (status, _, body) = send_with(method, &self.url(path), &headers, body.as_bytes());
        (status, body)
    }

    /// Writes a job by the API.
    pub fn put(&self, name: &str, text: &str) -> (u16, String) {
        self.ask("PUT", &format!("/api/v1/jobs/{name}"), text)
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

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.host.id()
    }

    /// The process of a tenant that has one to itself.
    pub fn process(&self, tenant: &str) -> Value {
        self.get(&format!("/api/v1/tenants/{tenant}"))["process"].clone()
    }

    /// Waits until the processes of all tenants can be asked.
    pub fn until_processes_run(&self) {
        until("processes run", || {
            let tenants = self.get("/api/v1/tenants");
            let mut processes = tenants.as_array()?.iter().map(|tenant| &tenant["process"]);
            processes.all(|process| process.is_null() || process["state"] == "running").then_some(())
        });
    }

    /// Stops it as a service manager does.
    pub fn stop(self) -> Ended {
        self.host.signal("TERM");
        self.host.wait()
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        self.host.signal(name);
    }

    /// Waits until it ends by itself.
    pub fn wait(self) -> Ended {
        self.host.wait()
    }

    /// Ends it as a power cut does.
    pub fn kill(self) -> Ended {
        self.host.kill()
    }
}
