//! The writer of sinks in which each row is an item of its own.

use super::delivery::{Entry, Service};
use super::outbox::Outbox;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::SinkWriter;
use wasmill_stream::{Batch, Result};

/// Makes items of rows.
pub trait Rows: Send {
    /// What a row becomes.
    type Item;

    /// What becomes of each row of a batch.
    fn of(&mut self, batch: &Arc<Batch>) -> Vec<Made<Self::Item>>;
}

/// What has become of a row.
pub enum Made<I> {
    /// An item.
    Item(Entry<I>),
    /// Nothing, on purpose.
    Nothing,
    /// Nothing, for this reason.
    Refused(String),
}

impl<I> From<Result<Entry<I>, String>> for Made<I> {
    fn from(made: Result<Entry<I>, String>) -> Self {
        made.map_or_else(Self::Refused, Self::Item)
    }
}

/// An open sink.
pub struct RowWriter<R, S: Service> {
    rows: R,
    outbox: Outbox<S>,
    ledger: Arc<StepLedger>,
    flush_interval: Duration,
}

impl<R: Rows<Item = S::Item>, S: Service> RowWriter<R, S> {
    /// Writes by this outbox.
    pub fn new(rows: R, outbox: Outbox<S>, ledger: Arc<StepLedger>, flush_interval: Duration) -> Self {
        Self { rows, outbox, ledger, flush_interval }
    }
}

#[async_trait]
impl<R: Rows<Item = S::Item>, S: Service> SinkWriter for RowWriter<R, S> {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        for (row, made) in self.rows.of(&batch).into_iter().enumerate() {
            match made {
                Made::Item(entry) => self.outbox.push(entry).await?,
                Made::Nothing => StepLedger::add(&self.ledger.filtered, 1),
                Made::Refused(reason) => self.ledger.refuse(&batch, row, &reason),
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.outbox.flush().await
    }

    fn flush_interval(&self) -> Duration {
        self.flush_interval
    }
}
