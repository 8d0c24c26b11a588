//! Checkpoints under a prefix of an S3 bucket. Every object is one request; a name is taken by a conditional put, and what
//! became of a put whose answer does not say is found out by reading back.

use super::name;
use crate::retry::{Backoff, Patience};
use crate::s3::bucket::{Bucket, is_absent};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as Refusal, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use wasmill_stream::checkpoint::{Created, Store};
use wasmill_stream::{Error, ErrorKind, Result};

/// An object that proves at start that the server keeps its promises. Its name is none that the store lists.
const PROBE: &str = ".wasmill-probe";

/// A prefix of a bucket. Any number of processes may use it.
pub(super) struct BucketStore {
    bucket: Bucket,
    /// Without a slash at the end.
    prefix: String,
    place: String,
}

impl BucketStore {
    /// Proves that objects can be written and that a name that is taken is refused.
    pub(super) async fn open(bucket: Bucket, prefix: String, patience: Patience) -> Result<Self> {
        let place = format!("s3://{}/{prefix} ({})", bucket.name, bucket.place);
        let store = Self { bucket, prefix, place };
        let mut backoff = Backoff::new(patience);
        while let Err(error) = store.probe().await {
            backoff.wait(error).await?;
        }
        Ok(store)
    }

    async fn probe(&self) -> Result<()> {
        let path = self.path(PROBE)?;
        self.write(&path, Bytes::from_static(b"1"), PutMode::Overwrite).await?;
        // Were it not refused, two hosts could both believe that they own the job. A server in trouble, or one that does not
        // know conditions, refuses too, but for another reason.
        let error = match self.put_as(&path, Bytes::from_static(b"2"), PutMode::Create).await {
            Ok(()) => {
                let what = "a conditional put (If-None-Match) overwrites: checkpoints would not be safe there";
                return Err(Error::invalid(format!("{}: {what}", self.place)).hint("use another server or a folder"));
            }
            Err(error) => error,
        };
        let is_proof = matches!(error, Refusal::Precondition { .. } | Refusal::AlreadyExists { .. });
        if is_proof && self.read(&path).await?.is_some_and(|bytes| bytes == "1") {
            return Ok(());
        }
        Err(self.bucket.failure(&format!("put {path} on the condition that it is not there"), error))
    }

    fn path(&self, name: &str) -> Result<Path> {
        let key = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        self.bucket.path(&key)
    }

    fn checked_path(&self, name: &str) -> Result<Path> {
        name::check(name)?;
        self.path(name)
    }

    async fn write(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<()> {
        let put = self.put_as(path, bytes, mode).await;
        put.map_err(|error| self.bucket.failure(&format!("put {path}"), error))
    }

    async fn put_as(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<(), Refusal> {
        let options = PutOptions { mode, ..PutOptions::default() };
        self.bucket.s3.put_opts(path, bytes.into(), options).await.map(drop)
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        let got = match self.bucket.s3.get(path).await {
            Ok(answer) => answer.bytes().await,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => Err(error),
        };
        got.map(Some).map_err(|error| self.bucket.failure(&format!("get {path}"), error))
    }
}

#[async_trait]
impl Store for BucketStore {
    fn place(&self) -> &str {
        &self.place
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.write(&self.checked_path(name)?, bytes, PutMode::Overwrite).await
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<Created> {
        let path = self.checked_path(name)?;
        let Err(error) = self.write(&path, bytes.clone(), PutMode::Create).await else { return Ok(Created::New) };
        // Taken (412), someone else at the same time (409), a server in trouble or no answer: what is there decides. If
        // nothing is there the next try will tell; one that comes late carries the same bytes.
        if error.kind() != ErrorKind::Unavailable {
            return Err(error);
        }
        match self.read(&path).await? {
            Some(there) if there == bytes => Ok(Created::New),
            Some(_) => Ok(Created::Taken),
            None => Err(error),
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.read(&self.checked_path(name)?).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (inside, _) = name::split_prefix(prefix)?;
        let folder = if inside.is_empty() { Path::from(self.prefix.as_str()) } else { self.path(inside)? };
        let listed = self.bucket.s3.list(Some(&folder)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.bucket.failure(&format!("list {folder}"), error))?;
        let start = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let names = listed.iter().filter_map(|object| object.location.as_ref().get(start..));
        let is_ours = |name: &&str| name.starts_with(prefix) && name::check(name).is_ok();
        let mut names: Vec<String> = names.filter(is_ours).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let path = self.checked_path(name)?;
        match self.bucket.s3.delete(&path).await {
            Err(error) if !is_absent(&error) => Err(self.bucket.failure(&format!("delete {path}"), error)),
            _ => Ok(()),
        }
    }
}
