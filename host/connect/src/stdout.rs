//! The `stdout` sink: values as lines on standard output. Made for pipes and for a look at a job's results.

use crate::json_lines;
use async_trait::async_trait;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, Result};

/// Lines are written in pieces of this size.
const BUFFER: usize = 64 << 10;

/// It has no settings.
pub fn check(_name: &str, _section: &mut Section<'_>, _problems: &mut Problems) -> Option<Box<dyn Sink>> {
    Some(Box::new(lines_to(io::stdout())))
}

/// A sink of lines into a pipe, a terminal or anything else that may take its time.
pub fn lines_to<W: Write + Send + 'static>(output: W) -> impl Sink + use<W> {
    Lines { output }
}

struct Lines<W> {
    output: W,
}

#[async_trait]
impl<W: Write + Send + 'static> Sink for Lines<W> {
    fn guarantee(&self) -> &'static str {
        "at-least-once: a job that starts again, or goes on after a crash, writes rows again"
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let output = Arc::new(Mutex::new(self.output));
        Ok(Box::new(LineWriter { output, ledger: opening.ledger, lines: Vec::new(), rows: 0 }))
    }
}

struct LineWriter<W> {
    /// Also held by a blocking thread for the time of one write.
    output: Arc<Mutex<W>>,
    ledger: Arc<StepLedger>,
    /// Lines that are not written yet.
    lines: Vec<u8>,
    /// How many rows they are.
    rows: usize,
}

#[async_trait]
impl<W: Write + Send + 'static> SinkWriter for LineWriter<W> {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        json_lines::append(&batch, &mut self.lines);
        self.rows += batch.len();
        if self.lines.len() >= BUFFER {
            return self.flush().await;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let mut lines = std::mem::take(&mut self.lines);
        let output = self.output.clone();
        // A reader that takes its time must not hold up the I/O runtime.
        let written = spawn_blocking(move || {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.write_all(&lines).and_then(|()| output.flush())?;
            lines.clear();
            Ok(lines)
        });
        self.lines = written.await.map_err(io::Error::other).and_then(|result| result).map_err(failed)?;
        let rows = std::mem::take(&mut self.rows);
        StepLedger::add(&self.ledger.emitted, rows);
        StepLedger::add(&self.ledger.written, rows);
        Ok(())
    }

    /// Somebody may be looking.
    fn flush_interval(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// A reader that has seen enough, such as `head`, ends the job without a complaint.
fn failed(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::BrokenPipe => Error::closed("standard output was closed by its reader"),
        _ => Error::unavailable("write to standard output").with_source(error),
    }
}
