//! What a host knows of one of its jobs, as the API and the command line tell it.

use crate::driver::Observed;
use crate::progress::Snapshot;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::Identity;
use wasmill_stream::time::iso8601;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its file is read, its plugins are built or compiled.
    Starting,
    /// It reads, or waits for something to read.
    Running,
    /// It was asked to end, and takes its last checkpoint.
    Stopping,
    /// It was paused, and goes on from its last checkpoint when it is resumed.
    Paused,
    /// It has failed, and is started again after a pause.
    Restarting,
    /// It cannot run as its file is, or another host runs it: it waits for somebody to change that.
    Failed,
    /// Its sources have ended.
    Finished,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Starting, Self::Running, Self::Stopping, Self::Paused, Self::Restarting, Self::Failed, Self::Finished];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Finished => "finished",
        })
    }
}

/// A job of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobStatus {
    /// What it is called: `NAME`, or `TENANT:NAME`.
    pub id: String,
    /// Whose it is; nothing if it belongs to whoever runs the host.
    pub tenant: Option<String>,
    /// Its name: that of its file, without `.toml`.
    pub name: String,
    /// What it does.
    pub state: State,
    /// Since when, as RFC 3339 in UTC.
    pub since: String,
    /// Why, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it is tried again, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<f64>,
    /// How often it has failed and was started again since the host was started.
    pub restarts: u64,
    /// The run that is under way, or was the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStatus>,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunStatus {
    /// How long it runs or ran, in seconds.
    pub uptime: f64,
    /// Records that its sources have read.
    pub records_in: u64,
    /// The same per second, of late.
    pub records_per_second: f64,
    /// Rows that are safe in its sinks.
    pub records_out: u64,
    /// The same per second, of late.
    pub records_out_per_second: f64,
    /// Rows that came too late for their windows.
    pub late: u64,
    /// Rows, windows and timers that left the pipeline: one dead letter each, if the job keeps them.
    pub dead_letters: u64,
    /// How far reading is behind the ends of its splits at most, in seconds, if their servers say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<f64>,
    /// How far the watermark is behind the clock on the wall, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time_lag: Option<f64>,
    /// The lowest watermark of its sources, as RFC 3339 in UTC; nothing before all have one, and when all have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// Steps that stand still, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<PausedStep>,
    /// Parts of its sources and sinks that work otherwise than they were asked to, and how: an outage of a sink, a shard that is read in
    /// another way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// Why it gets no further, if it does not, and who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
    /// Its checkpoints, if it keeps any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<CheckpointStatus>,
    /// Its sources, steps and sinks, in the order of the dataflow.
    pub steps: Vec<StepStatus>,
}

/// A step that stands still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PausedStep {
    /// Which.
    pub step: String,
    /// Why.
    pub reason: String,
}

/// How a part of a source or sink works otherwise than it was asked to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Remark {
    /// Which: a sink, or a split of a source.
    pub part: String,
    /// How.
    pub remark: String,
}

/// The checkpoints of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointStatus {
    /// How many it has published.
    pub published: u64,
    /// The number of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// How old that is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<f64>,
    /// How long it took from its barrier to its commit, in seconds.
    pub took: f64,
    /// Bytes of state that were written for it.
    pub written_bytes: u64,
}

/// A source, step or sink, and what became of the rows that it read: `read` is the sum of the six after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepStatus {
    /// Its name in the job file.
    pub name: String,
    /// Rows that came in.
    pub read: u64,
    /// Rows that led to something.
    pub emitted: u64,
    /// Rows that its logic dropped on purpose.
    pub filtered: u64,
    /// Rows that came after their window had closed.
    pub late: u64,
    /// Rows that were refused with a reason.
    pub rejected: u64,
    /// Watermark markers.
    pub control: u64,
    /// Rows whose fate is open.
    pub in_flight: i64,
    /// Rows that went out.
    pub written: u64,
    /// Windows, per key, that have fired.
    pub windows_fired: u64,
    /// Timers that have fired.
    pub timers_fired: u64,
    /// About how many bytes of memory its state takes.
    pub state_bytes: u64,
    /// How many windows, per key, hold state.
    pub open_windows: u64,
    /// How often it has failed and tried again.
    pub retries: u64,
    /// The share of its time, from 0 to 1, that its workers were busy since the run began.
    pub busy: f64,
    /// The plugin that answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginStatus>,
}

/// A plugin of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginStatus {
    /// Its name, as it says itself.
    pub name: String,
    /// Its version, as it says itself.
    pub version: String,
    /// The digest of the component.
    pub sha256: String,
}

impl RunStatus {
    /// A run as it was seen last.
    pub async fn of(observed: &Observed, seen: &Snapshot) -> Self {
        let checkpoints = observed.checkpoints.as_ref().map(|checkpoints| {
            let known = checkpoints.look();
            CheckpointStatus {
                published: known.published,
                last: known.last,
                age: known.at.map(|at| at.elapsed().as_secs_f64()),
                took: known.cost.took.as_secs_f64(),
                written_bytes: known.cost.written,
            }
        });
        let mut steps = Vec::new();
        for step in &observed.ledger.steps {
            // Sources without a decoder and sinks have none.
            let version = observed.swapper.running(&step.name).await.ok();
            steps.push(StepStatus::of(step, version.as_ref().map(|version| version.plugin().identity())));
        }
        let splits = observed.ledger.steps.iter().flat_map(|step| step.splits.look());
        let behind = splits.filter_map(|(_, split)| split.behind).max();
        // That of sources at their end is the end of time.
        let watermark = seen.watermark.filter(|watermark| *watermark != i64::MAX);
        let letters = observed.ledger.steps.iter().flat_map(|step| step.causes.look());
        let paused = seen.paused.iter().map(|(step, reason)| PausedStep { step: step.clone(), reason: reason.clone() });
        let remarks = seen.remarks.iter().map(|(part, remark)| Remark { part: part.clone(), remark: remark.clone() });
        Self {
            uptime: seen.elapsed.as_secs_f64(),
            records_in: seen.read,
            records_per_second: seen.rate,
            records_out: seen.written,
            records_out_per_second: seen.written_rate,
            late: seen.late,
            dead_letters: letters.map(|(_, count)| count).sum(),
            lag: behind.map(|millis| millis as f64 / 1e3),
            event_time_lag: watermark.map(|watermark| (now() - watermark) as f64 / 1e3),
            watermark: watermark.map(iso8601),
            paused: paused.collect(),
            remarks: remarks.collect(),
            stalled: seen.stalled.clone(),
            checkpoints,
            steps,
        }
    }
}

impl StepStatus {
    fn of(step: &StepLedger, runs: Option<&Identity>) -> Self {
        let counts = step.counts();
        let plugin = runs.map(|Identity { name, version, digest }| PluginStatus {
            name: name.clone(),
            version: version.clone(),
            sha256: digest.clone(),
        });
        Self {
            name: step.name.clone(),
            read: counts.read,
            emitted: counts.emitted,
            filtered: counts.filtered,
            late: counts.late,
            rejected: counts.rejected,
            control: counts.control,
            in_flight: counts.in_flight(),
            written: counts.written,
            windows_fired: counts.fired,
            timers_fired: counts.timers,
            state_bytes: step.state_bytes.load(Relaxed),
            open_windows: step.open_windows.load(Relaxed),
            retries: step.retries.load(Relaxed),
            busy: busy(step),
            plugin,
        }
    }
}

/// The share of its time that the workers of a step were busy.
fn busy(step: &StepLedger) -> f64 {
    let times = step.activities.at(Instant::now());
    let all = (times.busy + times.idle + times.backpressured).as_secs_f64();
    if all > 0.0 { times.busy.as_secs_f64() / all } else { 0.0 }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A moment as RFC 3339.
pub fn moment(time: SystemTime) -> String {
    iso8601(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}
