//! The metrics of a host, as Prometheus reads them: read off the ledgers of its jobs when somebody asks, so that nothing is
//! counted twice and nothing is kept for jobs that have gone. `examples/deploy/README.md` has them all in a table.

mod checkpoints;
mod jobs;
mod openmetrics;
mod otlp;
mod page;
mod plain;
mod plugins;
mod portion;
mod process;
mod steps;
mod tenants;

use super::TenantStatus;
use super::hosted::Hosted;
use crate::driver::Observed;
use crate::progress::Snapshot;
use page::{Labels, Page};
pub use portion::Portion;
pub use process::Usage;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use wasmill_stream::ledger::StepLedger;

/// A way to write metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older text format of Prometheus, which more programs read.
    Plain,
}

impl Format {
    /// The best that is heard by whoever asks. `accept`: what it says that it reads.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Plain }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics of jobs and tenants of a host, and of its process, as text.
pub fn text(
    jobs: Vec<Arc<Hosted>>,
    tenants: &[TenantStatus],
    others: Vec<(String, Vec<Portion>)>,
    with_process: bool,
    format: Format,
) -> Result<String, fmt::Error> {
    let text = openmetrics::openmetrics(all(jobs, tenants, others, with_process).0)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Plain => plain::plain(&text),
    })
}

/// The same as a request to a collector of OpenTelemetry.
pub fn otlp(jobs: Vec<Arc<Hosted>>, tenants: &[TenantStatus], others: Vec<(String, Vec<Portion>)>) -> Value {
    otlp::otlp(all(jobs, tenants, others, true).0)
}

/// The series of jobs, for another process, which puts them to its own.
pub fn families(jobs: Vec<Arc<Hosted>>) -> Vec<Portion> {
    of_jobs(jobs).0.into_iter().map(Portion::of).collect()
}

fn all(
    jobs: Vec<Arc<Hosted>>,
    tenants: &[TenantStatus],
    others: Vec<(String, Vec<Portion>)>,
    with_process: bool,
) -> Page {
    let mut page = of_jobs(jobs);
    others.into_iter().for_each(|(tenant, portions)| page.take_in(&tenant, portions));
    page.tenants(tenants);
    if with_process {
        page.process();
    }
    page
}

fn of_jobs(jobs: Vec<Arc<Hosted>>) -> Page {
    let (seen, mut page) = (Seen::all(jobs), Page::default());
    page.jobs(&seen);
    page.steps(&seen);
    page.splits(&seen);
    page.sinks(&seen);
    page.checkpoints(&seen);
    page.plugins(&seen);
    page
}

/// A job as it is now.
struct Seen {
    job: Arc<Hosted>,
    run: Option<(Observed, Snapshot)>,
}

impl Seen {
    fn all(jobs: Vec<Arc<Hosted>>) -> Vec<Self> {
        jobs.into_iter().map(|job| Self { run: job.observed(), job }).collect()
    }
}

fn of_job(seen: &Seen) -> Labels {
    let id = seen.job.id();
    let tenant = id.tenant().map(|tenant| (portion::TENANT.into(), tenant.to_owned()));
    tenant.into_iter().chain([("job".into(), id.name().to_owned())]).collect()
}

/// The runs that are under way, or were the last.
fn runs(seen: &[Seen]) -> impl Iterator<Item = (Labels, &Observed, &Snapshot)> {
    seen.iter().filter_map(|seen| seen.run.as_ref().map(|(observed, now)| (of_job(seen), observed, now)))
}

/// The sources, steps and sinks of those.
fn steps(seen: &[Seen]) -> impl Iterator<Item = (Labels, &Arc<StepLedger>)> {
    runs(seen).flat_map(|(labels, observed, _)| {
        observed.ledger.steps.iter().map(move |step| (and(&labels, "step", &step.name), step))
    })
}

/// Labels with one more.
fn and(labels: &Labels, name: &'static str, value: impl ToString) -> Labels {
    labels.iter().cloned().chain([(name.into(), value.to_string())]).collect()
}
