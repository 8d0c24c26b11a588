//! Events to standard error.

use super::record::{Fields, Record};
use crate::terminal::Terminal;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes events to a terminal, or whatever standard error is.
pub struct Print {
    terminal: Terminal,
}

impl Print {
    /// To this one.
    pub fn new(terminal: Terminal) -> Self {
        Self { terminal }
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Print {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(Fields::of(attributes));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let record = Record::of(event, &context);
        self.terminal.write(&record);
    }
}
