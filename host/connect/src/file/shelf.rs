//! Files that are gathered in memory and written as a whole: those of formats that cannot be appended to, and those of
//! partitions. They are put on the disk when they are large or old, and all of them at each checkpoint.

use super::names::Names;
use super::part::{Part, Style};
use super::roller::{Target, create_numbered, next_number};
use super::staging::Staging;
use super::{on_disk, patiently};
use crate::disk::{blocking, create_folder};
use crate::gathering::{Complete, Gathering};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, SinkWriter};
use wasmill_stream::{Batch, Result};

/// Opens a sink of such files.
pub(super) async fn open(name: String, target: Target, opening: Opening) -> Result<Box<dyn SinkWriter>> {
    let (interval, ledger) = (target.roll_interval().unwrap_or_default(), opening.ledger.clone());
    let commits = opening.commits;
    let shelf = blocking(move || Shelf::open(name, target, opening)).await?;
    Ok(Box::new(ShelfWriter { shelf: Arc::new(Mutex::new(shelf)), commits, interval, ledger }))
}

/// Files on their way to the disk. Blocking.
struct Shelf {
    gathering: Gathering,
    /// Those that are complete and not on the disk.
    complete: VecDeque<Complete>,
    /// The first of them, if it is half-way there.
    part: Option<Part>,
    place: Place,
    ledger: Arc<StepLedger>,
}

/// When a file gets its name.
enum Place {
    /// As soon as it is complete.
    AtOnce { folder: PathBuf, suffix: &'static str },
    /// When a checkpoint with it is published.
    Committed(Box<Staging>),
}

impl Shelf {
    fn open(name: String, target: Target, opening: Opening) -> Result<Self> {
        let (folder, bytes, partitions) = match &target {
            Target::Folder { path, rolling, partitions, .. } => (path.clone(), rolling.bytes, partitions.clone()),
            Target::File { path, .. } => (path.clone(), u64::MAX, Default::default()),
        };
        let format = target.format().clone();
        let Opening { ledger, job, commits, run, prepared, committed, withdrawal, .. } = opening;
        let mut place = match commits {
            true => {
                let withdrawn = withdrawal.map(|withdrawal| withdrawal.prepared).unwrap_or_default();
                let names = Names::new(&job, &name, run);
                let staging = Staging::open(target, Instant::now, names, (&prepared, committed), &withdrawn)?;
                Place::Committed(Box::new(staging))
            }
            false => Place::AtOnce { folder, suffix: format.suffix() },
        };
        if let Place::AtOnce { .. } = place {
            // A folder that cannot be written is found at once.
            place.begin("")?.discard()?;
        }
        let gathering = Gathering::new(format, partitions, usize::try_from(bytes).unwrap_or(usize::MAX), run);
        Ok(Self { gathering, complete: VecDeque::new(), part: None, place, ledger })
    }

    fn take(&mut self, batch: &Batch) -> Result<()> {
        self.complete.extend(self.gathering.take(batch, &self.ledger)?);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.complete.extend(self.gathering.finish()?);
        Ok(())
    }

    /// Puts everything that is complete on the disk. After an error another call goes on where it was.
    fn put(&mut self) -> Result<()> {
        while let Some(complete) = self.complete.front_mut() {
            let part = match &mut self.part {
                Some(part) => part,
                none => none.insert(self.place.begin(&complete.prefix)?),
            };
            part.write(&mut complete.bytes)?;
            match &mut self.place {
                Place::AtOnce { .. } => part.complete(false)?,
                Place::Committed(staging) => staging.finish_whole(part)?,
            }
            let rows = complete.rows;
            self.part = None;
            self.complete.pop_front();
            StepLedger::add(&self.ledger.emitted, rows);
            StepLedger::add(&self.ledger.written, rows);
        }
        Ok(())
    }

    fn prepare(&mut self, cut: Cut) -> Result<Value> {
        match &mut self.place {
            Place::AtOnce { .. } => Ok(Value::Null),
            Place::Committed(staging) => staging.prepare(cut),
        }
    }

    fn commit(&mut self) -> Result<()> {
        match &mut self.place {
            Place::AtOnce { .. } => Ok(()),
            Place::Committed(staging) => staging.commit(),
        }
    }
}

impl Place {
    fn begin(&mut self, prefix: &str) -> Result<Part> {
        match self {
            Self::Committed(staging) => staging.begin_whole(prefix),
            Self::AtOnce { folder, suffix } => {
                let folder = folder.join(prefix);
                create_folder(&folder)?;
                let names = |number: u64| {
                    let name = format!("part-{number:06}.{suffix}");
                    // Whoever reads whole folders leaves hidden files alone.
                    (folder.join(format!(".{name}.part")), folder.join(name))
                };
                create_numbered(&mut next_number(&folder)?, names, &Style::default(), Instant::now)
            }
        }
    }
}

struct ShelfWriter {
    /// Also held, for the time of one call, by a blocking thread.
    shelf: Arc<Mutex<Shelf>>,
    commits: bool,
    interval: Duration,
    ledger: Arc<StepLedger>,
}

impl ShelfWriter {
    async fn put(&self) -> Result<()> {
        patiently(&self.ledger, &self.shelf, Shelf::put).await
    }
}

#[async_trait]
impl SinkWriter for ShelfWriter {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        on_disk(&self.shelf, move |shelf| shelf.take(&batch)).await?;
        self.put().await
    }

    async fn flush(&mut self) -> Result<()> {
        on_disk(&self.shelf, Shelf::finish).await?;
        self.put().await
    }

    async fn prepare(&mut self, cut: Cut) -> Result<Value> {
        self.flush().await?;
        patiently(&self.ledger, &self.shelf, move |shelf| shelf.prepare(cut)).await
    }

    async fn commit(&mut self) -> Result<()> {
        patiently(&self.ledger, &self.shelf, Shelf::commit).await
    }

    async fn close(&mut self) -> Result<()> {
        // What is not committed stays as it is: a manifest may name it.
        if self.commits { Ok(()) } else { self.flush().await }
    }

    fn flush_interval(&self) -> Duration {
        self.interval
    }
}
