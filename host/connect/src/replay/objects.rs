//! Objects in S3 as a thread that may block reads them. They are fetched while they are read, in parts.

use crate::aws::AwsSettings;
use crate::retry::Patience;
use crate::s3::bucket::{Bucket, BucketSettings};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;
use url::Url;
use wasmill_stream::{Error, ErrorKind, Result};

/// Bytes of one request.
const PART: u64 = 8 << 20;
/// How often a part is asked for before the file counts as one that cannot be read.
const TRIES: usize = 6;

/// Where objects are.
#[derive(Debug, Clone, Default)]
pub struct S3Settings {
    /// The region; absent: that of the environment.
    pub region: Option<String>,
    /// A profile.
    pub profile: Option<String>,
    /// Another server than that of AWS.
    pub endpoint: Option<Url>,
}

/// An object.
pub struct Object {
    bucket: Arc<Bucket>,
    key: Path,
    bytes: u64,
    /// Where requests run.
    runtime: Handle,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

impl Object {
    /// Its address.
    pub fn name(&self) -> PathBuf {
        format!("s3://{}/{}", self.bucket.name, self.key).into()
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A part of it.
    async fn part(&self, from: u64) -> Result<Bytes> {
        let to = self.bytes.min(from + PART);
        let mut backoff = crate::retry::Backoff::new(Patience::ENDLESS);
        let mut tries = 0;
        loop {
            let options = GetOptions { range: Some(GetRange::Bounded(from..to)), ..GetOptions::default() };
            let got = async { self.bucket.s3.get_opts(&self.key, options).await?.bytes().await };
            match got.await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => {
                    let error = self.bucket.failure(&format!("get {}", self.key), error);
                    tries += 1;
                    if tries == TRIES {
                        return Err(error);
                    }
                    backoff.wait(error).await?;
                }
            }
        }
    }
}

/// Finds the objects of `s3://BUCKET/KEY`, or all below `s3://BUCKET/FOLDER/`, in the order of their keys.
pub async fn find(address: &str, settings: &S3Settings) -> Result<Vec<Object>> {
    let expected = || Error::invalid(format!("`{address}`: expected s3://BUCKET/KEY or s3://BUCKET/FOLDER/"));
    let (bucket, key) = address.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).ok_or_else(expected)?;
    let bucket = Arc::new(
        Bucket::open(&BucketSettings {
            name: bucket.to_owned(),
            path_style: settings.endpoint.is_some(),
            endpoint: settings.endpoint.clone(),
            aws: AwsSettings::of(settings.region.clone(), settings.profile.clone()),
            patience: Patience::START,
        })
        .await?,
    );
    let failed = |error| bucket.failure(&format!("find {key}"), error);
    let path = bucket.path(key.trim_end_matches('/'))?;
    let is_folder = key.is_empty() || key.ends_with('/');
    let mut found: Vec<_> = if is_folder {
        let listed: Vec<_> = bucket.s3.list(Some(&path)).try_collect().await.map_err(failed)?;
        listed.into_iter().filter(|object| object.size > 0).map(|object| (object.location, object.size)).collect()
    } else {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let head = bucket.s3.get_opts(&path, options).await.map_err(failed)?;
        vec![(path, head.meta.size)]
    };
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, format!("`{address}` has no objects to play")));
    }
    found.sort();
    let runtime = Handle::current();
    let object = |(key, bytes)| Object { bucket: bucket.clone(), key, bytes, runtime: runtime.clone() };
    Ok(found.into_iter().map(object).collect())
}

/// Reads an object on a thread that is not the runtime's.
pub fn reader(object: Object) -> Box<dyn Read + Send> {
    Box::new(ObjectReader { object, next: 0, part: Bytes::new() })
}

struct ObjectReader {
    object: Object,
    /// Where the next part begins.
    next: u64,
    /// What is left of the last one.
    part: Bytes,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && self.next < self.object.bytes {
            let part = self.object.runtime.block_on(self.object.part(self.next));
            self.part = part.map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error.report()))?;
            self.next += self.part.len() as u64;
        }
        let read = buffer.len().min(self.part.len());
        let (read_now, rest) = (self.part.slice(..read), self.part.slice(read..));
        buffer[..read].copy_from_slice(&read_now);
        self.part = rest;
        Ok(read)
    }
}
