//! Puts values together and sends them off. What waits is bounded by data points and by rows.

use super::metrics::Metrics;
use super::reading::Reading;
use super::series::{Point, Series, Values};
use super::settings::Settings;
use crate::requests::{Entry, Outbox};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::SinkWriter;
use wasmill_stream::{Batch, Result};

/// So many data points, or rows in them, are as many as can wait.
const MOST_POINTS: usize = 10_000;
const MOST_ROWS: usize = 100_000;

/// An open sink.
pub struct Writer {
    reading: Reading,
    is_set: bool,
    /// Bytes of the names of all dimensions.
    names: usize,
    outbox: Outbox<Metrics>,
    ledger: Arc<StepLedger>,
    flush_interval: Duration,
    /// What waits, by series and second.
    open: HashMap<(Series, i64), Waiting>,
    /// Data points that are full.
    full: Vec<Entry<Point>>,
    rows: usize,
}

struct Waiting {
    values: Values,
    origins: Vec<(Arc<Batch>, usize)>,
}

impl Writer {
    /// Nothing waits yet.
    pub fn new(settings: Settings, outbox: Outbox<Metrics>, ledger: Arc<StepLedger>) -> Self {
        let Settings { rows, requests, .. } = settings;
        Self {
            is_set: rows.is_set,
            names: rows.dimensions.iter().map(|(name, _)| name.len()).sum(),
            reading: Reading::new(rows, ledger.clone()),
            outbox,
            ledger,
            flush_interval: requests.flush_interval,
            open: HashMap::new(),
            full: Vec::new(),
            rows: 0,
        }
    }

    fn add(&mut self, series: Series, second: i64, value: f64, origin: (Arc<Batch>, usize)) {
        self.rows += 1;
        let place = (series, second);
        if let Some(waiting) = self.open.get_mut(&place) {
            if waiting.values.add(value) {
                waiting.origins.push(origin);
                return;
            }
            // It is full: another one for the same second begins.
            if let Some(Waiting { values, origins }) = self.open.remove(&place) {
                let point = Point { series: place.0.clone(), second, values };
                self.full.push(entry(point, origins, self.names));
            }
        }
        let mut values = Values::new(self.is_set);
        values.add(value);
        self.open.insert(place, Waiting { values, origins: vec![origin] });
    }

    /// Hands everything that waits to the outbox.
    async fn send(&mut self) -> Result<()> {
        self.rows = 0;
        let names = self.names;
        let open = self.open.drain().map(|((series, second), Waiting { values, origins })| {
            entry(Point { series, second, values }, origins, names)
        });
        let entries: Vec<_> = self.full.drain(..).chain(open).collect();
        for entry in entries {
            self.outbox.push(entry).await?;
        }
        Ok(())
    }
}

fn entry(point: Point, origins: Vec<(Arc<Batch>, usize)>, names: usize) -> Entry<Point> {
    let bytes = point.bytes(names);
    Entry { item: point, origins, bytes, order: None, older: Vec::new() }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        let measured = self.reading.of(&batch, Timestamp::now().as_second());
        for (row, measured) in measured.into_iter().enumerate() {
            match measured {
                Ok(it) => self.add(it.series, it.second, it.value, (batch.clone(), row)),
                Err(reason) => self.ledger.refuse(&batch, row, &reason),
            }
            if self.open.len() + self.full.len() >= MOST_POINTS || self.rows >= MOST_ROWS {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.send().await?;
        self.outbox.flush().await
    }

    fn flush_interval(&self) -> Duration {
        self.flush_interval
    }
}
