//! Standard error: the log, one-line errors, and progress that stays below both. Nothing else writes there.

use crate::log::{self, Format, Logs, NOTE, Record};
use crate::serve::JobId;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use tracing::Span;

/// The terminal of this process, or whatever standard error is.
#[derive(Clone)]
pub struct Terminal {
    bars: MultiProgress,
    live: bool,
    /// How events are written.
    format: Format,
    /// Whether what is said goes into the log, as events do.
    logs_notes: bool,
    /// What jobs keep of the log.
    logs: Logs,
    /// What is said belongs to this.
    span: Span,
}

impl Terminal {
    /// Takes standard error over and starts the log. What is said to people is an event too, if these are read by programs.
    pub fn start(format: Format) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let (live, logs_notes) = (io::stderr().is_terminal() && format == Format::Text, format == Format::Json);
        let terminal = Self { bars, live, format, logs_notes, logs: Logs::default(), span: Span::none() };
        if !log::start(&terminal, &terminal.logs) {
            terminal.note("the log was started before");
        }
        terminal
    }

    /// The same for a host of many jobs: whatever it says is an event of the log, and nothing is drawn over.
    pub fn of_host(&self) -> Self {
        Self { live: false, logs_notes: true, ..self.clone() }
    }

    /// The same for one of its jobs: every event says whose it is.
    pub fn of_job(&self, id: &JobId) -> Self {
        Self { span: log::span_of(id), ..self.clone() }
    }

    /// What everything belongs to that is said here.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// What jobs keep of the log.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Whether there may be colours.
    pub fn is_coloured(&self) -> bool {
        self.live && std::env::var_os("NO_COLOR").is_none()
    }

    /// Whether lines can be drawn over.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Says something to people, in a line or several.
    pub fn note(&self, text: &str) {
        match self.logs_notes {
            true => self.span.in_scope(|| tracing::info!(target: NOTE, "{}", text.trim_end())),
            false => self.print(&format!("{text}\n")),
        }
    }

    /// Says why something has failed.
    pub fn error(&self, text: &str) {
        match self.logs_notes {
            true => self.span.in_scope(|| tracing::error!(target: NOTE, "{}", text.trim_end())),
            false => self.print(&format!("error: {text}\n")),
        }
    }

    /// A line that is drawn over until it is dropped. Nothing is seen of it off a terminal.
    pub fn line(&self) -> Line {
        let bar = if self.live { self.bars.add(ProgressBar::new_spinner()) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Line { bar }
    }

    /// Shows a step of something that takes long: in `line`, or as a line of its own where nothing can be drawn over.
    pub fn step(&self, line: &Line, text: &str) {
        if self.live {
            line.set(text);
        } else {
            self.note(text);
        }
    }

    /// Writes an event.
    pub(crate) fn write(&self, record: &Record) {
        self.print(&match self.format {
            Format::Text => record.text(self.is_coloured()),
            Format::Json => record.json() + "\n",
        });
    }

    /// Writes above the progress.
    pub(crate) fn print(&self, text: &str) {
        // Nobody can be told if standard error is closed.
        let _ = self.bars.suspend(|| io::stderr().lock().write_all(text.as_bytes()));
    }
}

/// A line at the bottom of the terminal.
pub struct Line {
    bar: ProgressBar,
}

impl Line {
    /// Replaces its text.
    pub fn set(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
