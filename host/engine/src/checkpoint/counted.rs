//! A store that counts what fails on its way there.

use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmill_stream::Result;
use wasmill_stream::checkpoint::{Created, Store};

/// A store, and how many writes it has failed at.
pub struct Counted {
    store: Arc<dyn Store>,
    failures: Arc<AtomicU64>,
}

impl Counted {
    /// The same store, which counts its failures there.
    pub fn new(store: Arc<dyn Store>, failures: Arc<AtomicU64>) -> Self {
        Self { store, failures }
    }

    fn count<T>(&self, done: Result<T>) -> Result<T> {
        done.inspect_err(|_| {
            self.failures.fetch_add(1, Relaxed);
        })
    }
}

#[async_trait]
impl Store for Counted {
    fn place(&self) -> &str {
        self.store.place()
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.count(self.store.put(name, bytes).await)
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<Created> {
        self.count(self.store.create(name, bytes).await)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.store.get(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.store.list(prefix).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.store.delete(name).await
    }
}
