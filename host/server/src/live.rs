//! A job that runs, and what can be changed in it meanwhile. Whoever asks, people over the socket or whoever watches files,
//! comes here.

pub mod apply;
mod arrival;
mod components;
pub mod hand_over;
pub mod history;
pub mod rewind;
mod trials;
mod turn;
mod words;

use crate::job::{Given, JobFile, OpenWindows, Origin, Parameters, Plugins, SwapSettings};
use crate::terminal::Terminal;
use arrival::{Arrival, to_its_end};
use hand_over::HandOvers;
use history::{Event, History, Reason, What};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use turn::{Turn, Turns};
use wasmill_engine::{Declared, Lookouts, Mode, RewindPoints, Swapper};
use wasmill_plugin::Grants;
use wasmill_stream::checkpoint::Store;
use wasmill_stream::plugin::Version;
use wasmill_stream::{Error, Result};

/// How many versions of a step can be gone back to while the job runs.
const REMEMBERED: usize = 5;

/// A running job. Clones are the same one.
#[derive(Clone)]
pub struct Live {
    settings: Arc<Mutex<Arc<Settings>>>,
    /// The components that the job file names, as far as they have come in.
    declared: Declared,
    swapper: Swapper,
    lookouts: Lookouts,
    /// Takes checkpoints to which the job can be rewound, if it can be.
    rewind_points: Option<RewindPoints>,
    history: History,
    /// Keeps the components that take over, so that a restart finds them.
    store: Option<Arc<dyn Store>>,
    /// The versions before, by step, the oldest first. They stay compiled.
    before: Arc<Mutex<HashMap<String, Vec<Version>>>>,
    /// What was approved for steps since the start, beyond what the file grants them.
    approved: Arc<Mutex<BTreeMap<String, Grants>>>,
    turns: Arc<Turns>,
    hand_overs: HandOvers,
    terminal: Terminal,
}

struct Settings {
    file: JobFile,
    parameters: Parameters,
    plugins: Arc<LoadPlugins>,
    swap: SwapSettings,
}

/// Components by digest.
type Components = BTreeMap<String, Arc<[u8]>>;

/// Builds and loads plugins as the command does that runs the job.
pub type LoadPlugins = Box<dyn Fn() -> Result<Plugins> + Send + Sync>;

/// Another plugin for a step.
#[derive(Debug, Clone)]
pub struct Change {
    /// The step, or the source whose decoder it is.
    pub step: String,
    /// The component, or the folder of its source.
    pub plugin: Origin,
    /// The component, if it was read already. Then nothing is read from there.
    pub given: Option<Given>,
    /// What is approved for it, beyond what the step was granted before.
    pub grants: Grants,
    /// How it comes.
    pub entry: Entry,
    /// Who wants it, and why.
    pub reason: Reason,
}

/// How a version comes into a running job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry {
    /// It takes over, on probation for so long; open windows become what this says. `None`: as the job file says.
    #[allow(missing_docs)]
    TakeOver { probation: Option<Duration>, open_windows: Option<OpenWindows> },
    /// It runs beside the one that is there for so long.
    Shadow(Duration),
    /// It answers for so many key groups until somebody decides.
    #[allow(missing_docs)]
    Canary { key_groups: u64 },
}

impl Entry {
    /// It takes over as the job file says.
    pub const TAKE_OVER: Self = Self::TakeOver { probation: None, open_windows: None };
}

impl Live {
    /// A job that runs as its file says. `swapper`: replaces its plugins.
    pub fn new(
        (file, parameters, declared): (JobFile, Parameters, Declared),
        plugins: LoadPlugins,
        swap: SwapSettings,
        (swapper, rewind_points, lookouts): (Swapper, Option<RewindPoints>, Lookouts),
        (history, store): (History, Option<Arc<dyn Store>>),
        hand_overs: HandOvers,
        terminal: Terminal,
    ) -> Self {
        let plugins = Arc::new(plugins);
        let settings = Settings { file, parameters, plugins, swap };
        let settings = Arc::new(Mutex::new(Arc::new(settings)));
        let (before, approved, turns) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            settings,
            declared,
            swapper,
            lookouts,
            rewind_points,
            history,
            store,
            before,
            approved,
            turns,
            hand_overs,
            terminal,
        }
    }

    /// What lets look into its steps.
    pub fn lookouts(&self) -> &Lookouts {
        &self.lookouts
    }

    /// What has become of its plugins.
    pub fn history(&self) -> Vec<Event> {
        self.history.events()
    }

    /// Replaces the plugin of a step, or tries a version of it. Says what was done; after an error nothing was. Once begun it is
    /// brought to its end, even if nobody waits for that any more.
    pub async fn swap(&self, change: Change) -> Result<String> {
        let live = self.clone();
        to_its_end(async move {
            loop {
                let arrival = live.load(live.settings(), change.clone()).await?;
                let mut turn = live.turn().await?;
                // Else another job file was applied meanwhile.
                if Arc::ptr_eq(&arrival.settings, &live.settings()) {
                    return live.let_in(&mut turn, arrival).await;
                }
            }
        })
        .await
    }

    async fn refuse(&self, step: &str, version: Option<&Version>, reason: Reason, error: Error) -> Error {
        let mut event = Event::new(step, What::Refused, reason, error.report());
        event.version = version.map(|version| version.plugin().identity().clone());
        self.history.add(event).await;
        error
    }

    /// Lets a version in that fits.
    async fn enter(&self, turn: &mut Turn, arrival: &Arrival) -> Result<String> {
        let Arrival { step, version, entry, reason, .. } = arrival;
        let swap = self.settings().swap;
        let (mode, time, what) = match *entry {
            Entry::TakeOver { probation, open_windows } => {
                let (mode, time) = swap.mode(version, probation, open_windows);
                (mode, Some(time), What::Swapped)
            }
            Entry::Shadow(time) => (Mode::Shadow, Some(time), What::Shadow),
            Entry::Canary { key_groups } => (Mode::Canary { key_groups }, None, What::Canary),
        };
        let at_once = (mode, time) == (Mode::Probation, Some(Duration::ZERO));
        if !at_once && let Some(done) = arrival.is_on_trial(turn, mode)? {
            return Ok(done);
        }
        let now = words::version(version);
        let incumbent = self.swapper.running(step).await?;
        let (point, rewind) = match entry {
            Entry::TakeOver { .. } | Entry::Canary { .. } => self.rewind_point().await,
            // Nobody sees what it answers.
            Entry::Shadow(_) => (None, String::new()),
        };
        let (done, swapped) = if at_once {
            let swapped = self.swapper.swap(step, version.clone()).await?;
            self.outlive(turn, step, &swapped).await;
            self.remember(step, incumbent);
            if arrival.is_declared {
                // Should it be rolled back, the job file still names it, and a restart must not bring it back.
                self.declared.set(step, &version.plugin().identity().digest);
            }
            (format!("{now} in place of {}", words::identity(&swapped.before)), swapped)
        } else {
            let (candidacy, swapped) = self.swapper.try_out(step, version.clone(), mode, swap.bounds).await?;
            self.outlive(turn, step, &swapped).await;
            turn.entrants.insert(step.clone(), arrival.on_trial(candidacy.clone()));
            self.watch_trial(step, candidacy, time);
            let before = words::identity(&swapped.before);
            let during = time.map_or(String::new(), |time| format!(" for {}", words::duration(time)));
            let how = match mode {
                Mode::Probation => format!("{now} in place of {before}, {}{during}", words::mode(mode)),
                Mode::Transition => format!("{now} in place of {before}, {}, at least{during}", words::mode(mode)),
                _ => format!("{now} beside {before}, {}{during}", words::mode(mode)),
            };
            (how, swapped)
        };
        let times = format!("{}{}", words::times(&swapped), words::migration(swapped.migration.as_ref()));
        let event = Event { point, ..Event::new(step, what, reason.clone(), format!("{done}; {times}")) };
        self.history.add(event.about(version.plugin().identity(), Some(&swapped.before))).await;
        Ok(format!("step {step}: {done}; {times}{rewind}"))
    }

    /// Puts the version before back, with the state as it is now.
    pub async fn roll_back(&self, step: &str, reason: Reason) -> Result<String> {
        let mut turn = self.turn().await?;
        self.put_back(&mut turn, step, reason).await
    }

    async fn put_back(&self, turn: &mut Turn, step: &str, reason: Reason) -> Result<String> {
        if let Some(candidacy) = self.swapper.trial(step).await? {
            let ended = || Error::unavailable("the trial has just ended: try again");
            let swapped = self.swapper.settle(&candidacy, false).await?.ok_or_else(ended)?;
            self.conclude(turn, step, &candidacy);
            let (incumbent, candidate) = (candidacy.incumbent().plugin(), candidacy.candidate().plugin());
            let done = format!("{} put back", words::version(candidacy.incumbent()));
            let event = Event::new(step, What::RolledBack, reason, &done);
            self.history.add(event.about(candidate.identity(), Some(incumbent.identity()))).await;
            return Ok(format!("step {step}: {done}; {}", words::pause(&swapped)));
        }
        let version = self.last(step).ok_or_else(|| {
            Error::invalid(format!("no version of step {step} before this one is known to this run"))
                .hint("`wasmill history JOB STEP` lists versions; `wasmill swap JOB STEP FILE` brings one back")
        })?;
        let swapped = self.swapper.swap(step, version.clone()).await?;
        self.forget(step);
        let done = format!("{} put back in place of {}", words::version(&version), words::identity(&swapped.before));
        let event = Event::new(step, What::RolledBack, reason, &done);
        self.history.add(event.about(&swapped.before, Some(version.plugin().identity()))).await;
        Ok(format!("step {step}: {done}, with the state as it is; {}", words::pause(&swapped)))
    }

    /// What the job file says as it was applied last.
    fn settings(&self) -> Arc<Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns those before.
    fn replace_settings(&self, settings: Arc<Settings>) -> Arc<Settings> {
        std::mem::replace(&mut *self.settings.lock().unwrap_or_else(PoisonError::into_inner), settings)
    }

    /// Says something to whoever runs the job.
    fn note(&self, words: &str) {
        self.terminal.note(words);
    }

    /// A version has gone that can be gone back to.
    fn remember(&self, step: &str, version: Version) {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = before.entry(step.to_owned()).or_default();
        versions.push(version);
        if versions.len() > REMEMBERED {
            versions.remove(0);
        }
    }

    fn last(&self, step: &str) -> Option<Version> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner).get(step)?.last().cloned()
    }

    fn forget(&self, step: &str) {
        if let Some(versions) = self.before.lock().unwrap_or_else(PoisonError::into_inner).get_mut(step) {
            versions.pop();
        }
    }
}

impl Settings {
    /// The same with another job file.
    fn reading(&self, file: JobFile) -> Self {
        let (parameters, plugins) = (self.parameters.clone(), self.plugins.clone());
        Self { file, parameters, plugins, swap: self.swap }
    }
}
