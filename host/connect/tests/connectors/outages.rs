//! Sinks that are told not to wait while their other side takes nothing.

use crate::fake_kinesis::{FakeKinesis, PutFault};
use crate::fake_search::{FakeSearch, Turn};
use crate::harness::{self, PATIENCE};
use crate::kinesis::{listen, settings, source};
use crate::sink_suite::records;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{OnOutage, Opening, Sink, SinkWriter};
use wasmill_stream::{Cause, Lineage, Positions};

/// Rows go straight to the dead letters when something fails.
const AT_ONCE: OnOutage = OnOutage::DeadLetter { after: Duration::ZERO };

/// An open sink, the number of its next row, and what it has made dead letters of.
struct Writing {
    writer: Box<dyn SinkWriter>,
    ledger: Arc<StepLedger>,
    next: usize,
    dead: BTreeSet<usize>,
}

impl Writing {
    async fn open(sink: Box<dyn Sink>) -> Self {
        assert!(sink.gives_up());
        let ledger = Arc::new(StepLedger::new("out").keeping_refusals());
        let opening = Opening { on_outage: AT_ONCE, ..Opening::new(ledger.clone()) };
        let writer = sink.open(opening).await.expect("the sink opens");
        Self { writer, ledger, next: 0, dead: BTreeSet::new() }
    }

    /// Writes so many rows, and waits until each has met its fate. Tells how many were given up.
    async fn write(&mut self, rows: usize) -> usize {
        let values = (self.next..self.next + rows).map(|n| format!("{{\"n\":{n}}}"));
        let mut batch = Arc::unwrap_or_clone(records(0, values));
        let positions = Arc::new(Positions::Consecutive { first: self.next as u64 });
        batch.lineage = batch.lineage.map(|lineage| Lineage { positions, ..lineage });
        self.next += rows;
        StepLedger::add(&self.ledger.read, rows);
        let write = async {
            self.writer.write(Arc::new(batch)).await.expect("a write");
            self.writer.flush().await.expect("a flush");
        };
        tokio::time::timeout(PATIENCE, write).await.expect("rows do not wait");
        let before = self.dead.len();
        for letter in self.ledger.take_refusals(0).iter().flat_map(|batch| batch.values.iter()) {
            let letter: Value = serde_json::from_slice(letter).expect("JSON");
            assert_eq!(letter["cause"], "outage", "{letter}");
            let row: Value = serde_json::from_str(letter["value"].as_str().expect("a value")).expect("JSON");
            assert!(self.dead.insert(row["n"].as_u64().expect("a number") as usize), "twice: {row}");
        }
        self.dead.len() - before
    }

    /// Writes rows until one is taken.
    async fn until_taken(&mut self) {
        let write = async {
            while self.write(1).await > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, write).await.expect("it is found out that the outage is over");
    }

    /// Every row is here or there, none at both places, and the ledger says the same.
    fn assert_all_there(&self, stored: impl IntoIterator<Item = String>) {
        let number = |row: String| serde_json::from_str::<Value>(&row).expect("JSON")["n"].as_u64();
        let stored: BTreeSet<usize> = stored.into_iter().filter_map(|row| Some(number(row)? as usize)).collect();
        assert!(stored.is_disjoint(&self.dead));
        assert_eq!(stored.union(&self.dead).copied().collect::<Vec<_>>(), (0..self.next).collect::<Vec<_>>());
        let counts = self.ledger.counts();
        assert_eq!((counts.written as usize, counts.rejected as usize), (stored.len(), self.dead.len()), "{counts}");
        assert_eq!(self.ledger.causes.of(Cause::Outage) as usize, self.dead.len());
    }
}

/// A cluster that takes nothing, first without answering anything else, then answering → rows are dead letters of their own
/// cause without one request each; when it takes documents again, it gets the next ones; no row is lost or at both places.
#[tokio::test]
async fn documents_that_do_not_wait() {
    let fake = FakeSearch::start().await;
    let settings = format!("endpoint = \"{}\"\nindex = \"trips\"\nbatch_rows = 10\n", fake.server.address);
    let mut writing = Writing::open(harness::sink("opensearch", &settings).expect("good settings")).await;
    assert_eq!(writing.write(25).await, 0);
    fake.state().script = vec![Turn::Refuse(503, ""); 1_000].into();
    fake.state().other = Some((503, ""));
    let tried = fake.state().bulk_sizes().len();
    for _ in 0..50 {
        assert_eq!(writing.write(10).await, 10);
    }
    assert!(fake.state().bulk_sizes().len() <= tried + 2, "{:?}", fake.state().bulk_sizes());
    assert!(writing.ledger.causes.of(Cause::Refused) == 0, "nothing was refused for good");
    // It is there and still takes nothing: each answer is worth one request.
    fake.state().other = None;
    for _ in 0..5 {
        assert_eq!(writing.write(10).await, 10);
    }
    fake.state().script.clear();
    writing.until_taken().await;
    assert_eq!(writing.write(40).await, 0);
    let stored: Vec<_> = fake.state().documents.values().cloned().collect();
    writing.assert_all_there(stored);
}

/// The same of a stream, of which some records are on their way, some wait and some come in the outage.
#[tokio::test]
async fn records_that_do_not_wait() {
    let fake = FakeKinesis::with_shards(3);
    let settings =
        settings(&fake.url, "").replace("read_interval = \"1ms\"\n", "").replace("poll_interval = \"1ms\"\n", "");
    let mut writing = Writing::open(harness::sink("kinesis", &settings).expect("good settings")).await;
    assert_eq!(writing.write(25).await, 0);
    fake.state().puts_meet(vec![Some(PutFault::Broken); 1_000]);
    for rows in [700, 1, 10] {
        assert_eq!(writing.write(rows).await, rows);
    }
    fake.state().puts_meet([]);
    writing.until_taken().await;
    assert_eq!(writing.write(40).await, 0);
    let mut listener = listen(source(&fake.url, "until = \"tip\""));
    listener.finish().await.expect("all is read");
    writing.assert_all_there(listener.records.clone());
}
