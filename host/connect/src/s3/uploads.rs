//! Objects that are invisible until a checkpoint commits them: multipart uploads with their final keys. They are begun and
//! filled before the manifest is published, and completed after it. Nothing in here aborts one that may be named by a
//! manifest.

use super::bucket::{Bucket, is_absent};
use super::prepared::{Pending, Prepared};
use crate::listing;
use crate::mark::mark;
use crate::retry::{Backoff, Patience, until_answered};
use crate::saved;
use bytes::Bytes;
use futures::future::try_join_all;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMultipartOptions};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Opening, Withdrawal};
use wasmill_stream::{Error, ErrorKind, Result};

/// Size of a part. What is lost on the way is sent again in pieces of this size; all but the last must have 5 MiB.
const PART_BYTES: usize = 16 << 20;

/// How many objects are uploaded or completed at a time.
const AT_A_TIME: usize = 8;

/// What every object says about itself, so that one whose completion was not answered can be told from any other.
const STAMP: &str = "wasmill";

/// The uncommitted objects of a sink.
pub struct Uploads {
    pub(super) bucket: Bucket,
    attributes: Attributes,
    /// What the keys of this sink have in common and those of no other sink have.
    pub(super) stem: String,
    /// The run of the job.
    pub(super) run: u64,
    /// How many objects this run has begun.
    begun: u64,
    /// Filled since the last checkpoint was prepared.
    pub(super) filled: Vec<Pending>,
    /// Named by the last checkpoint.
    prepared: Vec<Pending>,
    /// The key of their listing.
    listing: Option<String>,
    /// Whether there are listings.
    lists: bool,
    /// How many this run has named.
    listed: u64,
    /// Whether there may be uploads that nobody will complete.
    has_orphans: AtomicBool,
    /// What all keys begin with.
    pub(super) prefix: String,
    /// The counters of the sink.
    ledger: Arc<StepLedger>,
}

impl Uploads {
    /// Takes back what does not count any more, completes what was prepared, if anything was and that is not known to be done,
    /// and throws away what earlier runs left behind.
    pub async fn open(
        bucket: Bucket,
        attributes: Attributes,
        name: &str,
        (prefix, lists): (String, bool),
        opening: &Opening,
    ) -> Result<Self> {
        let stem = format!("{name}-{}-", mark(&opening.job, name));
        let prepared: Option<Prepared> = saved::prepared(&opening.prepared, "s3")?;
        // If they are committed, their readers may have taken the objects away.
        let Prepared { uploads: prepared, listing } = prepared.filter(|_| !opening.committed).unwrap_or_default();
        let (filled, run) = (Vec::new(), opening.run);
        let mut uploads = Self {
            bucket,
            attributes,
            stem,
            run,
            begun: 0,
            filled,
            prepared,
            listing,
            lists,
            listed: 0,
            has_orphans: AtomicBool::new(true),
            prefix,
            ledger: opening.ledger.clone(),
        };
        uploads.withdraw(opening.withdrawal.as_ref()).await?;
        uploads.commit().await?;
        Ok(uploads)
    }

    /// Removes objects that came after the checkpoint to which the job has gone back. Uploads that were not completed are
    /// thrown away with those that were left behind.
    async fn withdraw(&self, withdrawal: Option<&Withdrawal>) -> Result<()> {
        for value in withdrawal.iter().flat_map(|withdrawal| &withdrawal.prepared) {
            let Some(Prepared { uploads, listing }) = saved::prepared(value, "s3")? else { continue };
            // It goes first: what is on it goes next.
            if let Some(key) = &listing {
                self.remove(key).await?;
            }
            for some in uploads.chunks(AT_A_TIME) {
                try_join_all(some.iter().map(|pending| self.remove(&pending.key))).await?;
            }
        }
        Ok(())
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(Patience::ENDLESS).counting(&self.ledger)
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let path = self.bucket.path(key)?;
        until_answered(self.backoff(), async || match self.bucket.s3.delete(&path).await {
            Err(error) if !is_absent(&error) => Err(self.bucket.failure(&format!("remove {path}"), error)),
            _ => Ok(()),
        })
        .await
    }

    /// Uploads objects, each with what its key begins with, as often as it takes.
    pub async fn fill(&mut self, objects: Vec<(String, Bytes)>, suffix: &str) -> Result<()> {
        let mut filled = Vec::new();
        for some in objects.chunks(AT_A_TIME) {
            let numbered = (self.begun..).zip(some);
            let fills = numbered.map(|(number, (prefix, bytes))| self.fill_one(prefix, number, suffix, bytes));
            filled.extend(try_join_all(fills).await?);
            self.begun += some.len() as u64;
        }
        self.filled.append(&mut filled);
        Ok(())
    }

    async fn fill_one(&self, prefix: &str, number: u64, suffix: &str, bytes: &Bytes) -> Result<Pending> {
        let (stem, run) = (&self.stem, self.run);
        let key = format!("{prefix}{stem}{run}-{number:06}.{suffix}");
        let stamp = format!("{stem}{run}-{number:06} {}", Digest::of(bytes));
        let path = self.bucket.path(&key)?;
        let upload = self.begin(&path, &stamp).await?;
        let mut parts = Vec::new();
        for start in (0..bytes.len()).step_by(PART_BYTES) {
            let (number, part) = (parts.len(), bytes.slice(start..bytes.len().min(start + PART_BYTES)));
            parts.push(
                until_answered(self.backoff(), || self.part(&path, &upload, number, part.clone())).await?.content_id,
            );
        }
        Ok(Pending { key, upload, parts, bytes: bytes.len() as u64, stamp })
    }

    /// What a manifest must hold so that everything filled so far can be committed.
    pub fn prepare(&mut self) -> Result<Value> {
        self.prepared.append(&mut self.filled);
        if self.lists && !self.prepared.is_empty() {
            self.listed += 1;
            let folder = self.prefix.rfind('/').and_then(|end| self.prefix.get(..=end)).unwrap_or_default();
            let name = listing::name(self.run, self.listed, self.stem.trim_end_matches('-'));
            self.listing = Some(format!("{folder}{name}"));
        }
        saved::write(&Prepared { uploads: self.prepared.clone(), listing: self.listing.clone() })
    }

    /// Makes the prepared objects visible.
    pub async fn commit(&mut self) -> Result<()> {
        for some in self.prepared.chunks(AT_A_TIME) {
            try_join_all(some.iter().map(|pending| self.complete(pending))).await?;
        }
        if let Some(key) = &self.listing {
            let path = self.bucket.path(key)?;
            let pending = self.prepared.iter().map(|pending| (pending.key.as_str(), pending.bytes));
            let text = Bytes::from(listing::text(pending)?);
            until_answered(self.backoff(), async || {
                let put = self.bucket.s3.put(&path, text.clone().into()).await;
                put.map_err(|error| self.bucket.failure(&format!("put {path}"), error))
            })
            .await?;
        }
        self.listing = None;
        self.prepared.clear();
        if self.has_orphans.swap(false, Relaxed) && self.reap().await {
            self.has_orphans.store(true, Relaxed);
        }
        Ok(())
    }

    async fn begin(&self, path: &Path, stamp: &str) -> Result<String> {
        let mut attributes = self.attributes.clone();
        attributes.insert(Attribute::Metadata(STAMP.into()), stamp.to_owned().into());
        let mut backoff = self.backoff();
        loop {
            let options = PutMultipartOptions { attributes: attributes.clone(), ..PutMultipartOptions::default() };
            match self.bucket.s3.create_multipart_opts(path, options).await {
                Ok(upload) => {
                    backoff.succeeded();
                    return Ok(upload);
                }
                Err(error) => {
                    self.has_orphans.store(true, Relaxed);
                    backoff.wait(self.bucket.failure(&format!("begin the upload of {path}"), error)).await?;
                }
            }
        }
    }

    async fn part(&self, path: &Path, upload: &String, number: usize, bytes: Bytes) -> Result<PartId> {
        let part = self.bucket.s3.put_part(path, upload, number, bytes.into()).await;
        part.map_err(|error| self.bucket.failure(&format!("upload part {number} of {path}"), error))
    }

    /// Makes one object visible, or sees that it is: another process may do the same at the same time.
    async fn complete(&self, pending: &Pending) -> Result<()> {
        let path = self.bucket.path(&pending.key)?;
        let parts = || pending.parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
        let mut backoff = self.backoff();
        loop {
            match self.bucket.s3.complete_multipart(&path, &pending.upload, parts()).await {
                Ok(_) => break,
                // There is no such upload any more. If an earlier try was heard and its answer lost, there is the object.
                Err(error) if is_absent(&error) => {
                    break until_answered(self.backoff(), || self.find(&path, pending)).await?;
                }
                // The server compares the parts that it has with those that are named, and has made no object.
                Err(error) if error.to_string().contains("<Code>InvalidPart</Code>") => {
                    let (parts, upload) = (pending.parts.join(", "), &pending.upload);
                    let what =
                        format!("the checkpoint has its parts as {parts}; the server has others in upload {upload}");
                    return Err(self.unlike(&path, &what));
                }
                Err(error) => backoff.wait(self.bucket.failure(&format!("complete {path}"), error)).await?,
            }
        }
        backoff.succeeded();
        Ok(())
    }

    /// Sees that an object is the one that was uploaded. It is never written anew: whoever removed the upload or put
    /// something else there had a reason, and rows that are written twice are as wrong as rows that are missing.
    async fn find(&self, path: &Path, pending: &Pending) -> Result<()> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let found = match self.bucket.s3.get_opts(path, options).await {
            Ok(found) => found,
            Err(error) if is_absent(&error) => {
                let what = "its upload is gone and there is no such object; its rows are part of the checkpoint";
                return Err(self.unlike(path, what));
            }
            Err(error) => return Err(self.bucket.failure(&format!("look at {path}"), error)),
        };
        let stamp = found.attributes.get(&Attribute::Metadata(STAMP.into())).map(AsRef::as_ref);
        match found.meta.size == pending.bytes && stamp == Some(pending.stamp.as_str()) {
            true => Ok(()),
            false => Err(self.unlike(path, "its upload is gone, and the object there is another one")),
        }
    }

    fn unlike(&self, path: &Path, what: &str) -> Error {
        let message = format!("{}: {path}: {what}", self.bucket.place);
        let hint = "did a lifecycle rule abort the upload, or someone remove the object? if a reader has taken it by now, put it \
             back until the job has started; otherwise go on with an older checkpoint: `wasmill checkpoint list JOB`";
        Error::new(ErrorKind::Corrupt, message).hint(hint)
    }
}
