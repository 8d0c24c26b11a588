//! A sink that gathers rows until the end, and that takes and commits only while its gates are open.

use crate::parts::{Gate, Job};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{NodeKind, Port, SinkTerms};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Guarantee, Result};

/// The sink.
#[derive(Clone, Default)]
pub struct Shelf {
    /// Where a write waits.
    pub writes: Gate,
    /// Where a commit waits.
    pub commits: Gate,
}

struct Writer {
    shelf: Shelf,
    ledger: Arc<StepLedger>,
    rows: usize,
}

#[async_trait]
impl Sink for Shelf {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Writer { shelf: *self, ledger: opening.ledger, rows: 0 }))
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        self.shelf.writes.pass().await;
        self.rows += batch.len();
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        StepLedger::add(&self.ledger.emitted, self.rows);
        StepLedger::add(&self.ledger.written, std::mem::take(&mut self.rows));
        Ok(())
    }

    /// Leaves rows where they are. Such a sink would lose them in a crash, which is not what it is for.
    async fn prepare(&mut self, _cut: Cut) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    async fn commit(&mut self) -> Result<()> {
        self.shelf.commits.pass().await;
        Ok(())
    }

    fn flush_interval(&self) -> Duration {
        Duration::from_secs(3_600)
    }
}

impl Job {
    /// Adds the sink `shelf`.
    pub fn shelve(&mut self, source: usize, shelf: &Shelf) {
        self.node(
            "shelf",
            &[(source, Port::Main)],
            NodeKind::Sink { sink: Box::new(shelf.clone()), terms: SinkTerms::default() },
        );
    }
}
