//! `wasmill serve`: many jobs in one process, each kept running by itself, with an API for people and programs.

pub mod api;
mod audit;
mod backoff;
mod downtime;
mod egress;
mod fleet;
mod front;
mod home;
mod host_file;
mod hosted;
mod keeper;
mod keyring;
mod manager;
pub mod metrics;
mod otlp;
mod process;
mod rate;
mod reload;
mod status;
mod tenant;
pub mod tokens;

pub use fleet::Fleet;
pub use front::Listen;
pub use home::{Home, JobId};
pub use host_file::HostFile;
pub use process::{COMMAND as PROCESS_COMMAND, ProcessStatus, inside};
pub use status::{JobStatus, RunStatus, State};
pub use tenant::{Class, RateStatus, TenantStatus};

pub use crate::driver::Ending;

use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use api::{Door, Guard};
use audit::Audit;
use front::{Front, Listener, Tls};
use keyring::Keyring;
use manager::Manager;
use otlp::Push;
use rate::Rate;
use reload::Reload;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokens::Tokens;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use wasmill_stream::{Error, Result};

/// Where the API listens if nobody says anything else.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);
/// How long jobs may take for their last checkpoints when the host ends.
const LAST_CHECKPOINTS: Duration = Duration::from_secs(9);
/// How often folders are looked at without an event.
const POLL: Duration = Duration::from_secs(2);
/// How long it is waited after an event: more may follow.
const QUIET: Duration = Duration::from_millis(50);

/// How a host is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its folder.
    pub home: Home,
    /// Where the API listens, if not where its file says.
    pub listen: Option<Listen>,
    /// Values of `${NAME}` in job files.
    pub parameters: Vec<(String, String)>,
}

/// Runs the jobs of a host until somebody asks for the end. A second time ends it at once.
pub async fn serve(settings: Settings, shutdown: &mut Shutdown, terminal: &Terminal) -> Result<Ending> {
    let Settings { home, listen, parameters } = settings;
    let terminal = &terminal.of_host();
    terminal.logs().write_files(&home)?;
    let (file, keyring) = (HostFile::read(home.root())?, Keyring::new(Tokens::path(home.root())));
    let listen = match listen {
        Some(listen) => listen,
        None => file.listen().map_err(Error::invalid)?.map_or(Listen::Tcp(LISTEN), |listen| listen.within(home.root())),
    };
    require_safe(&listen, &file, &keyring)?;
    let tls = file.tls.clone().map(Tls::open).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listener = Listener::bind(&listen).await?;
    let at = listener.at()?;
    let manager = Arc::new(Manager::of_environment()?);
    let hangup = hangups()?;
    let fleet = Arc::new(Fleet::new(home, file.tenants.class, parameters, terminal.clone()));
    fleet.look()?;
    let (number, root) = (fleet.number(), fleet.home().root());
    terminal.note(&match &at {
        Listen::Tcp(address) => format!("{number} jobs of {}; {scheme}://{address}/api/v1/jobs", root.display()),
        unix @ Listen::Unix(_) => format!("{number} jobs of {}; {unix}", root.display()),
    });
    let per_second = file.api.requests_per_second;
    let door = Door {
        guard: RwLock::new(Guard::of(&at, &file.names, tls.is_some())),
        keyring,
        is_public: !at.is_private(),
        rate: Rate::new(per_second.saturating_mul(2), per_second.into()),
        audit: Audit::new(root.join("audit.jsonl")),
        terminal: terminal.clone(),
    };
    let door = Arc::new(door);
    let router = api::router(fleet.clone(), door.clone());
    let front = tokio::spawn(Front::new(listener, tls, file.api.connections, terminal.clone()).serve(router));
    let watch = tokio::spawn(follow(fleet.clone(), terminal.clone()));
    manager.is_ready(&format!("{number} jobs"));
    let push = file.otlp.as_ref().map(|otlp| Push::new(otlp, fleet.clone(), terminal.clone())).transpose()?;
    let push = push.map(|push| tokio::spawn(push.run()));
    let pulse = tokio::spawn(live(fleet.clone(), manager.clone()));
    let (fleet_, manager_, terminal_) = (fleet.clone(), manager.clone(), terminal.clone());
    let reload = Reload { fleet: fleet_, door, at, file, manager: manager_, terminal: terminal_ };
    let reload = tokio::spawn(reload.on(hangup));
    shutdown.asked().await;
    watch.abort();
    reload.abort();
    manager.stops();
    terminal.note("stopping: every job takes its last checkpoint; Ctrl-C again to end at once");
    let ended = tokio::select! {
        left = fleet.leave() => left.map(|()| Ending::Done),
        () = shutdown.asked() => Ok(Ending::Interrupted),
    };
    pulse.abort();
    push.into_iter().for_each(|push| push.abort());
    front.abort();
    // Its socket goes away with it.
    let _ = front.await;
    ended
}

/// Hears SIGHUP from now on, which no longer ends the process.
fn hangups() -> Result<Signal> {
    let failed = |error| Error::unavailable("listen for signals of the system").with_source(error);
    signal(SignalKind::hangup()).map_err(failed)
}

/// Tells the service manager that the host is alive, as often as it wants to hear that, as long as its jobs can be looked at.
async fn live(fleet: Arc<Fleet>, manager: Arc<Manager>) {
    let Some(pulse) = manager.pulse() else { return };
    loop {
        let fleet = fleet.clone();
        if spawn_blocking(move || fleet.jobs()).await.is_ok() {
            manager.is_alive();
        }
        sleep(pulse).await;
    }
}

/// Refuses to be reached by others unless nobody can listen in and everybody has to say who he is.
fn require_safe(listen: &Listen, file: &HostFile, keyring: &Keyring) -> Result<()> {
    let has_tokens = keyring.tokens()?.is_some_and(|tokens| tokens.iter().next().is_some());
    let missing = match (file.tls.is_some(), has_tokens) {
        _ if listen.is_private() => return Ok(()),
        (true, true) => return Ok(()),
        (true, false) => "tokens: `wasmill token create`",
        (false, true) => "TLS: [tls] in its host.toml",
        (false, false) => "TLS and tokens: [tls] in its host.toml, and `wasmill token create`",
    };
    Err(Error::invalid(format!("{listen} can be reached from other machines: the host needs {missing}")).hint(
        "or listen on 127.0.0.1 or unix:PATH; from elsewhere a tunnel leads there, such as `ssh -L 9180:127.0.0.1:9180`",
    ))
}

/// Has the jobs follow their folders.
async fn follow(fleet: Arc<Fleet>, terminal: Terminal) {
    let bell = fleet.bell().clone();
    let (listener, mut rings) = (bell.listener(), bell.listen());
    let mut last = None;
    loop {
        bell.watch(listener, fleet.folders());
        if timeout(POLL, rings.changed()).await.is_ok() {
            sleep(QUIET).await;
            rings.mark_unchanged();
        }
        let looking = {
            let fleet = fleet.clone();
            spawn_blocking(move || fleet.look())
        };
        let looked = looking.await.map_err(|error| Error::internal(format!("look at the jobs: {error}")));
        let problem = looked.flatten().err().map(|error| error.report());
        if let Some(problem) = problem.as_ref().filter(|problem| last.as_ref() != Some(*problem)) {
            terminal.note(problem);
        }
        last = problem;
    }
}
