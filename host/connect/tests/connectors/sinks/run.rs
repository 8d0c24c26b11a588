//! A run of a job with the sink under test, as the engine drives it. Rows have numbers, and a few keys in turns.

use super::subject::Subject;
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, SinkWriter};
use wasmill_stream::{Batch, Lineage, Positions, SplitId};

/// So many keys have rows, in turns.
pub const KEYS: usize = 8;

/// A run.
pub struct Run<'a, S> {
    subject: &'a S,
    writer: Box<dyn SinkWriter>,
    /// What it counts.
    pub ledger: Arc<StepLedger>,
    /// How much longer rows are than they have to be.
    pub pad: usize,
}

impl<'a, S: Subject> Run<'a, S> {
    /// Of a job without checkpoints.
    pub async fn start(subject: &'a S, settings: &str) -> Self {
        Self::open(subject, settings, Opening::new).await
    }

    /// Of a job with checkpoints: the run with this number, from the checkpoint for which this was prepared.
    pub async fn go_on(subject: &'a S, settings: &str, run: u64, prepared: &Value) -> Self {
        let (job, prepared) = ("suite".to_owned(), prepared.clone());
        let opening = |ledger| Opening { job, commits: true, run, prepared, ..Opening::new(ledger) };
        Self::open(subject, settings, opening).await
    }

    async fn open(subject: &'a S, settings: &str, opening: impl FnOnce(Arc<StepLedger>) -> Opening) -> Self {
        let ledger = Arc::new(StepLedger::new("out").keeping_refusals());
        let writer = subject.sink(settings).open(opening(ledger.clone())).await.expect("the sink opens");
        Self { subject, writer, ledger, pad: 0 }
    }

    /// Writes rows as one batch.
    pub async fn write(&mut self, rows: Range<usize>) {
        let batch = self.batch(rows, None);
        self.take(batch).await;
    }

    /// The same, in batches of so many.
    pub async fn write_in(&mut self, rows: Range<usize>, size: usize) {
        for start in rows.clone().step_by(size) {
            self.write(start..rows.end.min(start + size)).await;
        }
    }

    /// The same, with one of the rows replaced by a text.
    pub async fn write_with(&mut self, rows: Range<usize>, replaced: (usize, &str)) {
        let batch = self.batch(rows, Some(replaced));
        self.take(batch).await;
    }

    /// Writes some rows of a batch, in this order.
    pub async fn write_some(&mut self, rows: Range<usize>, some: &[u32]) {
        let batch = self.batch(rows, None).select(some);
        self.take(batch).await;
    }

    fn batch(&self, rows: Range<usize>, replaced: Option<(usize, &str)>) -> Batch {
        let positions = Arc::new(Positions::Consecutive { first: rows.start as u64 });
        let lineage = Lineage { split: SplitId::new("in", 0), positions, records: None, bytes: None };
        let value = |row| match replaced {
            Some((other, text)) if other == row => text.to_owned(),
            _ => text(row, self.pad),
        };
        Batch {
            step: "in".into(),
            times: rows.clone().map(|row| self.subject.time_of(row)).collect(),
            values: rows.map(value).collect(),
            lineage: Some(lineage),
            ..Batch::default()
        }
    }

    async fn take(&mut self, batch: Batch) {
        StepLedger::add(&self.ledger.read, batch.len());
        self.writer.write(Arc::new(batch)).await.expect("a write");
    }

    /// Writes what is buffered.
    pub async fn flush(&mut self) {
        self.writer.flush().await.expect("a flush");
    }

    /// Prepares a checkpoint. What that returns comes back as it does from a manifest.
    pub async fn prepare(&mut self, cut: Cut) -> Value {
        let prepared = self.writer.prepare(cut).await.expect("a checkpoint is prepared");
        serde_json::from_str(&prepared.to_string()).expect("JSON")
    }

    /// Commits it.
    pub async fn commit(&mut self) {
        self.writer.commit().await.expect("a commit");
    }

    /// Comes to the end of a job with checkpoints.
    pub async fn end(mut self) {
        self.prepare(Cut::End).await;
        self.commit().await;
        self.close().await;
    }

    /// Ends in order.
    pub async fn close(mut self) {
        self.writer.close().await.expect("the end");
        assert_eq!(self.ledger.counts().in_flight(), 0, "{}", self.ledger.counts());
    }

    /// How long a row may wait.
    pub fn flush_interval(&self) -> std::time::Duration {
        self.writer.flush_interval()
    }
}

/// A row.
fn text(row: usize, pad: usize) -> String {
    match pad {
        0 => json!({"key": format!("key {}", row % KEYS), "n": row}).to_string(),
        pad => json!({"key": format!("key {}", row % KEYS), "n": row, "pad": "x".repeat(pad)}).to_string(),
    }
}

/// The number of a row, as it stands there.
pub fn number(text: &[u8]) -> usize {
    let row: Value = serde_json::from_slice(text).expect("a row is JSON");
    row["n"].as_u64().unwrap_or_else(|| panic!("{row} has a number")) as usize
}
