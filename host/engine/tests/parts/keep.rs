//! A sink that keeps what it takes.

use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, Guarantee, Result};

/// What a sink has taken.
#[derive(Clone, Default)]
pub struct Taken {
    pub rows: Arc<Mutex<Vec<String>>>,
    /// Their ids.
    pub ids: Arc<Mutex<Vec<String>>>,
    /// The largest number of bytes that were sent but not yet taken.
    pub most_behind: Arc<AtomicUsize>,
}

/// Keeps the rows as text: the value, and for results the window's start.
#[derive(Default)]
pub struct Keep {
    pub taken: Taken,
    /// Compares with what the source has sent, and is slow.
    pub behind: Option<Arc<AtomicUsize>>,
    pub fail: bool,
}

struct Keeper {
    keep: Keep,
    ledger: Arc<StepLedger>,
    bytes: usize,
}

#[async_trait]
impl Sink for Keep {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Keeper { keep: *self, ledger: opening.ledger, bytes: 0 }))
    }
}

#[async_trait]
impl SinkWriter for Keeper {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        if self.keep.fail {
            return Err(Error::unavailable("the shelf is full"));
        }
        if let Some(sent) = &self.keep.behind {
            self.bytes += batch.values.total_bytes();
            self.keep.taken.most_behind.fetch_max(sent.load(SeqCst).saturating_sub(self.bytes), SeqCst);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        self.keep.taken.rows.lock().expect("not poisoned").extend(texts(&batch));
        self.keep.taken.ids.lock().expect("not poisoned").extend(batch.row_ids());
        StepLedger::add(&self.ledger.emitted, batch.len());
        StepLedger::add(&self.ledger.written, batch.len());
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The rows of a batch as text.
pub fn texts(batch: &Batch) -> impl Iterator<Item = String> {
    (0..batch.len()).map(|row| {
        let value = String::from_utf8_lossy(batch.values.get(row)).into_owned();
        batch.firings.as_ref().map_or(value.clone(), |all| format!("{}: {value}", all[row].start))
    })
}

impl Taken {
    pub fn sorted(&self) -> Vec<String> {
        let mut rows = self.rows.lock().expect("not poisoned").clone();
        rows.sort();
        rows
    }
}
