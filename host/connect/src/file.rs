//! The `file` sink: rows in a folder of rolling parts, or in one file. What is being written is called `….part` and gets its name
//! when it is complete and, in a job with checkpoints, committed. Lines are gathered here; the disk is touched only on tokio's
//! blocking threads.

mod names;
mod part;
mod prepared;
mod proof;
mod roller;
mod settings;
mod shelf;
mod staging;

use crate::disk::blocking;
use crate::format::Format;
use crate::format::columns::Reader;
use crate::format::lines::Lines;
use crate::json_lines;
use crate::listing;
use crate::retry::{Backoff, Patience, until_answered};
use async_trait::async_trait;
use names::Names;
use roller::{Roller, Target};
use serde_json::Value;
use staging::Staging;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, Guarantee, Result};

pub use settings::{check, check_archive};

/// Lines are handed to the disk in pieces of this size.
const BUFFER: usize = 256 << 10;

/// A file sink whose settings were checked.
struct FileSink {
    name: String,
    target: Target,
}

#[async_trait]
impl Sink for FileSink {
    /// A file without the suffix `.part` is complete.
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn withdraws(&self) -> bool {
        true
    }

    fn path(&self) -> Option<&Path> {
        match &self.target {
            Target::File { path, .. } | Target::Folder { path, .. } => Some(path),
        }
    }

    fn keeps_rows(&self) -> bool {
        self.target.format().keeps_rows()
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Self { name, target } = *self;
        listing::check(target.lists(), opening.commits)?;
        if target.gathers() {
            return shelf::open(name, target, opening).await;
        }
        let format = target.format().clone();
        // With checkpoints a part gets its name by a commit, and until then it does not matter whether it is complete.
        let interval = target.roll_interval().filter(|_| !opening.commits);
        let Opening { ledger, job, commits, run, prepared, committed, withdrawal, .. } = opening;
        let output = blocking(move || match commits {
            true => {
                let names = Names::new(&job, &name, run);
                let withdrawn = withdrawal.map(|withdrawal| withdrawal.prepared).unwrap_or_default();
                Staging::open(target, Instant::now, names, (&prepared, committed), &withdrawn).map(Output::Committed)
            }
            false => Roller::open(target, Instant::now).map(Output::AtOnce),
        });
        let output = Arc::new(Mutex::new(output.await?));
        let timer = interval.map(|interval| roll_in_time(interval, output.clone()));
        let reader = format.reader(&[]);
        Ok(Box::new(FileWriter { output, commits, timer, ledger, format, reader, lines: Vec::new(), rows: 0 }))
    }
}

/// When a complete part gets its name.
enum Output {
    /// As soon as it is complete.
    AtOnce(Roller),
    /// When a checkpoint with it is published.
    Committed(Staging),
}

impl Output {
    fn write(&mut self, lines: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::AtOnce(roller) => roller.write(lines),
            Self::Committed(staging) => staging.write(lines),
        }
    }

    fn prepare(&mut self, cut: Cut) -> Result<Value> {
        match self {
            Self::AtOnce(_) => Ok(Value::Null),
            Self::Committed(staging) => staging.prepare(cut),
        }
    }

    fn commit(&mut self) -> Result<()> {
        match self {
            Self::AtOnce(_) => Ok(()),
            Self::Committed(staging) => staging.commit(),
        }
    }

    fn close(&mut self) -> Result<()> {
        match self {
            Self::AtOnce(roller) => roller.close(),
            // What is not committed stays as it is: a manifest may name it.
            Self::Committed(_) => Ok(()),
        }
    }
}

struct FileWriter {
    /// Also held by the timer and, for the time of one call, by a blocking thread.
    output: Arc<Mutex<Output>>,
    commits: bool,
    timer: Option<AbortHandle>,
    ledger: Arc<StepLedger>,
    format: Format,
    /// Reads the columns of the format, if it has any.
    reader: Option<Reader>,
    /// Lines that are not written yet.
    lines: Vec<u8>,
    /// How many rows they are.
    rows: usize,
}

#[async_trait]
impl SinkWriter for FileWriter {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        match self.reader.is_none() {
            true => {
                json_lines::append(&batch, &mut self.lines);
                self.rows += batch.len();
            }
            false => self.append_cells(&batch).map_err(|error| Error::internal("write lines").with_source(error))?,
        }
        if self.lines.len() >= BUFFER {
            return self.flush().await;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let mut backoff = Backoff::new(Patience::ENDLESS).counting(&self.ledger);
        loop {
            let mut lines = std::mem::take(&mut self.lines);
            let write = move |output: &mut Output| {
                let written = output.write(&mut lines);
                Ok((lines, written))
            };
            let (lines, written) = on_disk(&self.output, write).await?;
            self.lines = lines;
            match written {
                Ok(()) => break,
                // The disk is full. Nothing is lost; another call goes on.
                Err(error) => backoff.wait(error).await?,
            }
        }
        backoff.succeeded();
        let rows = std::mem::take(&mut self.rows);
        StepLedger::add(&self.ledger.emitted, rows);
        StepLedger::add(&self.ledger.written, rows);
        Ok(())
    }

    async fn prepare(&mut self, cut: Cut) -> Result<Value> {
        self.flush().await?;
        patiently(&self.ledger, &self.output, move |output| output.prepare(cut)).await
    }

    fn wants_checkpoint(&self) -> bool {
        match &*self.output.lock().unwrap_or_else(PoisonError::into_inner) {
            Output::AtOnce(_) => false,
            Output::Committed(staging) => staging.is_rolling(),
        }
    }

    async fn commit(&mut self) -> Result<()> {
        patiently(&self.ledger, &self.output, Output::commit).await
    }

    async fn close(&mut self) -> Result<()> {
        if !self.commits {
            self.flush().await?;
        }
        on_disk(&self.output, Output::close).await
    }
}

impl FileWriter {
    /// Appends the lines of a batch. Rows that do not fit the columns are refused.
    fn append_cells(&mut self, batch: &Batch) -> io::Result<()> {
        let read = self.reader.as_mut().map(|reader| reader.read(&batch.values));
        let Some(mut lines) = Lines::new(&self.format, std::mem::take(&mut self.lines)) else { return Ok(()) };
        for row in 0..batch.len() {
            let pushed = match read.as_ref().and_then(|read| read.refusal(row)) {
                Some(reason) => Err(reason.to_owned()),
                None => lines.push(batch, read.as_ref(), row)?,
            };
            match pushed {
                Ok(()) => self.rows += 1,
                Err(reason) => self.ledger.refuse(batch, row, &reason),
            }
        }
        self.lines = lines.into_inner()?;
        Ok(())
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
fn roll_in_time(interval: Duration, output: Arc<Mutex<Output>>) -> AbortHandle {
    let roll = |output: &mut Output| {
        if let Output::AtOnce(roller) = output {
            roller.roll_in_time();
        }
        Ok(())
    };
    let timer = tokio::spawn(async move {
        loop {
            // So that a part waits a quarter longer than it should, not twice as long.
            tokio::time::sleep(interval / 4).await;
            if on_disk(&output, roll).await.is_err() {
                return;
            }
        }
    });
    timer.abort_handle()
}

/// Does something until there is room for it on the disk.
async fn patiently<O: Send + 'static, T: Send + 'static>(
    ledger: &Arc<StepLedger>,
    output: &Arc<Mutex<O>>,
    act: impl Fn(&mut O) -> Result<T> + Copy + Send + 'static,
) -> Result<T> {
    until_answered(Backoff::new(Patience::ENDLESS).counting(ledger), || on_disk(output, act)).await
}

async fn on_disk<O: Send + 'static, T: Send + 'static>(
    output: &Arc<Mutex<O>>,
    act: impl FnOnce(&mut O) -> Result<T> + Send + 'static,
) -> Result<T> {
    let output = output.clone();
    blocking(move || act(&mut output.lock().unwrap_or_else(PoisonError::into_inner))).await
}
