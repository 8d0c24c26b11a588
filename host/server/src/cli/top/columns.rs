//! The columns: what each shows of a job, and how jobs are sorted by it.

use super::words::{rate, time};
use crate::progress::grouped;
use crate::serve::JobStatus;
use std::cmp::Ordering;

/// What there is to see of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Name,
    Tenant,
    State,
    In,
    Out,
    Lag,
    Event,
    Checkpoint,
    Dead,
    Failed,
    Plugins,
}

impl Column {
    /// All of them, from the left.
    pub const ALL: [Self; 11] = [
        Self::Name,
        Self::Tenant,
        Self::State,
        Self::In,
        Self::Out,
        Self::Lag,
        Self::Event,
        Self::Checkpoint,
        Self::Dead,
        Self::Failed,
        Self::Plugins,
    ];

    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Name => "JOB",
            Self::Tenant => "TENANT",
            Self::State => "STATE",
            Self::In => "IN/S",
            Self::Out => "OUT/S",
            Self::Lag => "LAG",
            Self::Event => "EVENT",
            Self::Checkpoint => "CKPT",
            Self::Dead => "DEAD",
            Self::Failed => "FAILED",
            Self::Plugins => "PLUGINS",
        }
    }

    /// The one that is sorted by with this key.
    pub fn of_key(key: char) -> Option<Self> {
        Some(match key {
            'n' => Self::Name,
            't' => Self::Tenant,
            's' => Self::State,
            'i' => Self::In,
            'o' => Self::Out,
            'l' => Self::Lag,
            'e' => Self::Event,
            'c' => Self::Checkpoint,
            'd' => Self::Dead,
            'f' => Self::Failed,
            _ => return None,
        })
    }

    /// Whether its numbers stand at the right.
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Name | Self::Tenant | Self::State | Self::Plugins)
    }

    /// Its words about a job.
    pub fn words(self, job: &JobStatus) -> String {
        let run = job.run.as_ref();
        let number = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
        // What has ended has no rates.
        let pace = |pace: Option<f64>| pace.filter(|_| is_up(job)).map_or("-".to_owned(), rate);
        match self {
            Self::Name => job.name.clone(),
            Self::Tenant => job.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            Self::State => match run {
                Some(run) if is_up(job) && run.stalled.is_some() => "stalled".to_owned(),
                _ => job.state.to_string(),
            },
            Self::In => pace(run.map(|run| run.records_per_second)),
            Self::Out => pace(run.map(|run| run.records_out_per_second)),
            Self::Lag => time(self.seconds(job)),
            Self::Event | Self::Checkpoint => time(self.seconds(job)),
            Self::Dead => number(run.map(|run| run.dead_letters)),
            Self::Failed => grouped(job.restarts),
            Self::Plugins => plugins(job),
        }
    }

    fn seconds(self, job: &JobStatus) -> Option<f64> {
        let run = job.run.as_ref().filter(|_| is_up(job))?;
        match self {
            Self::Lag => run.lag,
            Self::Event => run.event_time_lag,
            Self::Checkpoint => run.checkpoints.as_ref().and_then(|checkpoints| checkpoints.age),
            _ => None,
        }
    }

    /// Which of two jobs comes first: of numbers the greater, of words the smaller.
    pub fn order(self, a: &JobStatus, b: &JobStatus) -> Ordering {
        let by = |value: &dyn Fn(&JobStatus) -> f64| value(b).total_cmp(&value(a));
        let of_run = |value: fn(&crate::serve::RunStatus) -> f64| {
            by(&|job| job.run.as_ref().filter(|_| is_up(job)).map_or(-1.0, value))
        };
        let ordered = match self {
            Self::Name | Self::Plugins => Ordering::Equal,
            Self::Tenant => a.tenant.cmp(&b.tenant),
            Self::State => self.words(a).cmp(&self.words(b)),
            Self::In => of_run(|run| run.records_per_second),
            Self::Out => of_run(|run| run.records_out_per_second),
            Self::Lag | Self::Event | Self::Checkpoint => by(&|job| self.seconds(job).unwrap_or(f64::MIN)),
            Self::Dead => by(&|job| job.run.as_ref().map_or(-1.0, |run| run.dead_letters as f64)),
            Self::Failed => by(&|job| job.restarts as f64),
        };
        ordered.then_with(|| a.name.cmp(&b.name)).then_with(|| a.id.cmp(&b.id))
    }
}

/// Whether there is something under way.
pub fn is_up(job: &JobStatus) -> bool {
    use crate::serve::State;
    matches!(job.state, State::Running | State::Stopping)
}

/// The versions that run, by step.
fn plugins(job: &JobStatus) -> String {
    let steps = job.run.iter().flat_map(|run| &run.steps);
    let versions = steps.filter_map(|step| {
        let plugin = step.plugin.as_ref()?;
        Some(format!("{}={} {}", step.name, plugin.name, plugin.version))
    });
    let versions: Vec<_> = versions.collect();
    if versions.is_empty() { "-".to_owned() } else { versions.join(", ") }
}
