//! The `kinesis` sink: rows as records of a stream, in order per partition key. The service takes what it is sent, so a row
//! that is written again is there twice: `dedup` gives each row an id, the same every time, by which readers can tell.

mod row;
mod settings;

pub use settings::check;

use super::producer::Producer;
use crate::outage::Outage;
use async_trait::async_trait;
use row::Rows;
use settings::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{OnOutage, Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, Guarantee, Result};

/// So many rows may wait to be confirmed.
const WAITING: usize = 20_000;
/// So many of them may have to go one after the other, about: as many round trips a checkpoint has to wait for.
const ONE_AFTER_ANOTHER: usize = 200;
/// So many bytes of them, about.
const WAITING_BYTES: usize = 16 << 20;

/// How often it is looked whether anything was taken.
const LOOK: Duration = Duration::from_secs(1);

struct Kinesis {
    settings: Settings,
}

#[async_trait]
impl Sink for Kinesis {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn gives_up(&self) -> bool {
        true
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        let Settings { target, packs, rows, flush_interval } = self.settings;
        let producer = Producer::connect(&target, packs).await?;
        let rows = Rows::new(rows, &opening.job);
        let Opening { ledger, on_outage, .. } = opening;
        let outage = Outage::new(on_outage, ledger.clone(), producer.ask());
        let origins = (on_outage != OnOutage::Wait).then(BTreeMap::new);
        Ok(Box::new(Writer { producer, rows, ledger, outage, origins, next: 0, flush_interval, bytes: 0 }))
    }
}

/// An open sink.
struct Writer {
    producer: Producer,
    rows: Rows,
    ledger: Arc<StepLedger>,
    outage: Arc<Outage>,
    /// The rows that are not confirmed, by their tokens; kept only if they may have to be given up.
    origins: Option<BTreeMap<i64, (Arc<Batch>, usize)>>,
    /// The next token.
    next: i64,
    flush_interval: Duration,
    /// The bytes of the rows that were taken since nothing waited.
    bytes: usize,
}

impl Writer {
    async fn settle(&mut self) -> Result<()> {
        let before = self.producer.tally().retries;
        let confirmed = tokio::select! {
            confirmed = self.producer.confirm() => Some(confirmed),
            () = tokio::time::sleep(LOOK) => None,
        };
        let failures = self.producer.tally().retries - before;
        StepLedger::add(&self.ledger.retries, usize::try_from(failures).unwrap_or(usize::MAX));
        let confirmed = confirmed.transpose()?.unwrap_or_default();
        if !confirmed.is_empty() {
            self.outage.is_over();
            if let Some(origins) = &mut self.origins {
                confirmed.iter().for_each(|token| drop(origins.remove(token)));
            }
            StepLedger::add(&self.ledger.emitted, confirmed.len());
            StepLedger::add(&self.ledger.written, confirmed.len());
        }
        let failure = self.producer.failure().map(Error::unavailable);
        if let Some(reason) = failure.and_then(|failure| self.outage.failed(&failure)) {
            self.give_up(&reason);
        }
        if self.producer.waiting() == 0 {
            self.bytes = 0;
        }
        Ok(())
    }

    fn give_up(&mut self, reason: &str) {
        self.producer.abandon();
        for (batch, row) in self.origins.iter_mut().flat_map(|origins| std::mem::take(origins).into_values()) {
            self.ledger.give_up(&batch, row, reason);
        }
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        for (row, record) in self.rows.of(&batch).into_iter().enumerate() {
            match record {
                Ok(mut record) => {
                    if let Some(reason) = self.outage.turns_away() {
                        self.ledger.give_up(&batch, row, &reason);
                        continue;
                    }
                    if let Some(origins) = &mut self.origins {
                        record.token = self.next;
                        origins.insert(self.next, (batch.clone(), row));
                        self.next += 1;
                    }
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
