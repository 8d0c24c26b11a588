//! What has become of the plugins of a job: which version came when, by whom, why, and how it went. Kept in the job's
//! checkpoint store, one object per event, so that it outlives the job; without one only as long as the job runs.

use crate::pins::patiently;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use wasmill_stream::checkpoint::{Created, Store};
use wasmill_stream::plugin::Identity;
use wasmill_stream::time::iso8601;
use wasmill_stream::{Error, ErrorKind, Result};

const PREFIX: &str = "history/";

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A version was not let in.
    Refused,
    /// A version took over.
    Swapped,
    /// A version ran beside the one before, unseen.
    Shadow,
    /// A version began to answer for some key groups.
    Canary,
    /// A version on trial took over for good.
    Promoted,
    /// A trial was ended without the version taking over.
    Aborted,
    /// A version went, and the one before it was put back.
    RolledBack,
    /// The job went back to where it was before a version came.
    Rewound,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Swapped => "swapped",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled back",
            Self::Rewound => "rewound",
        })
    }
}

/// Why somebody changes something, and who.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Who: a user, or what acts by itself.
    pub by: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Reason {
    /// What wasmill does by itself, and why.
    pub fn automatic(why: impl Into<String>) -> Self {
        Self { by: "wasmill".into(), why: Some(why.into()) }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// The step, or the source whose decoder it is.
    pub step: String,
    /// What has happened.
    pub what: What,
    /// The version that it happened to; `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Identity>,
    /// The version before it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Identity>,
    /// Who did it and why.
    #[serde(flatten)]
    pub reason: Reason,
    /// The number of the checkpoint right before it, if the job can be rewound to that for some time; of a rewind, that to which
    /// it went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<u64>,
    /// How it went.
    pub outcome: String,
}

impl Event {
    /// What has happened just now.
    pub fn new(step: &str, what: What, reason: Reason, outcome: impl Into<String>) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let (at, step, outcome) = (iso8601(now as i64), step.to_owned(), outcome.into());
        Self { at, step, what, version: None, before: None, reason, point: None, outcome }
    }

    /// Which version it is about, and which was before it.
    pub fn about(mut self, version: &Identity, before: Option<&Identity>) -> Self {
        (self.version, self.before) = (Some(version.clone()), before.cloned());
        self
    }
}

/// The history of one job.
#[derive(Clone)]
pub struct History {
    store: Option<Arc<dyn Store>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl History {
    /// Continues the one in the store, if there is a store.
    pub async fn open(store: Option<Arc<dyn Store>>) -> Result<Self> {
        let events = match &store {
            Some(store) => patiently(|| read(&**store)).await?,
            None => Vec::new(),
        };
        Ok(Self { store, events: Arc::new(Mutex::new(events)) })
    }

    /// Everything so far, the oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds an event. A store that fails is only told: the change itself has been made.
    pub async fn add(&self, event: Event) {
        let number = {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.push(event.clone());
            events.len()
        };
        if let Some(store) = &self.store
            && let Err(error) = patiently(|| append(&**store, number, &event)).await
        {
            tracing::warn!("history of step {}: {}", event.step, error.report());
        }
    }
}

/// Reads the events in a store, the oldest first.
pub async fn read(store: &dyn Store) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for name in store.list(PREFIX).await? {
        let Some(bytes) = store.get(&name).await? else { continue };
        let broken = |error| {
            Error::new(ErrorKind::Corrupt, format!("{name} in {} is damaged: {error}", store.place()))
                .hint("remove it: nothing but the history depends on it")
        };
        events.push(serde_json::from_slice(&bytes).map_err(broken)?);
    }
    Ok(events)
}

/// Writes an event under the first free number from `number` on.
async fn append(store: &dyn Store, mut number: usize, event: &Event) -> Result<()> {
    let json = serde_json::to_vec(event).map_err(|error| Error::internal(format!("write an event: {error}")))?;
    while store.create(&format!("{PREFIX}{number:010}"), json.clone().into()).await? == Created::Taken {
        number += 1;
    }
    Ok(())
}
