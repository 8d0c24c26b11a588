//! Starting a run of a job: with the plugins that it ran before, open to requests, followed by the watcher.

use super::requests;
use crate::control::Control;
use crate::job::{self, Job, Outline, Parameters, Plugins};
use crate::live::Live;
use crate::live::hand_over::HandOver;
use crate::live::history::History;
use crate::pins::{self, Kept};
use crate::report::{self, Style};
use crate::run;
use crate::terminal::Terminal;
use crate::watch::{self, Bell};
use crate::workshop;
use miette::Severity;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tracing::Instrument;
use wasmill_engine::{Journal, Running};
use wasmill_stream::checkpoint::Store;
use wasmill_stream::{Error, ErrorKind, Result};

/// How long to wait before it is tried again to listen for requests: the host that ran the job before may still do so.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// How a job is driven.
#[derive(Default)]
pub struct Manner {
    /// How many workers; `None`: as the job file says.
    pub workers: Option<u16>,
    /// Begin anew, as if there were no checkpoint.
    pub fresh: bool,
    /// Listen for requests, and read the job file with these parameters for them.
    pub listen: Option<Parameters>,
    /// Take over what changes in plugins and in the job file; this rings when something may have.
    pub watch: Option<Arc<Bell>>,
    /// Run the plugins that the job file names, whatever was swapped in.
    pub as_filed: bool,
    /// Nobody is there to end it a second time: even without checkpoints it has only so long to finish what it has read.
    pub unattended: bool,
}

impl Manner {
    pub(super) fn parameters(&self) -> Parameters {
        self.listen.clone().unwrap_or_else(|| Parameters::new::<String, String>([]))
    }

    /// The job has begun: from here on it goes on from what it has done.
    pub(super) fn has_begun(&mut self) {
        (self.fresh, self.as_filed) = (false, false);
    }
}

/// Keeps the components of a job that is about to start, and has it run those that were swapped in. Says which.
async fn pinned(job: &mut Job, store: &Arc<dyn Store>, manner: &Manner, terminal: &Terminal) -> Result<Vec<String>> {
    pins::keep(&**store, &job.components).await?;
    if manner.fresh || manner.as_filed {
        return Ok(Vec::new());
    }
    let journal = Journal::new(store.clone());
    let newest = match pins::patiently(|| journal.newest()).await {
        Ok(Some(newest)) => newest,
        Ok(None) => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        // What is wrong with it is said when the job starts.
        Err(_) => return Ok(Vec::new()),
    };
    let (file, parameters) = (job.file.clone(), manner.parameters());
    let load = |step: &str, kept: Kept| {
        let mut plugins = Plugins::new(workshop::host()?, Some(workshop::builder(terminal)));
        let origin = pins::swapped_in();
        plugins.supply(origin.clone(), kept.given);
        job::replacement(&file, &parameters, &mut plugins, step, &origin, kept.grants).map_err(|problems| {
            let drawn = report::draw(&file, &problems, Severity::Error, Style::Plain);
            Error::invalid(format!("step {step}: what was swapped in does not fit any more:\n{drawn}"))
                .hint("`wasmill run --as-filed` runs the plugin that the job file names")
        })
    };
    let said = pins::put_back(job, &**store, &newest, &load).await?;
    if let Err(error) = pins::sweep(store, &job.components).await {
        tracing::warn!("remove old components: {}", error.report());
    }
    Ok(said)
}

/// A job that has been started, and what belongs to it.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) outline: Outline,
    pub(super) hand_overs: UnboundedReceiver<HandOver>,
    /// Ends with the job: it is dropped with it.
    pub(super) served: JoinSet<()>,
}

/// Starts a run. `refused`: a job file with which the job could not start, so that the watcher does not bring it again.
pub(super) async fn start(
    mut job: Job,
    manner: &Manner,
    refused: Option<&str>,
    terminal: &Terminal,
) -> Result<Started> {
    if let Some(workers) = manner.workers {
        job.options.workers = workers.into();
    }
    let (outline, file, swap, declared) = (job.outline.clone(), job.file.clone(), job.swap, job.declared.clone());
    let store = match &job.checkpoint {
        Some(settings) => Some(settings.place.open().await?),
        None => None,
    };
    if let Some(store) = &store {
        for said in pinned(&mut job, store, manner, terminal).await? {
            terminal.note(&said);
        }
    }
    // Before the run begins: whoever runs the job now goes on if this fails.
    let history = match manner.listen {
        Some(_) => Some(History::open(store.clone()).await?),
        None => None,
    };
    let running = run::start(job, manner.fresh).await?;
    let mut served = JoinSet::new();
    let (sender, hand_overs) = unbounded_channel();
    if let Some(history) = history {
        let shown = terminal.clone();
        let plugins = Box::new(move || workshop::plugins(&shown));
        let job = (file, manner.parameters(), declared);
        let swapper = (running.swapper(), running.rewind_points(), running.lookouts().clone());
        let live = Live::new(job, plugins, swap, swapper, (history, store), sender, terminal.clone());
        live.watch_transitions().await;
        // Before anybody hears that the job runs: what is asked then must find it.
        let control = Control::listen(&live.file()).await;
        served.spawn(listen(control, live.clone(), terminal.clone()).in_current_span());
        if let Some(bell) = &manner.watch {
            let watching = watch::watch(live, refused.map(str::to_owned), bell.clone(), terminal.clone());
            served.spawn(watching.in_current_span());
        }
    }
    Ok(Started { running, outline, hand_overs, served })
}

/// Serves requests as soon as nobody else does for this job.
async fn listen(mut control: Result<Control>, live: Live, terminal: Terminal) {
    let mut is_told = false;
    loop {
        match control {
            Ok(control) => return requests::serve(control, live, terminal).await,
            Err(error) if !is_told => {
                terminal.note(&format!("`wasmill swap` does not find this job yet: {}", error.report()));
                is_told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
        control = Control::listen(&live.file()).await;
    }
}
