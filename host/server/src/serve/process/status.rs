//! How the process of a tenant is.

use super::Channel;
use crate::serve::metrics::Usage;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;

/// What a process does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is started and confined.
    #[default]
    Starting,
    /// It runs, and its jobs in it.
    Running,
    /// It has died, or could not be started, and is started again after a pause.
    Restarting,
    /// Its jobs take their last checkpoints.
    Stopping,
    /// It has ended.
    Gone,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Gone => "gone",
        })
    }
}

/// The process of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProcessStatus {
    /// What it does.
    pub state: Phase,
    /// Its number, while there is one.
    pub pid: Option<u32>,
    /// How often it has died or could not be started, since the host was started.
    pub restarts: u64,
    /// Why it died the last time, while it is not back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it is started again, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<f64>,
    /// How long it has been running, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime: Option<f64>,
    /// Memory that it has in use, in bytes.
    pub memory: Option<u64>,
    /// CPU time of it and of those before it, in seconds.
    pub cpu: f64,
}

impl ProcessStatus {
    /// In words, after "the process of".
    pub fn told(&self) -> String {
        match &self.reason {
            Some(reason) => format!("is {}: {reason}", self.state),
            None => format!("is {}", self.state),
        }
    }
}

/// What is known of it.
#[derive(Default)]
pub struct Known {
    phase: Phase,
    reason: Option<String>,
    retry_at: Option<Instant>,
    restarts: u64,
    /// Of those before.
    cpu: f64,
    now: Option<Now>,
}

/// The one that is there.
struct Now {
    pid: Option<u32>,
    channel: Arc<Channel>,
    since: Instant,
    /// What was last seen of it.
    cpu: f64,
}

impl Known {
    /// It does something else.
    pub fn enter(&mut self, phase: Phase, reason: Option<String>, retry_at: Option<Instant>) {
        (self.phase, self.reason, self.retry_at) = (phase, reason, retry_at);
        if !matches!(phase, Phase::Running | Phase::Stopping) {
            self.cpu += self.now.take().map_or(0.0, |now| now.cpu);
        }
    }

    /// It is there.
    pub fn begin(&mut self, pid: Option<u32>, channel: Arc<Channel>) {
        self.enter(Phase::Running, None, None);
        self.now = Some(Now { pid, channel, since: Instant::now(), cpu: 0.0 });
    }

    /// It is not, and comes back then.
    pub fn die(&mut self, reason: String, retry_at: Instant) {
        self.enter(Phase::Restarting, Some(reason), Some(retry_at));
        self.restarts += 1;
    }

    /// The way to it.
    pub fn channel(&self) -> Option<Arc<Channel>> {
        self.now.as_ref().map(|now| now.channel.clone())
    }

    /// All of it.
    pub fn status(&mut self) -> ProcessStatus {
        let usage = self.now.as_ref().and_then(|now| Usage::of(&now.pid?.to_string()));
        if let (Some(now), Some(usage)) = (&mut self.now, &usage) {
            now.cpu = now.cpu.max(usage.cpu);
        }
        let now = self.now.as_ref();
        ProcessStatus {
            state: self.phase,
            pid: now.and_then(|now| now.pid),
            restarts: self.restarts,
            reason: self.reason.clone(),
            retry_in: self.retry_at.map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64()),
            uptime: now.map(|now| now.since.elapsed().as_secs_f64()),
            memory: usage.map(|usage| usage.resident as u64),
            cpu: self.cpu + now.map_or(0.0, |now| now.cpu),
        }
    }
}
