//! Events of jobs into what those keep, and into the files of their tenants.

use super::record::{Fields, Record};
use super::ring::Ring;
use super::{JOB, Logs};
use std::sync::Arc;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Keeps the events of jobs.
pub struct Keep {
    logs: Logs,
}

/// Where the events of a job go: in the span of the job.
struct Destination {
    ring: Arc<Ring>,
    tenant: Option<String>,
}

impl Keep {
    /// There.
    pub fn new(logs: Logs) -> Self {
        Self { logs }
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let fields = Fields::of(attributes);
        if span.name() == JOB
            && let Some(name) = fields.text("job")
        {
            let tenant = fields.text("tenant").map(str::to_owned);
            let id = tenant.iter().map(|tenant| format!("{tenant}:")).chain([name.to_owned()]).collect::<String>();
            span.extensions_mut().insert(Destination { ring: self.logs.ring(&id), tenant });
        }
        span.extensions_mut().replace(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(Destination { ring, tenant }) = extensions.get() else { continue };
            let line = Record::of(event, &context).json();
            ring.push(&line);
            if let (Some(tenant), Some(files)) = (tenant, self.logs.files.get()) {
                files.write(tenant, line);
            }
            return;
        }
    }
}
