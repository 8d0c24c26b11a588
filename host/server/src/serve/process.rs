//! The process of a tenant that has one to itself: started, watched, started again when it dies, asked for what only it knows. It runs
//! the same code as the host does for its other tenants, for the jobs of this one; who may ask for what is decided here, before.

mod channel;
mod inside;
mod log;
mod message;
mod status;

pub use inside::inside;
pub use status::{Phase, ProcessStatus};

use super::LAST_CHECKPOINTS;
use super::backoff::Backoff;
use super::egress::Egress;
use super::fleet::toml_files;
use super::home::{Home, JobId};
use super::tenant::{Settings, Tenant};
use crate::confinement::Confinement;
use crate::terminal::Terminal;
use axum::body::Body;
use channel::Channel;
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use message::{Beginning, Order, Word};
use status::Known;
use std::fs::{self, DirBuilder};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use wasmill_stream::{Error, ErrorKind, Result};

/// The command by which the program starts itself as such a process.
pub const COMMAND: &str = "tenant";
/// A process has so long to begin.
const BEGINNING: Duration = Duration::from_secs(60);
/// And so long for the end, after the time of its jobs.
const FAREWELL: Duration = Duration::from_secs(2);
/// Where it sees what is its own beside the tenant's folder. Names of sockets have to be short.
const OWN: &str = "/run/wasmill";
/// What it is told of the environment.
const ENVIRONMENT: [&str; 7] =
    ["WASMILL_LOG", "AWS_REGION", "AWS_DEFAULT_REGION", "LANG", "TZ", "RUST_BACKTRACE", "RUST_MIN_STACK"];

/// The process of a tenant.
pub struct TenantProcess {
    tenant: Arc<Tenant>,
    home: Home,
    egress: Arc<Egress>,
    terminal: Terminal,
    wanted: watch::Sender<Wanted>,
    known: Mutex<Known>,
}

/// What is to become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// It runs. The number changes when it is to be started anew.
    Run(u64),
    /// It ends, and does not come back.
    Gone,
}

/// A process at work.
struct Working {
    child: Child,
    /// What goes with it.
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Working {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|task| task.abort());
    }
}

impl TenantProcess {
    /// That of a tenant, which is not started yet.
    pub fn new(tenant: Arc<Tenant>, home: Home, egress: Arc<Egress>, terminal: Terminal) -> Self {
        let (wanted, known) = (watch::Sender::new(Wanted::Run(0)), Mutex::default());
        Self { tenant, home, egress, terminal, wanted, known }
    }

    /// The tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The way out of it.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// The jobs that there are files of, by their names.
    pub fn jobs(&self) -> Vec<JobId> {
        let folder = self.home.jobs(Some(self.tenant.name()));
        let files = toml_files(&folder).unwrap_or_default().into_iter();
        files.filter_map(|(name, _)| JobId::new(Some(self.tenant.name()), &name)).collect()
    }

    /// How it is.
    pub fn status(&self) -> ProcessStatus {
        self.known().status()
    }

    /// Has it end for good, with a checkpoint of each job.
    pub fn leave(&self) {
        self.wanted.send_replace(Wanted::Gone);
    }

    /// Whether it is to end.
    pub fn is_leaving(&self) -> bool {
        *self.wanted.borrow() == Wanted::Gone
    }

    /// The file of the tenant says something else than `before`.
    pub fn follow(&self, before: &Settings) {
        let now = self.tenant.settings();
        if now.process != before.process {
            let next = |wanted: &mut Wanted| {
                if let Wanted::Run(number) = wanted {
                    *number += 1;
                }
            };
            self.wanted.send_modify(next);
            return;
        }
        let channel = self.known().channel();
        if let Some(Err(error)) = channel.map(|channel| channel.send(&Order::Follow(Box::new(now)), None)) {
            self.terminal.error(&format!("{}: tell its process what its file says: {error}", self.name()));
        }
    }

    /// Asks it, as an API is asked. The answer comes as it is made.
    pub async fn ask(&self, request: Request<Body>) -> Result<Response<Incoming>> {
        let gone = |why: String| Error::unavailable(format!("the process of tenant {} {why}", self.tenant.name()));
        let channel = self.known().channel();
        let channel = channel.ok_or_else(|| gone(self.status().told()))?;
        let broken = |error: &dyn std::fmt::Display| gone(format!("does not answer: {error}"));
        let (here, there) = UnixStream::pair().map_err(|error| broken(&error))?;
        channel.send(&Order::Answer, Some(there.as_fd())).map_err(|error| broken(&error))?;
        drop(there);
        here.set_nonblocking(true).map_err(|error| broken(&error))?;
        let here = tokio::net::UnixStream::from_std(here).map_err(|error| broken(&error))?;
        let (mut sender, connection) = handshake(TokioIo::new(here)).await.map_err(|error| broken(&error))?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| broken(&error))
    }

    /// Keeps it running until it is to go.
    pub async fn keep(self: Arc<Self>) {
        let (mut wanted, mut backoff) = (self.wanted.subscribe(), Backoff::default());
        loop {
            let now = *wanted.borrow_and_update();
            if now == Wanted::Gone {
                return self.known().enter(Phase::Gone, None, None);
            }
            self.known().enter(Phase::Starting, None, None);
            let begun = Instant::now();
            let Err(error) = self.run(&mut wanted).await else { continue };
            let pause = backoff.after(begun.elapsed());
            self.terminal.error(&format!("{}: {}", self.name(), error.report()));
            self.known().die(error.report(), Instant::now() + pause);
            tokio::select! {
                () = sleep(pause) => {}
                _ = wanted.changed() => backoff.forget(),
            }
        }
    }

    fn name(&self) -> String {
        format!("tenant {}", self.tenant.name())
    }

    /// Runs it until it is to do something else; what it dies of before is an error.
    async fn run(&self, wanted: &mut watch::Receiver<Wanted>) -> Result<()> {
        let mut working = self.start().await?;
        tokio::select! {
            ended = working.child.wait() => {
                let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(Error::unavailable(format!("its process has ended: {how}")))
            }
            _ = wanted.changed() => {
                self.end(&mut working).await;
                Ok(())
            }
        }
    }

    async fn end(&self, working: &mut Working) {
        let channel = self.known().channel();
        self.known().enter(Phase::Stopping, None, None);
        if channel.is_some_and(|channel| channel.send(&Order::End, None).is_ok())
            && timeout(LAST_CHECKPOINTS + FAREWELL, working.child.wait()).await.is_ok()
        {
            return;
        }
        self.terminal.error(&format!("{}: its process did not end in time, and is killed", self.name()));
        let _ = working.child.kill().await;
    }

    async fn start(&self) -> Result<Working> {
        let settings = self.tenant.settings();
        let confinement = self.prepare(&settings)?;
        let failed = |error| Error::unavailable("start a process").with_source(error);
        let (channel, other) = Channel::pair().map_err(failed)?;
        // The very file that runs, even if another one has been put into its place.
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["--log-format", "json", COMMAND])
            .env_clear()
            .env("HOME", OWN)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.stdin(Stdio::from(other)).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C is for the host, which tells it.
        let mut child = command.current_dir("/").process_group(0).kill_on_drop(true).spawn().map_err(failed)?;
        // The other end is the child's alone now.
        drop(command);
        let says = tokio::spawn(log::repeat(child.stderr.take(), self.tenant.name().to_owned(), self.terminal.clone()));
        let beginning = Beginning {
            home: self.home.root().to_owned(),
            tenant: self.tenant.name().to_owned(),
            settings,
            password: self.egress.password().to_owned(),
            confinement,
        };
        channel.send(&Order::Begin(Box::new(beginning)), None).map_err(failed)?;
        let channel = Arc::new(channel);
        let listener = match timeout(BEGINNING, ready(channel.clone())).await {
            Ok(listener) => listener?,
            Err(_) => {
                return Err(Error::unavailable(format!("its process was not ready in {} s", BEGINNING.as_secs())));
            }
        };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let serves = tokio::spawn(self.egress.clone().serve(listener, true));
        let working = Working { tasks: [says, serves], child };
        self.known().begin(working.child.id(), channel.clone());
        // What its file said while it began.
        let now = Order::Follow(Box::new(self.tenant.settings()));
        channel.send(&now, None).map_err(failed)?;
        Ok(working)
    }

    /// Makes the folders that are its own.
    fn prepare(&self, settings: &Settings) -> Result<Confinement> {
        let folder = self.home.process(self.tenant.name());
        let (own, stage) = (folder.join("own"), folder.join("stage"));
        let tenants = self.home.tenant(self.tenant.name());
        let account = settings.process.account;
        for path in [&own, &stage] {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unwritable(path, error))?;
        }
        if let Some(account) = account {
            // What is in there was made by somebody who knew whose it is, or is made by the process.
            for path in [&own, &tenants, &tenants.join("jobs")] {
                let given = chown(path, Some(account.uid), Some(account.gid));
                given.map_err(|error| unwritable(path, error))?;
            }
        }
        let tenants = fs::canonicalize(&tenants).map_err(|error| unwritable(&tenants, error))?;
        let folders = vec![(tenants.clone(), tenants), (own, PathBuf::from(OWN))];
        Ok(Confinement { folders, stage, account, limits: settings.process.limits })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unwritable(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::unavailable(format!("prepare {}", path.display())).with_source(error)
}

/// What it says first: the socket of its own loopback, or why there is none.
async fn ready(channel: Arc<Channel>) -> Result<TcpListener> {
    let ended = || Error::unavailable("its process has ended before it was ready: its last words are in the log");
    // Ends with the process at the latest.
    let heard = spawn_blocking(move || channel.receive::<Word>()).await;
    let heard = heard.map_err(|error| Error::internal(format!("hear a process: {error}")))?;
    match heard.map_err(|error| ended().with_source(error))?.ok_or_else(ended)? {
        (Word::Ready, Some(file)) => {
            let listener = TcpListener::from(file);
            listener.set_nonblocking(true).map_err(|error| ended().with_source(error))?;
            Ok(listener)
        }
        (Word::Ready, None) => Err(ended()),
        (Word::Refused(why), _) => {
            let message = format!("this machine cannot give it a process of its own, and it has no other: {why}");
            Err(Error::new(ErrorKind::Denied, message))
        }
    }
}
