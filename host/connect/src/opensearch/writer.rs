//! Writes batches: fills requests and sends them off, several at once if the server bears it. When it may have no more of them
//! on their way, nothing else is read.

use super::admission::Admissions;
use super::bulk::{Action, Bulk, Documents};
use super::collisions::Collisions;
use super::delivery::{Delivery, RequestSize};
use super::flights::Flights;
use super::permits::Permits;
use super::server::Server;
use super::settings::Settings;
use super::undo;
use crate::outage::{Ask, Outage};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::sink::{Opening, SinkWriter, Undo};
use wasmill_stream::{Batch, Result};

/// An open sink.
pub struct Writer {
    delivery: Arc<Delivery>,
    permits: Arc<Permits>,
    flights: Flights,
    bulk: Bulk,
    /// The index of all documents; `None` if each names its own.
    index: Option<String>,
    batch_rows: usize,
    flush_interval: Duration,
    /// Where it notes what it is going to change.
    undo: Option<Arc<dyn Undo>>,
}

impl Writer {
    /// A writer with an empty buffer.
    pub fn new(server: Server, settings: &Settings, action: Action, opening: Opening) -> Self {
        let Opening { ledger, undo, on_outage, .. } = opening;
        let server = Arc::new(server);
        let index = settings.index.is_literal().then(|| settings.index.at(0));
        let delivery = Arc::new(Delivery {
            outage: Outage::new(on_outage, ledger.clone(), is_there(&server)),
            server,
            path: match &index {
                // Without it, the server would make an index of the name of an alias that somebody has taken away.
                Some(index) if settings.creation.rollover => format!("/{index}/_bulk?require_alias=true"),
                Some(index) => format!("/{index}/_bulk"),
                None => "/_bulk".to_owned(),
            },
            admissions: Admissions::new(ledger.clone()),
            collisions: settings.identity.id.is_none().then(|| Collisions::new(ledger.clone())),
            ledger,
            size: RequestSize::new(settings.batch_bytes),
        });
        Self {
            delivery,
            permits: Permits::new(settings.concurrency, settings.in_flight_bytes),
            flights: Flights::default(),
            bulk: Bulk::new(settings, action),
            index,
            batch_rows: settings.batch_rows,
            flush_interval: settings.flush_interval,
            undo,
        }
    }

    /// Sends documents off as soon as they may go.
    async fn send(&mut self, documents: Documents) -> Result<()> {
        self.flights.check()?;
        let ids = documents.orders();
        self.flights.clear_way(&ids).await?;
        let permit = self.permits.acquire(documents.bytes()).await;
        if let Some(undo) = self.undo.as_ref().filter(|undo| undo.is_wanted()) {
            let Delivery { server, outage, .. } = &*self.delivery;
            if let Err(reason) = undo::note(server, &**undo, self.index.as_deref(), &documents, outage).await? {
                self.delivery.give_up(&documents, 0..documents.len(), &reason);
                return Ok(());
            }
        }
        self.flights.depart(self.delivery.clone().deliver(documents, permit), ids);
        Ok(())
    }
}

/// Asks whether the server is there.
fn is_there(server: &Arc<Server>) -> Ask {
    let server = server.clone();
    Box::new(move || {
        let server = server.clone();
        Box::pin(async move { server.is_there().await })
    })
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        for (row, identity) in self.bulk.begin(&batch).into_iter().enumerate() {
            if let Err(reason) = identity.and_then(|identity| self.bulk.push(&batch, row, &identity)) {
                self.delivery.ledger.refuse(&batch, row, reason);
                continue;
            }
            if self.bulk.bytes() > self.delivery.size.limit() && self.bulk.len() > 1 {
                let documents = self.bulk.take_but_last();
                self.send(documents).await?;
            }
            if self.bulk.len() >= self.batch_rows || self.bulk.bytes() >= self.delivery.size.limit() {
                let documents = self.bulk.take();
                self.send(documents).await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if self.bulk.len() > 0 {
            let documents = self.bulk.take();
            self.send(documents).await?;
        }
        self.flights.land_all().await
    }

    fn flush_interval(&self) -> Duration {
        self.flush_interval
    }
}
