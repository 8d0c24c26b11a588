//! Writes batches: fills requests, sends them, and brings every document to its fate. Documents that the server could
//! not take are sent again for as long as it takes; nothing else is read meanwhile.

use super::answer::{Answer, Fate};
use super::bulk::{Action, Bulk, Documents};
use super::server::Server;
use super::settings::Settings;
use super::undo;
use crate::retry::{Backoff, Patience};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{SinkWriter, Undo};
use wasmill_stream::{Batch, Error, ErrorKind, Result};

/// How often the server may fail over a document.
const TRIES: u32 = 6;

/// An open sink.
pub struct Writer {
    server: Server,
    settings: Settings,
    ledger: Arc<StepLedger>,
    bulk: Bulk,
    /// Most bytes of a request: shrinks when the server says that one was too large.
    limit: usize,
    /// The index of all documents; `None` if each names its own.
    index: Option<String>,
    /// Where it notes what it is going to change.
    undo: Option<Arc<dyn Undo>>,
}

impl Writer {
    /// A writer with an empty buffer.
    pub fn new(
        server: Server,
        settings: Settings,
        ledger: Arc<StepLedger>,
        action: Action,
        undo: Option<Arc<dyn Undo>>,
    ) -> Self {
        let bulk = Bulk::new(&settings, action);
        let index = settings.index.is_literal().then(|| settings.index.at(0));
        Self { server, ledger, bulk, limit: settings.batch_bytes, index, settings, undo }
    }

    /// Sends documents until each has met its fate.
    async fn deliver(&mut self, documents: Documents) -> Result<()> {
        let mut backoff = Backoff::new(Patience::ENDLESS).counting(&self.ledger);
        let mut failures = vec![0; documents.len()];
        let mut requests: Vec<Vec<usize>> = vec![(0..documents.len()).collect()];
        while let Some(numbers) = requests.pop() {
            let body = documents.request(&numbers);
            let bytes = body.len();
            match self.server.bulk(self.index.as_deref(), body, numbers.len()).await {
                Ok(Answer::Items(fates)) => {
                    let left = self.settle(&documents, &numbers, fates, &mut failures)?;
                    let Some(reason) = left.reason else {
                        backoff.succeeded();
                        continue;
                    };
                    requests.push(left.numbers);
                    backoff.wait(Error::unavailable(format!("{} refused for now: {reason}", self.server))).await?;
                }
                Ok(Answer::TooLarge(reason)) => {
                    self.limit = self.limit.min(bytes / 2);
                    self.split(&documents, numbers, &reason, &mut requests);
                }
                Ok(Answer::Malformed(reason)) => self.split(&documents, numbers, &reason, &mut requests),
                Err(error) => {
                    requests.push(numbers);
                    backoff.wait(error).await?;
                }
            }
        }
        Ok(())
    }

    /// Counts the documents whose fate is known. The others are left. `failures`: how often the server has failed over each.
    fn settle(&self, documents: &Documents, numbers: &[usize], fates: Vec<Fate>, failures: &mut [u32]) -> Result<Left> {
        let mut left = Left { numbers: Vec::new(), reason: None };
        let mut fatal = None;
        for (&number, fate) in numbers.iter().zip(fates) {
            failures[number] += u32::from(matches!(fate, Fate::Failed(_)));
            match fate {
                Fate::Written => self.count_written(),
                Fate::Failed(reason) if failures[number] >= TRIES => self.reject(documents, number, &reason),
                Fate::Again(reason) | Fate::Failed(reason) => {
                    left.numbers.push(number);
                    left.reason = Some(reason);
                }
                Fate::Refused(reason) => self.reject(documents, number, &reason),
                Fate::Fatal(reason) => fatal = Some(reason),
            }
        }
        match fatal {
            Some(reason) => Err(Error::new(ErrorKind::Denied, format!("{}: {reason}", self.server))),
            None => Ok(left),
        }
    }

    /// Halves a request that was refused as a whole, down to the document that is to blame.
    fn split(&self, documents: &Documents, mut numbers: Vec<usize>, reason: &str, requests: &mut Vec<Vec<usize>>) {
        if let [number] = numbers[..] {
            self.reject(documents, number, reason);
            return;
        }
        let second = numbers.split_off(numbers.len() / 2);
        requests.push(second);
        requests.push(numbers);
    }

    fn count_written(&self) {
        StepLedger::add(&self.ledger.emitted, 1);
        StepLedger::add(&self.ledger.written, 1);
    }

    fn reject(&self, documents: &Documents, number: usize, reason: &str) {
        let (batch, row) = documents.origin(number);
        self.ledger.refuse(batch, row, reason);
    }
}

/// Documents that have to be sent again.
struct Left {
    numbers: Vec<usize>,
    reason: Option<String>,
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        let ids = self.bulk.begin(&batch);
        for row in 0..batch.len() {
            let id = ids.as_ref().and_then(|ids| ids.get(row)).map(String::as_str);
            if let Err(reason) = self.bulk.push(&batch, row, id) {
                self.ledger.refuse(&batch, row, reason);
                continue;
            }
            if self.bulk.len() >= self.settings.batch_rows || self.bulk.bytes() >= self.limit {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if self.bulk.len() == 0 {
            return Ok(());
        }
        let documents = self.bulk.take();
        if let Some(undo) = self.undo.as_ref().filter(|undo| undo.is_wanted()) {
            undo::note(&self.server, &**undo, self.index.as_deref(), &documents).await?;
        }
        self.deliver(documents).await
    }

    fn flush_interval(&self) -> Duration {
        self.settings.flush_interval
    }
}
