//! The `file` sink: JSON lines in a folder of rolling parts, or in one file. What is being written is called `….part` and
//! gets its name when it is complete. Rows are gathered here; the disk is touched only on tokio's blocking threads.

mod part;
mod roller;
mod settings;

use crate::json_lines;
use async_trait::async_trait;
use roller::{Roller, Target};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::{AbortHandle, spawn_blocking};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, ErrorKind, Guarantee, Result};

pub use settings::check;

/// Lines are handed to the disk in pieces of this size.
const BUFFER: usize = 256 << 10;

/// A file sink whose settings were checked.
struct FileSink {
    target: Target,
}

#[async_trait]
impl Sink for FileSink {
    /// A file without the suffix `.part` is complete.
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let interval = self.target.roll_interval();
        let target = self.target;
        let roller = blocking(move || Roller::open(target)).await?;
        let roller = Arc::new(Mutex::new(roller));
        let timer = interval.map(|interval| roll_in_time(interval, roller.clone()));
        Ok(Box::new(FileWriter { roller, timer, ledger: opening.ledger, lines: Vec::new(), rows: 0 }))
    }
}

struct FileWriter {
    /// Also held by the timer and, for the time of one write, by a blocking thread.
    roller: Arc<Mutex<Roller>>,
    timer: Option<AbortHandle>,
    ledger: Arc<StepLedger>,
    /// Lines that are not written yet.
    lines: Vec<u8>,
    /// How many rows they are.
    rows: usize,
}

#[async_trait]
impl SinkWriter for FileWriter {
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
        let write = move |roller: &mut Roller| {
            roller.write(&lines)?;
            lines.clear();
            Ok(lines)
        };
        self.lines = on_disk(&self.roller, write).await?;
        let rows = std::mem::take(&mut self.rows);
        StepLedger::add(&self.ledger.emitted, rows);
        StepLedger::add(&self.ledger.written, rows);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.flush().await?;
        on_disk(&self.roller, Roller::close).await
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

/// Completes parts that are old enough although no more rows come. A failure is kept for the next write.
fn roll_in_time(interval: Duration, roller: Arc<Mutex<Roller>>) -> AbortHandle {
    let roll = |roller: &mut Roller| {
        roller.roll_in_time();
        Ok(())
    };
    let timer = tokio::spawn(async move {
        loop {
            // So that a part waits a quarter longer than it should, not twice as long.
            tokio::time::sleep(interval / 4).await;
            if on_disk(&roller, roll).await.is_err() {
                return;
            }
        }
    });
    timer.abort_handle()
}

async fn on_disk<T: Send + 'static>(
    roller: &Arc<Mutex<Roller>>,
    act: impl FnOnce(&mut Roller) -> Result<T> + Send + 'static,
) -> Result<T> {
    let roller = roller.clone();
    blocking(move || act(&mut roller.lock().unwrap_or_else(PoisonError::into_inner))).await
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(act).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(ErrorKind::Corrupt, "write to disk").with_source(error)),
    }
}
