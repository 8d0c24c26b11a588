//! Runs a job for a command, until it ends or a signal ends it.

use super::Exit;
use crate::driver::{self, Ending, Manner, View};
use crate::job::Job;
use crate::log::JOB;
use crate::shutdown::Shutdown;
use crate::terminal::Terminal;
use tokio::runtime::{Builder, Runtime};
use tracing::{Instrument, error_span};
use wasmill_stream::{Error, Result};

/// Runs a job to its end. `view`: makes what shows it, once for every time that it is started.
pub fn drive<V: View>(job: Job, manner: Manner, view: impl FnMut() -> V, terminal: &Terminal) -> Result<Exit> {
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut shutdown = Shutdown::of_process()?;
        let span = error_span!(JOB, job = job.name);
        driver::run_to_end(job, manner, view, &mut shutdown, terminal).instrument(span).await
    });
    // After a second Ctrl-C there may be threads that never end by themselves.
    runtime.shutdown_background();
    ended.map(Exit::from)
}

impl From<Ending> for Exit {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::Done,
            Ending::Interrupted => Self::Interrupted,
        }
    }
}

/// The runtime of sources and sinks. They wait most of the time; workers have threads of their own.
pub fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("wasmill-io")
        .enable_all()
        .build()
        .map_err(|error| Error::unavailable("start the I/O threads").with_source(error))
}
