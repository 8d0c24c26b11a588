//! Watches the dead letters of a job that replays some: which records die again.

use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Guarantee, Result};

/// The records that have died again, by split and position, and how many letters came from no record.
#[derive(Debug, Default, Clone)]
pub struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    records: BTreeSet<(String, String)>,
    others: usize,
}

impl Witness {
    /// A sink that does what `sink` does, under watch.
    pub fn watch(&self, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        Box::new(Watched { sink, witness: self.clone() })
    }

    /// How many different records have died again.
    pub fn records(&self) -> usize {
        self.seen(|seen| seen.records.len())
    }

    /// How many letters came from no record: windows and timers.
    pub fn others(&self) -> usize {
        self.seen(|seen| seen.others)
    }

    fn see(&self, batch: &Batch) {
        self.seen(|seen| match &batch.lineage {
            None => seen.others += batch.len(),
            Some(lineage) => {
                let position = |row| lineage.positions.text(lineage.record(row));
                let records = (0..batch.len()).map(|row| (lineage.split.to_string(), position(row)));
                seen.records.extend(records);
            }
        });
    }

    fn seen<R>(&self, with: impl FnOnce(&mut Seen) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Watched<S: ?Sized> {
    witness: Witness,
    sink: Box<S>,
}

#[async_trait]
impl Sink for Watched<dyn Sink> {
    fn guarantee(&self) -> Guarantee {
        self.sink.guarantee()
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Self { sink, witness } = *self;
        Ok(Box::new(Watched { sink: sink.open(opening).await?, witness }))
    }
}

#[async_trait]
impl SinkWriter for Watched<dyn SinkWriter> {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        self.witness.see(&batch);
        self.sink.write(batch).await
    }

    async fn flush(&mut self) -> Result<()> {
        self.sink.flush().await
    }

    async fn close(&mut self) -> Result<()> {
        self.sink.close().await
    }

    fn flush_interval(&self) -> Duration {
        self.sink.flush_interval()
    }
}
