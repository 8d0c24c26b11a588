//! Fills requests with items and sends them off, several at once if the other side bears it. When there may be no more of them on
//! their way, nothing else is taken.

use super::admission::Admissions;
use super::delivery::{Delivery, Entry, Service};
use super::flights::Flights;
use super::permits::Permits;
use super::settings::{RequestSettings, Size};
use std::collections::HashMap;
use std::sync::Arc;
use wasmill_stream::Result;
use wasmill_stream::ledger::StepLedger;

/// What becomes of an item about something of which there is one in the request already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// It stands behind it: a request is taken as a whole or not at all.
    Together,
    /// It takes its place.
    Supersede,
    /// It waits until the other one has met its fate.
    Apart,
}

/// The requests of one sink.
pub struct Outbox<S: Service> {
    delivery: Arc<Delivery<S>>,
    permits: Arc<Permits>,
    flights: Flights,
    size: Size,
    repeats: Repeats,
    waiting: Vec<Entry<S::Item>>,
    /// Of all that waits, with what is superseded.
    bytes: usize,
    /// Where among those that wait the last one about something is.
    places: HashMap<u64, usize>,
}

impl<S: Service> Outbox<S> {
    /// Nothing waits, and nothing is on its way.
    pub fn new(service: S, ledger: Arc<StepLedger>, settings: &RequestSettings, size: Size, repeats: Repeats) -> Self {
        let admissions = Admissions::new(ledger.clone());
        Self {
            delivery: Arc::new(Delivery { service, ledger, admissions }),
            permits: Permits::new(settings.concurrency, settings.in_flight_bytes),
            flights: Flights::default(),
            size,
            repeats,
            waiting: Vec::new(),
            bytes: 0,
            places: HashMap::new(),
        }
    }

    /// Takes an item, and sends what makes a request.
    pub async fn push(&mut self, entry: Entry<S::Item>) -> Result<()> {
        let is_too_much = !self.waiting.is_empty() && self.bytes + entry.bytes > self.size.bytes;
        let is_repeat = entry.order.is_some_and(|order| self.places.contains_key(&order));
        if is_too_much || (is_repeat && self.repeats == Repeats::Apart) {
            self.send().await?;
        }
        self.bytes += entry.bytes;
        let place = entry.order.and_then(|order| self.places.get(&order).copied());
        match place.and_then(|place| self.waiting.get_mut(place)) {
            Some(before) if self.repeats == Repeats::Supersede => {
                let before = std::mem::replace(before, entry);
                if let Some(now) = place.and_then(|place| self.waiting.get_mut(place)) {
                    now.older = before.older;
                    now.older.push((before.item, before.origins));
                }
            }
            _ => {
                self.places.extend(entry.order.map(|order| (order, self.waiting.len())));
                self.waiting.push(entry);
            }
        }
        if self.waiting.len() >= self.size.items || self.bytes >= self.size.bytes {
            self.send().await?;
        }
        Ok(())
    }

    /// Sends everything, and waits until all of it has met its fate.
    pub async fn flush(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.send().await?;
        }
        self.flights.land_all().await
    }

    async fn send(&mut self) -> Result<()> {
        self.flights.check()?;
        let orders = self.places.keys().copied().collect();
        self.flights.clear_way(&orders).await?;
        let permit = self.permits.acquire(self.bytes).await;
        self.places.clear();
        self.bytes = 0;
        let entries = std::mem::take(&mut self.waiting);
        self.flights.depart(self.delivery.clone().deliver(entries, permit), orders);
        Ok(())
    }
}
