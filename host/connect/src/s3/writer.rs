//! Writes batches: gathers rows in open objects, and hands over objects that are large or old, and in a job with checkpoints
//! all of them at each.

use super::settings::Settings;
use super::store::Store;
use super::uploads::Uploads;
use crate::disk::blocking;
use crate::gathering::{Complete, Gathering};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, SinkWriter};
use wasmill_stream::{Batch, Result};

/// Where objects go when they have their rows.
pub enum Outlet {
    /// They are visible at once.
    AtOnce(Store),
    /// They are visible when a checkpoint with them is published.
    Committed(Uploads),
}

/// An open sink.
pub struct Writer {
    outlet: Outlet,
    ledger: Arc<StepLedger>,
    /// The end of the keys.
    suffix: &'static str,
    roll_interval: Duration,
    /// Also held, for the time of one call, by a thread that may be busy: packing takes time.
    gathering: Arc<Mutex<Gathering>>,
}

impl Writer {
    /// A writer with nothing open. `run`: the number of the run, or 0 in a job that does not count them.
    pub fn new(outlet: Outlet, settings: Settings, run: u64, ledger: Arc<StepLedger>) -> Self {
        let Settings { partitions, format, object_bytes, roll_interval, .. } = settings;
        let suffix = format.suffix();
        let gathering = Arc::new(Mutex::new(Gathering::new(format, partitions, object_bytes, run)));
        Self { outlet, ledger, suffix, roll_interval, gathering }
    }

    /// Does something with what is gathered, and hands over the objects that are complete by that.
    async fn gather(
        &mut self,
        act: impl FnOnce(&mut Gathering) -> Result<Vec<Complete>> + Send + 'static,
    ) -> Result<()> {
        let gathering = self.gathering.clone();
        let complete = blocking(move || act(&mut gathering.lock().unwrap_or_else(PoisonError::into_inner))).await?;
        if complete.is_empty() {
            return Ok(());
        }
        let rows = complete.iter().map(|complete| complete.rows).sum();
        let objects = complete.into_iter().map(|Complete { prefix, bytes, .. }| (prefix, Bytes::from(bytes))).collect();
        match &mut self.outlet {
            Outlet::AtOnce(store) => store.put(objects, self.suffix).await?,
            Outlet::Committed(uploads) => uploads.fill(objects, self.suffix).await?,
        }
        StepLedger::add(&self.ledger.emitted, rows);
        StepLedger::add(&self.ledger.written, rows);
        Ok(())
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        let ledger = self.ledger.clone();
        self.gather(move |gathering| gathering.take(&batch, &ledger)).await
    }

    async fn flush(&mut self) -> Result<()> {
        self.gather(Gathering::finish).await
    }

    async fn prepare(&mut self, _cut: Cut) -> Result<Value> {
        self.flush().await?;
        match &mut self.outlet {
            Outlet::AtOnce(_) => Ok(Value::Null),
            Outlet::Committed(uploads) => uploads.prepare(),
        }
    }

    async fn commit(&mut self) -> Result<()> {
        match &mut self.outlet {
            Outlet::AtOnce(_) => Ok(()),
            Outlet::Committed(uploads) => uploads.commit().await,
        }
    }

    async fn close(&mut self) -> Result<()> {
        match &self.outlet {
            Outlet::AtOnce(_) => self.flush().await,
            // Uploads stay as they are: a manifest may name them.
            Outlet::Committed(_) => Ok(()),
        }
    }

    fn flush_interval(&self) -> Duration {
        self.roll_interval
    }
}
