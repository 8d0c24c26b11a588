//! Native parts: a source of keys, logic that touches an accumulator per row, a sink that counts.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{
    Accumulated, Aggregate, AggregatePlugin, Finished, Fired, Identity, Merged, Needs, Plugin, Rows, Transform,
    TransformPlugin, Transformed, View,
};
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::source::{Intake, Source};
use wasmill_stream::{Batch, Binary, Guarantee, GuestLedger, Position, Positions, Result, SplitId};

/// Rows in a chunk.
const CHUNK: u64 = 4_096;

/// Every key once, then a tenth of them over and over, without end. Records are the keys.
pub struct Keys {
    pub count: u64,
}

#[async_trait]
impl Source for Keys {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let mut next = match intake.resume_split("0").and_then(|mark| mark.position) {
            Some(Position::Number(last)) => last + 1,
            _ => 0,
        };
        let Some(sender) = intake.open(vec![SplitId::new("keys", 0)]).await?.pop() else { return Ok(()) };
        let key = |at: u64| if at < self.count { at } else { at * 7_919 % (self.count / 10).max(1) };
        while !intake.is_stopped() {
            let keys: Binary = (next..next + CHUNK).map(|at| format!("key-{:012}", key(at))).collect();
            sender.rows(keys, Positions::Consecutive { first: next }).await?;
            next += CHUNK;
        }
        Ok(())
    }
}

/// What every native plugin has.
#[derive(Default)]
struct Native {
    identity: Identity,
    needs: Needs,
    ledger: Arc<GuestLedger>,
}

/// Implements [`Plugin`] for plugins with a field `native`.
macro_rules! native {
    ($($plugin:ident),*) => {$(
        impl Plugin for $plugin {
            fn identity(&self) -> &Identity {
                &self.native.identity
            }

            fn needs(&self) -> &Needs {
                &self.native.needs
            }

            fn ledger(&self) -> &Arc<GuestLedger> {
                &self.native.ledger
            }
        }
    )*};
}

native!(ByKey, Sums);

/// The record is the key; the time stands still.
pub struct ByKey {
    native: Native,
}

impl Default for ByKey {
    fn default() -> Self {
        let needs = Needs { reads_values: true, ..Needs::default() };
        Self { native: Native { needs, ..Native::default() } }
    }
}

impl TransformPlugin for ByKey {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Self::default()))
    }
}

impl Transform for ByKey {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let main = Rows { times: Some(vec![0; batch.times.len()]), keys: batch.values.cloned(), ..Rows::default() };
        Ok(Transformed { main, ..Transformed::default() })
    }
}

/// Counts in the first eight bytes of a longer accumulator.
pub struct Sums {
    native: Native,
    bytes: usize,
}

impl Sums {
    pub fn new(bytes: usize) -> Self {
        Self { native: Native::default(), bytes }
    }
}

impl AggregatePlugin for Sums {
    fn instantiate(&self) -> Result<Box<dyn Aggregate>> {
        Ok(Box::new(Self::new(self.bytes)))
    }
}

impl Aggregate for Sums {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], _batch: &View<'_>) -> Result<Accumulated> {
        let mut counts: Vec<u64> = accumulators
            .iter()
            .map(|bytes| bytes.first_chunk().map_or(0, |count| u64::from_le_bytes(*count)))
            .collect();
        groups.iter().for_each(|&group| counts[group as usize] += 1);
        let mut padded = vec![0; self.bytes];
        let accumulators = counts
            .iter()
            .map(|count| {
                padded[..8].copy_from_slice(&count.to_le_bytes());
                padded.clone()
            })
            .collect();
        Ok(Accumulated { accumulators, rejects: Vec::new() })
    }

    fn merge(&mut self, accumulators: &Binary, _groups: &[u32], _count: u32) -> Result<Merged> {
        // Tumbling windows are never merged.
        Ok(accumulators.clone().into())
    }

    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        Ok(Finished { values: fired.keys.clone(), ..Finished::default() })
    }
}

/// Counts rows.
pub struct Arrivals {
    pub seen: Arc<AtomicU64>,
}

struct Counter(Arc<AtomicU64>, Arc<StepLedger>);

#[async_trait]
impl Sink for Arrivals {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Counter(self.seen, opening.ledger)))
    }
}

#[async_trait]
impl SinkWriter for Counter {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        self.0.fetch_add(batch.len() as u64, Relaxed);
        StepLedger::add(&self.1.emitted, batch.len());
        StepLedger::add(&self.1.written, batch.len());
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
