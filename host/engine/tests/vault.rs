//! What survives a crash in these tests: a store in memory that can be made to fail, and a sink whose rows count only once
//! they are committed.

use crate::parts::{Gate, Job, options, texts};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use wasmill_engine::{Checkpoints, NodeKind, Options, Port, Running, SinkTerms};
use wasmill_stream::checkpoint::{Created, Store};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{Batch, Error, Guarantee, Result};

/// A store in memory.
#[derive(Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    /// Whether the disk is full.
    pub full: AtomicBool,
    /// How often it was.
    pub refused: AtomicUsize,
    /// Whether it answers to whoever writes.
    pub gate: Gate,
    /// Whether manifests are not answered.
    pub held: AtomicBool,
}

impl Memory {
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().expect("not poisoned")
    }

    async fn room(&self) -> Result<()> {
        self.gate.pass().await;
        if !self.full.load(SeqCst) {
            return Ok(());
        }
        self.refused.fetch_add(1, SeqCst);
        Err(Error::unavailable("no space left on device"))
    }
}

#[async_trait]
impl Store for Memory {
    fn place(&self) -> &str {
        "memory"
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.room().await?;
        self.objects().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<Created> {
        self.room().await?;
        while self.held.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut objects = self.objects();
        match objects.get(name) {
            Some(there) if *there != bytes => Ok(Created::Taken),
            _ => {
                objects.insert(name.to_owned(), bytes);
                Ok(Created::New)
            }
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        Ok(self.objects().get(name).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.objects().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.objects().remove(name);
        Ok(())
    }
}

/// Checkpoints of the job `test`, one every 10 ms.
pub fn checkpoints(store: &Arc<Memory>) -> Checkpoints {
    Checkpoints {
        store: store.clone(),
        interval: Duration::from_millis(10),
        retain: 3,
        rewind: Duration::from_secs(600),
        job: "test".into(),
        definition: "the job".into(),
        fresh: false,
        declared: Default::default(),
    }
}

/// Starts a job with checkpoints.
pub async fn start(job: Job, workers: usize, checkpoints: Checkpoints) -> Result<Running> {
    let options = Options { checkpoints: Some(checkpoints), ..options(workers) };
    wasmill_engine::start(job.graph(), options).await
}

/// The way of one host to a store. While the host is frozen, nothing gets through.
pub struct Way {
    pub store: Arc<Memory>,
    pub frozen: watch::Sender<bool>,
}

impl Way {
    pub fn to(store: Arc<Memory>) -> Arc<Self> {
        Arc::new(Self { store, frozen: watch::Sender::new(false) })
    }

    async fn pass(&self) -> &Memory {
        // The sender lives as long as this.
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
        &self.store
    }
}

#[async_trait]
impl Store for Way {
    fn place(&self) -> &str {
        self.store.place()
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.pass().await.put(name, bytes).await
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<Created> {
        self.pass().await.create(name, bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.pass().await.get(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.pass().await.list(prefix).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.pass().await.delete(name).await
    }
}

/// The rows of a sink: those that are prepared, and those that are committed, by the name of their part.
#[derive(Clone, Default)]
pub struct Vault(Arc<Mutex<Parts>>, Arc<Moods>);

/// What a vault does besides keeping rows.
#[derive(Default)]
pub struct Moods {
    /// Its reader has seen enough: it takes no more rows.
    pub closed: AtomicBool,
    /// It does not answer who asks it to commit.
    pub stuck: AtomicBool,
}

#[derive(Default)]
struct Parts {
    prepared: BTreeMap<String, Vec<String>>,
    committed: BTreeMap<String, Vec<String>>,
    /// Rows that a reader has taken away.
    taken: Vec<String>,
}

impl Vault {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().expect("not poisoned")
    }

    /// The committed rows, sorted, with those that were taken away.
    pub fn rows(&self) -> Vec<String> {
        let parts = self.parts();
        let mut rows: Vec<String> = parts.committed.values().flatten().chain(&parts.taken).cloned().collect();
        rows.sort();
        rows
    }

    /// Takes away everything that is committed.
    pub fn take(&self) {
        let mut parts = self.parts();
        for (part, rows) in std::mem::take(&mut parts.committed) {
            parts.prepared.remove(&part);
            parts.taken.extend(rows);
        }
    }

    /// How many parts are committed.
    pub fn parts_committed(&self) -> usize {
        self.parts().committed.len()
    }

    pub fn moods(&self) -> &Moods {
        &self.1
    }

    fn commit(&self, part: &str) -> Result<()> {
        let mut parts = self.parts();
        if !parts.committed.contains_key(part) {
            let rows = parts.prepared.get(part).cloned();
            let rows = rows.ok_or_else(|| Error::invalid(format!("part {part} was never prepared")))?;
            parts.committed.insert(part.to_owned(), rows);
        }
        Ok(())
    }
}

struct Writer {
    vault: Vault,
    ledger: Arc<StepLedger>,
    run: u64,
    next: u64,
    rows: Vec<String>,
    /// What waits for its commit.
    prepared: Option<String>,
}

#[async_trait]
impl Sink for Vault {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    async fn open(self: Box<Self>, opening: Opening) -> Result<Box<dyn SinkWriter>> {
        assert!(opening.commits, "a vault is for jobs with checkpoints");
        if let Some(part) = opening.prepared.as_str().filter(|_| !opening.committed) {
            self.commit(part)?;
        }
        let (ledger, run) = (opening.ledger, opening.run);
        Ok(Box::new(Writer { vault: *self, ledger, run, next: 0, rows: Vec::new(), prepared: None }))
    }
}

#[async_trait]
impl SinkWriter for Writer {
    async fn write(&mut self, batch: Arc<Batch>) -> Result<()> {
        if self.vault.moods().closed.load(SeqCst) {
            return Err(Error::closed("the vault is closed"));
        }
        self.rows.extend(texts(&batch));
        StepLedger::add(&self.ledger.emitted, batch.len());
        StepLedger::add(&self.ledger.written, batch.len());
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, _cut: Cut) -> Result<Value> {
        assert!(self.prepared.is_none(), "prepared twice without a commit");
        let part = format!("{}-{}", self.run, self.next);
        self.next += 1;
        self.vault.parts().prepared.insert(part.clone(), std::mem::take(&mut self.rows));
        self.prepared = Some(part.clone());
        Ok(json!(part))
    }

    async fn commit(&mut self) -> Result<()> {
        while self.vault.moods().stuck.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let part = self.prepared.take().expect("commits follow prepares");
        self.vault.commit(&part)
    }
}

impl Job {
    /// Adds a sink whose rows are kept in a vault.
    pub fn lock_up(&mut self, name: &str, input: usize, vault: &Vault) {
        self.node(
            name,
            &[(input, Port::Main)],
            NodeKind::Sink { sink: Box::new(vault.clone()), terms: SinkTerms::default() },
        );
    }
}
