//! Standard error: the log, one-line errors, and progress that stays below both. Nothing else writes there.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The terminal of this process, or whatever standard error is.
#[derive(Clone)]
pub struct Terminal {
    bars: MultiProgress,
    live: bool,
    /// The job that says something, in a host of many.
    job: Option<Arc<str>>,
}

impl Terminal {
    /// Takes standard error over and starts the log.
    pub fn start() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let terminal = Self { bars, live: io::stderr().is_terminal(), job: None };
        let filter = EnvFilter::try_from_env("WASMILL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(terminal.live && std::env::var_os("NO_COLOR").is_none())
            .with_writer(terminal.clone());
        if log.try_init().is_err() {
            terminal.note("the log was started before");
        }
        terminal
    }

    /// The same for one of many jobs: every line says whose it is, and nothing is drawn over.
    pub fn of_job(&self, name: &str) -> Self {
        Self { live: false, job: Some(name.into()), ..self.clone() }
    }

    /// Whether lines can be drawn over.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Prints a line, or several.
    pub fn note(&self, text: &str) {
        match &self.job {
            None => self.print(format!("{text}\n").as_bytes()),
            Some(job) => {
                let lines: String = text.lines().map(|line| format!("{job}: {line}\n")).collect();
                self.print(lines.as_bytes());
            }
        }
    }

    /// Prints why a command has failed.
    pub fn error(&self, text: &str) {
        self.note(&format!("error: {text}"));
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

    fn print(&self, bytes: &[u8]) {
        // Nobody can be told if standard error is closed.
        let _ = self.bars.suspend(|| io::stderr().lock().write_all(bytes));
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

// === the log ===

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = LogWriter<'a>;

    fn make_writer(&'a self) -> LogWriter<'a> {
        LogWriter { terminal: self }
    }
}

/// Writes log lines above the progress.
pub struct LogWriter<'a> {
    terminal: &'a Terminal,
}

impl Write for LogWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.terminal.print(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
