//! Writes rows to a sink that is not opened yet, as the engine does. What every sink must do is in `sinks`.

use crate::harness::PATIENCE;
use std::sync::Arc;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Binary, Lineage, Positions, Result, SplitId};

/// Rows for a sink: `{"n":0}`, `{"n":1}` and so on.
pub fn rows(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

/// A batch of these values.
pub fn batch(values: &[String]) -> Arc<Batch> {
    let times = vec![0; values.len()];
    Arc::new(Batch { step: "step".into(), times, values: values.iter().collect(), ..Batch::default() })
}

/// Opens a sink and writes these rows in batches of `size`, as the engine does, to the end.
pub async fn write_all(sink: Box<dyn Sink>, rows: &[String], size: usize) -> Arc<StepLedger> {
    let (mut writer, ledger) = open(sink).await;
    for rows in rows.chunks(size) {
        writer.write(batch(rows)).await.expect("a write");
    }
    writer.close().await.expect("the end");
    assert_settled(&ledger, rows.len());
    ledger
}

/// A batch of records of one split, all of the same event time.
pub fn records<V: AsRef<[u8]>>(time: i64, values: impl IntoIterator<Item = V>) -> Arc<Batch> {
    let values: Binary = values.into_iter().collect();
    let positions = Arc::new(Positions::Consecutive { first: 0 });
    let lineage = Lineage { split: SplitId::new("in", 0), positions, records: None, bytes: None };
    let times = vec![time; values.len()];
    Arc::new(Batch { step: "in".into(), times, values, lineage: Some(lineage), ..Batch::default() })
}

/// Opens a sink and writes these batches to the end, or to the first error.
pub async fn write_batches(sink: Box<dyn Sink>, batches: &[Arc<Batch>]) -> Result<Arc<StepLedger>> {
    let write = async {
        let ledger = Arc::new(StepLedger::new("out"));
        let mut writer = sink.open(Opening::new(ledger.clone())).await?;
        for batch in batches {
            StepLedger::add(&ledger.read, batch.len());
            writer.write(batch.clone()).await?;
        }
        writer.close().await?;
        Ok(ledger)
    };
    tokio::time::timeout(PATIENCE, write).await.expect("the sink writes in time")
}

/// The sink cannot be opened, and says so with these words.
pub async fn cannot_open(sink: Box<dyn Sink>, words: &[&str]) {
    let Err(error) = sink.open(Opening::new(Arc::new(StepLedger::new("out")))).await else { panic!("the sink opens") };
    let report = error.report();
    assert!(words.iter().all(|word| report.contains(word)), "{words:?} in: {report}");
}

/// Opens a sink with a ledger of its own.
pub async fn open(sink: Box<dyn Sink>) -> (Box<dyn SinkWriter>, Arc<StepLedger>) {
    let ledger = Arc::new(StepLedger::new("out"));
    let writer = sink.open(Opening::new(ledger.clone())).await.expect("the sink opens");
    (writer, ledger)
}

fn assert_settled(ledger: &StepLedger, rows: usize) {
    let counts = ledger.counts();
    assert_eq!((counts.emitted, counts.written, counts.rejected), (rows as u64, rows as u64, 0));
}
