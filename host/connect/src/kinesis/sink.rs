//! The `kinesis` sink: rows as records of a stream, in order per partition key. The service takes what it is sent, so a row
//! that is written again is there twice: `dedup` gives each row an id, the same every time, by which readers can tell.

mod row;
mod settings;

pub use settings::check;

use super::producer::Producer;
use async_trait::async_trait;
use row::Rows;
use settings::Settings;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Guarantee, Result};

/// So many rows may wait to be confirmed.
const WAITING: usize = 20_000;
/// So many of them may have to go one after the other, about: as many round trips a checkpoint has to wait for.
const ONE_AFTER_ANOTHER: usize = 200;
/// So many bytes of them, about.
const WAITING_BYTES: usize = 16 << 20;

struct Kinesis {
    settings: Settings,
}

#[async_trait]
impl Sink for Kinesis {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Settings { target, packs, rows, flush_interval } = self.settings;
        let producer = Producer::connect(&target, packs).await?;
        let rows = Rows::new(rows, &opening.job);
        Ok(Box::new(Writer { producer, rows, ledger: opening.ledger, flush_interval, bytes: 0 }))
    }
}

/// An open sink.
struct Writer {
    producer: Producer,
    rows: Rows,
    ledger: Arc<StepLedger>,
    flush_interval: Duration,
    /// The bytes of the rows that were taken since nothing waited.
    bytes: usize,
}

impl Writer {
    async fn settle(&mut self) -> Result<()> {
        let before = self.producer.tally().retries;
        let confirmed = self.producer.confirm().await;
        let failures = self.producer.tally().retries - before;
        StepLedger::add(&self.ledger.retries, usize::try_from(failures).unwrap_or(usize::MAX));
        let confirmed = confirmed?.len();
        StepLedger::add(&self.ledger.emitted, confirmed);
        StepLedger::add(&self.ledger.written, confirmed);
        if self.producer.waiting() == 0 {
            self.bytes = 0;
        }
        Ok(())
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        for (row, record) in self.rows.of(&batch).into_iter().enumerate() {
            match record {
                Ok(record) => {
                    self.bytes += record.size();
                    if self.producer.push(record) > ONE_AFTER_ANOTHER {
                        self.settle().await?;
                    }
                }
                Err(reason) => self.ledger.refuse(&batch, row, reason),
            }
            if self.bytes > WAITING_BYTES {
                self.flush().await?;
            }
            while self.producer.waiting() > WAITING {
                self.settle().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        while self.producer.waiting() > 0 {
            self.settle().await?;
        }
        Ok(())
    }

    fn flush_interval(&self) -> Duration {
        self.flush_interval
    }
}
