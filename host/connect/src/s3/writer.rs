//! Writes batches: deals rows to open objects by the hour of their event time, and puts objects that are large or old.

use super::object::Object;
use super::settings::Settings;
use super::store::Store;
use crate::retry::{Backoff, Patience};
use crate::time_pattern::STEP_MILLIS;
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::SinkWriter;
use wasmill_stream::{Batch, Error, ErrorKind, Result};

/// Most objects that are open at a time. Rows of many hours at once make small objects, not a large process.
const OPEN: usize = 64;

/// An open sink.
pub struct Writer {
    store: Store,
    settings: Settings,
    ledger: Arc<StepLedger>,
    /// Open objects by the prefix of their keys.
    open: BTreeMap<String, Object>,
    /// What the keys of this run have in common and no other run has.
    run: String,
    /// How many objects were put.
    put: u64,
}

impl Writer {
    /// A writer with nothing open.
    pub fn new(name: &str, store: Store, settings: Settings, ledger: Arc<StepLedger>) -> Self {
        let started = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let random = RandomState::new().hash_one(name) as u32;
        let run = format!("{name}-{started}-{random:08x}");
        Self { store, settings, ledger, open: BTreeMap::new(), run, put: 0 }
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

    /// Puts an open object, as often as it takes.
    async fn put(&mut self, prefix: &str) -> Result<()> {
        let Some(object) = self.open.remove(prefix) else { return Ok(()) };
        let (bytes, rows) = object.finish().map_err(packing)?;
        let bytes = Bytes::from(bytes);
        let suffix = self.settings.compression.suffix();
        let key = format!("{prefix}{}-{:06}.{suffix}", self.run, self.put);
        self.put += 1;
        let mut backoff = Backoff::new(Patience::ENDLESS);
        while let Err(error) = self.store.put(&key, bytes.clone()).await {
            backoff.wait(error).await?;
        }
        backoff.succeeded();
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
                self.put(&due).await?;
            }
            start = end;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        while let Some(prefix) = self.open.keys().next().cloned() {
            self.put(&prefix).await?;
        }
        Ok(())
    }

    fn flush_interval(&self) -> Duration {
        self.settings.flush_interval
    }
}

fn packing(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "pack an object").with_source(error)
}
