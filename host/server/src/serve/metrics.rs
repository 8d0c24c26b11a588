//! The metrics of a host in the text format of OpenMetrics, which Prometheus reads: read off the ledgers of its jobs when
//! somebody asks, so that nothing is counted twice and nothing is kept for jobs that have gone.

use super::hosted::Hosted;
use super::status::State;
use crate::driver::Observed;
use crate::progress::Snapshot;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmill_stream::guest_ledger::GuestCounts;
use wasmill_stream::ledger::{Counts, Guest, StepLedger};

/// The content type of what [`text()`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of one series.
type Labels = Vec<(&'static str, String)>;

/// A counter of a step: its name, what it counts, and how it is read.
type OfStep = (&'static str, &'static str, fn(&Counts) -> u64);

const OF_STEPS: [OfStep; 9] = [
    ("wasmill_records_in", "Rows that a source, step or sink has read", |counts| counts.read),
    ("wasmill_records_out", "Rows that went out of it", |counts| counts.written),
    ("wasmill_records_emitted", "Rows read that led to something", |counts| counts.emitted),
    ("wasmill_records_filtered", "Rows read that its logic dropped on purpose", |counts| counts.filtered),
    ("wasmill_records_late", "Rows read after their window had closed", |counts| counts.late),
    ("wasmill_records_rejected", "Rows read that were refused with a reason", |counts| counts.rejected),
    ("wasmill_records_control", "Watermark markers read", |counts| counts.control),
    ("wasmill_windows_fired", "Windows, per key, that have fired", |counts| counts.fired),
    ("wasmill_timers_fired", "Timers that have fired", |counts| counts.timers),
];

/// The metrics of jobs of a host.
pub fn text(jobs: Vec<Arc<Hosted>>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(OfJobs(jobs)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

struct OfJobs(Vec<Arc<Hosted>>);

impl fmt::Debug for OfJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|job| job.id())).finish()
    }
}

/// A job as it is now.
struct Seen {
    job: Arc<Hosted>,
    run: Option<(Observed, Snapshot)>,
}

impl Collector for OfJobs {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen: Vec<Seen> = self.0.iter().map(|job| Seen { run: job.observed(), job: job.clone() }).collect();
        let mut page = Page { encoder: &mut encoder };
        page.jobs(&seen)?;
        page.steps(&seen)?;
        page.checkpoints(&seen)?;
        page.plugins(&seen)
    }
}

/// Where metrics are written.
struct Page<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
}

impl Page<'_, '_> {
    fn counter(&mut self, (name, help): (&str, &str), series: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_counter::<Labels, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn seconds(&mut self, (name, help): (&str, &str), series: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_counter::<Labels, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in series {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn jobs(&mut self, seen: &[Seen]) -> fmt::Result {
        let states = seen.iter().flat_map(|seen| {
            let now = seen.job.state();
            State::ALL.map(|state| {
                let mut labels = of_job(seen);
                labels.push(("state", state.to_string()));
                (labels, f64::from(state == now))
            })
        });
        self.gauge(("wasmill_job_state", "1 for the state that a job is in, 0 for the others"), None, states)?;
        let restarts = seen.iter().map(|seen| (of_job(seen), seen.job.restarts()));
        self.counter(("wasmill_job_restarts", "How often a job has failed and was to be started again"), restarts)?;
        let uptimes = runs(seen).map(|(labels, _, now)| (labels, now.elapsed.as_secs_f64()));
        let about = ("wasmill_job_uptime", "How long the run that is under way, or was the last one, has lasted");
        self.gauge(about, Some(&Unit::Seconds), uptimes)?;
        let stalled = runs(seen).map(|(labels, _, now)| (labels, f64::from(now.stalled.is_some())));
        self.gauge(
            ("wasmill_job_stalled", "1 while a job gets no further although there is something to do"),
            None,
            stalled,
        )
    }

    fn steps(&mut self, seen: &[Seen]) -> fmt::Result {
        for (name, help, value) in OF_STEPS {
            self.counter((name, help), steps(seen).map(|(labels, step)| (labels, value(&step.counts()))))?;
        }
        let bytes = steps(seen).map(|(labels, step)| (labels, step.bytes.load(Relaxed)));
        self.counter(("wasmill_read_bytes", "Bytes of the values that came in"), bytes)?;
        let gaps = steps(seen).map(|(labels, step)| (labels, step.gaps.load(Relaxed)));
        let about = ("wasmill_source_gaps", "Stretches of its input that a source has found to be lost");
        self.counter(about, gaps)?;
        let refused = steps(seen).map(|(labels, step)| (labels, step.refused_firings.load(Relaxed)));
        self.counter(("wasmill_firings_refused", "Windows or timers, per key, that led to nothing"), refused)?;
        let watermarks = || {
            let of = |(labels, step): (Labels, &Arc<StepLedger>)| Some((labels, step.watermark()?));
            // That of a source at its end is the end of time.
            steps(seen).filter_map(of).filter(|(_, watermark)| *watermark != i64::MAX)
        };
        let at = watermarks().map(|(labels, watermark)| (labels, watermark as f64 / 1e3));
        let about = ("wasmill_watermark", "How far event time has come, since 1970");
        self.gauge(about, Some(&Unit::Seconds), at)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let lags = watermarks().map(|(labels, watermark)| (labels, now - watermark as f64 / 1e3));
        let about = ("wasmill_event_time_lag", "How far event time is behind the clock on the wall");
        self.gauge(about, Some(&Unit::Seconds), lags)?;
        let paused = steps(seen).map(|(labels, step)| (labels, f64::from(step.paused().is_some())));
        self.gauge(("wasmill_step_paused", "1 while a step stands still because its plugin fails"), None, paused)
    }

    fn checkpoints(&mut self, seen: &[Seen]) -> fmt::Result {
        let known: Vec<_> = runs(seen)
            .filter_map(|(labels, observed, _)| Some((labels, observed.checkpoints.as_ref()?.look())))
            .collect();
        let published = known.iter().map(|(labels, known)| (labels.clone(), known.published));
        self.counter(("wasmill_checkpoints", "Checkpoints that this run has published"), published)?;
        let of = |value: fn(&wasmill_engine::Known) -> Option<f64>| {
            let known = known.iter().filter_map(move |(labels, known)| Some((labels.clone(), value(known)?)));
            known.collect::<Vec<_>>()
        };
        let ages = of(|known| known.at.map(|at| at.elapsed().as_secs_f64()));
        let about = ("wasmill_checkpoint_age", "How old the last checkpoint is");
        self.gauge(about, Some(&Unit::Seconds), ages)?;
        let durations = of(|known| known.last.map(|_| known.cost.took.as_secs_f64()));
        let about = ("wasmill_checkpoint_duration", "How long the last one took, from its barrier to its commit");
        self.gauge(about, Some(&Unit::Seconds), durations)?;
        let pauses = of(|known| known.last.map(|_| known.cost.pause.as_secs_f64()));
        let about = ("wasmill_checkpoint_pause", "The longest that a step stood still for the last one");
        self.gauge(about, Some(&Unit::Seconds), pauses)?;
        let sizes = of(|known| known.last.map(|_| known.cost.written as f64));
        self.gauge(("wasmill_checkpoint_size", "State written for the last one"), Some(&Unit::Bytes), sizes)
    }

    fn plugins(&mut self, seen: &[Seen]) -> fmt::Result {
        let mut plugins: BTreeMap<Labels, Costs> = BTreeMap::new();
        for (labels, step) in steps(seen) {
            // A component that came twice has two ledgers, and is one series.
            for Guest { identity, ledger } in step.guests().listed {
                let digest = identity.digest.get(..12).unwrap_or(&identity.digest).to_owned();
                let mut labels = labels.clone();
                labels.extend([("plugin", identity.name), ("version", identity.version), ("sha256", digest)]);
                plugins.entry(labels).or_default().add(&ledger.counts());
            }
        }
        let calls = plugins.iter().map(|(labels, counts)| (labels.clone(), counts.calls));
        self.counter(("wasmill_plugin_calls", "Calls of a plugin with rows, accumulators or timers"), calls)?;
        let slow = plugins.iter().map(|(labels, counts)| (labels.clone(), counts.slow_calls));
        self.counter(("wasmill_plugin_slow_calls", "Calls that took longer than the soft limit"), slow)?;
        let cpu = plugins.iter().map(|(labels, counts)| (labels.clone(), counts.cpu));
        self.seconds(("wasmill_plugin_cpu", "CPU time within calls"), cpu)?;
        let memory = plugins.iter().map(|(labels, counts)| (labels.clone(), counts.memory as f64));
        let about = ("wasmill_plugin_memory", "The most linear memory that one instance had");
        self.gauge(about, Some(&Unit::Bytes), memory)?;
        let faults = plugins.iter().flat_map(|(labels, counts)| {
            counts.faults.iter().map(|(fault, count)| {
                let mut labels = labels.clone();
                labels.push(("fault", fault.clone()));
                (labels, *count)
            })
        });
        self.counter(("wasmill_plugin_faults", "Calls that have failed, by fault"), faults)
    }
}

/// What a version of a plugin has cost.
#[derive(Default)]
struct Costs {
    calls: u64,
    slow_calls: u64,
    /// Seconds.
    cpu: f64,
    memory: u64,
    faults: BTreeMap<String, u64>,
}

impl Costs {
    fn add(&mut self, counts: &GuestCounts) {
        self.calls += counts.calls;
        self.slow_calls += counts.slow_calls;
        self.cpu += counts.cpu.as_secs_f64();
        self.memory = self.memory.max(counts.memory);
        for (fault, count) in &counts.faults {
            *self.faults.entry(fault.to_string()).or_default() += count;
        }
    }
}

fn of_job(seen: &Seen) -> Labels {
    let id = seen.job.id();
    let tenant = id.tenant().map(|tenant| ("tenant", tenant.to_owned()));
    tenant.into_iter().chain([("job", id.name().to_owned())]).collect()
}

/// The runs that are under way, or were the last.
fn runs(seen: &[Seen]) -> impl Iterator<Item = (Labels, &Observed, &Snapshot)> {
    seen.iter().filter_map(|seen| seen.run.as_ref().map(|(observed, now)| (of_job(seen), observed, now)))
}

/// The sources, steps and sinks of those.
fn steps(seen: &[Seen]) -> impl Iterator<Item = (Labels, &Arc<StepLedger>)> {
    runs(seen).flat_map(|(labels, observed, _)| {
        observed.ledger.steps.iter().map(move |step| {
            let mut labels = labels.clone();
            labels.push(("step", step.name.clone()));
            (labels, step)
        })
    })
}
