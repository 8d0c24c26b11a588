//! `wasmill serve`: many jobs in one process, each kept running by itself, with an API for people and programs.

pub mod api;
mod backoff;
mod fleet;
mod home;
mod hosted;
mod keeper;
pub mod metrics;
mod status;
mod tenant;

pub use fleet::Fleet;
pub use home::{Home, JobId};
pub use status::{JobStatus, State};
pub use tenant::TenantStatus;

pub use crate::driver::Ending;

use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use api::Guard;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use wasmill_stream::{Error, Result};

/// How often folders are looked at without an event.
const POLL: Duration = Duration::from_secs(2);
/// How long it is waited after an event: more may follow.
const QUIET: Duration = Duration::from_millis(50);

/// How a host is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its folder.
    pub home: Home,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Values of `${NAME}` in job files.
    pub parameters: Vec<(String, String)>,
}

/// Runs the jobs of a host until somebody asks for the end. A second time ends it at once.
pub async fn serve(settings: Settings, shutdown: &mut Shutdown, terminal: &Terminal) -> Result<Ending> {
    let Settings { home, listen, parameters } = settings;
    if !listen.ip().is_loopback() {
        return Err(Error::invalid(format!(
            "{listen} can be reached from other machines, and the API asks nobody who he is"
        ))
        .hint("listen on 127.0.0.1; from elsewhere a tunnel leads there, such as `ssh -L 9180:127.0.0.1:9180`"));
    }
    let failed = |error| Error::unavailable(format!("listen on {listen}")).with_source(error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let fleet = Arc::new(Fleet::new(home, parameters, terminal.clone()));
    fleet.look()?;
    terminal.note(&format!(
        "{} jobs of {}; http://{address}/api/v1/jobs",
        fleet.jobs().len(),
        fleet.home().root().display()
    ));
    let router = api::router(fleet.clone(), Guard::of(address));
    // It ends with the runtime.
    tokio::spawn(async move { axum::serve(listener, router).await });
    let watch = tokio::spawn(follow(fleet.clone(), terminal.clone()));
    shutdown.asked().await;
    watch.abort();
    terminal.note("stopping: every job takes its last checkpoint; Ctrl-C again to end at once");
    tokio::select! {
        left = fleet.leave() => left.map(|()| Ending::Done),
        () = shutdown.asked() => Ok(Ending::Interrupted),
    }
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
