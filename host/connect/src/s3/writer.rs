//! Writes batches: deals rows to open objects by the hour of their event time, and hands over objects that are large or
//! old, and in a job with checkpoints all of them at each.

use super::object::Object;
use super::settings::Settings;
use super::store::Store;
use super::uploads::Uploads;
use crate::time_pattern::STEP_MILLIS;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, SinkWriter};
use wasmill_stream::{Batch, Error, ErrorKind, Result};

/// Most objects that are open at a time. Rows of many hours at once make small objects, not a large process.
const OPEN: usize = 64;

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
    settings: Settings,
    ledger: Arc<StepLedger>,
    /// Open objects by the prefix of their keys.
    open: BTreeMap<String, Object>,
}

impl Writer {
    /// A writer with nothing open.
    pub fn new(outlet: Outlet, settings: Settings, ledger: Arc<StepLedger>) -> Self {
        Self { outlet, settings, ledger, open: BTreeMap::new() }
    }

    /// Appends neighbouring rows of one hour to the object of that hour.
    fn append(&mut self, batch: &Batch, rows: std::ops::Range<usize>) -> Result<String> {
        let prefix = self.settings.prefix.at(batch.times[rows.start]);
        let compression = self.settings.compression;
        let object = self.open.entry(prefix.clone()).or_insert_with(|| Object::new(compression));
        for row in rows {
            object.push(batch.values.get(row)).map_err(packing)?;
        }
        Ok(prefix)
    }

    /// An object that has to go: the one that was just written if it is large, the largest if there is too much in all.
    fn due(&self, prefix: &str) -> Option<String> {
        let bytes = |object: &Object| object.bytes();
        if self.open.get(prefix).map_or(0, bytes) >= self.settings.object_bytes {
            return Some(prefix.to_owned());
        }
        let total: usize = self.open.values().map(bytes).sum();
        if self.open.len() <= OPEN && total < 2 * self.settings.object_bytes {
            return None;
        }
        self.open.iter().max_by_key(|(_, object)| object.bytes()).map(|(prefix, _)| prefix.clone())
    }

    /// Hands over open objects.
    async fn hand_over(&mut self, prefixes: Vec<String>) -> Result<()> {
        let (mut objects, mut rows) = (Vec::new(), 0);
        for prefix in prefixes {
            let Some(object) = self.open.remove(&prefix) else { continue };
            let (bytes, count) = object.finish().map_err(packing)?;
            rows += count;
            objects.push((prefix, Bytes::from(bytes)));
        }
        let suffix = self.settings.compression.suffix();
        match &mut self.outlet {
            Outlet::AtOnce(store) => store.put(objects, suffix).await?,
            Outlet::Committed(uploads) => uploads.fill(objects, suffix).await?,
        }
        StepLedger::add(&self.ledger.emitted, rows);
        StepLedger::add(&self.ledger.written, rows);
        Ok(())
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        let literal = self.settings.prefix.is_literal();
        let hour = |row: &usize| if literal { 0 } else { batch.times[*row].div_euclid(STEP_MILLIS) };
        let mut start = 0;
        while start < batch.len() {
            let end = (start + 1..batch.len()).find(|row| hour(row) != hour(&start)).unwrap_or(batch.len());
            let prefix = self.append(&batch, start..end)?;
            if let Some(due) = self.due(&prefix) {
                self.hand_over(vec![due]).await?;
            }
            start = end;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.hand_over(self.open.keys().cloned().collect()).await
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
        self.settings.roll_interval
    }
}

fn packing(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "pack an object").with_source(error)
}
