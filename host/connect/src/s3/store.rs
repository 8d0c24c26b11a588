//! Objects that are visible as soon as they are put.

use super::bucket::Bucket;
use crate::retry::{Backoff, Patience};
use bytes::Bytes;
use jiff::Timestamp;
use object_store::{Attributes, ObjectStore, PutOptions};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use wasmill_stream::Result;
use wasmill_stream::ledger::StepLedger;

/// Puts objects of one run.
pub struct Store {
    bucket: Bucket,
    attributes: Attributes,
    /// What the keys of this run have in common and no other run has.
    run: String,
    /// How many objects were put.
    put: u64,
    ledger: Arc<StepLedger>,
}

impl Store {
    /// Nothing is put yet.
    pub fn new(bucket: Bucket, attributes: Attributes, name: &str, ledger: Arc<StepLedger>) -> Self {
        let started = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let random = RandomState::new().hash_one(name) as u32;
        Self { bucket, attributes, run: format!("{name}-{started}-{random:08x}"), put: 0, ledger }
    }

    /// Puts whole objects, each with what its key begins with, as often as it takes. Putting one twice is the same as
    /// putting it once.
    pub async fn put(&mut self, objects: Vec<(String, Bytes)>, suffix: &str) -> Result<()> {
        for (prefix, bytes) in objects {
            let path = self.bucket.path(&format!("{prefix}{}-{:06}.{suffix}", self.run, self.put))?;
            self.put += 1;
            let mut backoff = Backoff::new(Patience::ENDLESS).counting(&self.ledger);
            loop {
                let options = PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
                match self.bucket.s3.put_opts(&path, bytes.clone().into(), options).await {
                    Ok(_) => break,
                    Err(error) => backoff.wait(self.bucket.failure(&format!("put {path}"), error)).await?,
                }
            }
            backoff.succeeded();
        }
        Ok(())
    }
}
