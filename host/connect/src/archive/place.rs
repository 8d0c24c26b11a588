//! Where an archive is: a folder of this machine or of a bucket.

use crate::disk::{blocking, failed};
use crate::retry::{Backoff, Patience, until_answered};
use crate::s3::bucket::{Bucket, BucketSettings};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectStore};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Error, Result};

/// How deep folders are looked into: source, date, hour.
const DEEPEST: usize = 3;

/// What the job file says of it.
#[derive(Debug, Clone)]
pub enum PlaceSettings {
    /// A folder.
    Folder(PathBuf),
    /// What keys begin with in a bucket.
    Bucket(Box<BucketSettings>, String),
}

/// An archive that can be reached.
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// What keys begin with in a bucket.
    Bucket(Box<Bucket>, String),
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its name within the archive.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Place {
    /// Reaches it.
    pub async fn open(settings: &PlaceSettings) -> Result<Self> {
        match settings {
            PlaceSettings::Folder(path) => Ok(Self::Folder(path.clone())),
            PlaceSettings::Bucket(settings, prefix) => {
                let bucket = Bucket::open(settings).await?;
                bucket.find(prefix, settings.patience).await?;
                Ok(Self::Bucket(Box::new(bucket), prefix.clone()))
            }
        }
    }

    /// A file or folder in it, for messages and for the note.
    pub fn name(&self, of: &str) -> String {
        match self {
            Self::Folder(path) => path.join(of).display().to_string(),
            Self::Bucket(bucket, prefix) => format!("s3://{}/{prefix}{of}", bucket.name),
        }
    }

    /// All files below a folder of it.
    pub async fn list(&self, folder: &str) -> Result<Vec<Found>> {
        let mut found = match self {
            Self::Folder(root) => {
                let (root, folder) = (root.clone(), folder.to_owned());
                blocking(move || {
                    let mut found = Vec::new();
                    walk(&root, &folder, DEEPEST, &mut found).map(|()| found)
                })
                .await?
            }
            Self::Bucket(bucket, prefix) => {
                let path = bucket.path(format!("{prefix}{folder}").trim_end_matches('/'))?;
                let list = async || {
                    let listed = bucket.s3.list(Some(&path)).try_collect::<Vec<_>>().await;
                    listed.map_err(|error| bucket.failure(&format!("list {path}"), error))
                };
                let listed = until_answered(Backoff::new(Patience::ENDLESS), list).await?;
                let relative = |key: &str| key.strip_prefix(prefix.as_str()).map(str::to_owned);
                let found = listed
                    .into_iter()
                    .filter_map(|object| Some(Found { name: relative(object.location.as_ref())?, bytes: object.size }));
                found.collect()
            }
        };
        // What is hidden is not complete, and what is no Parquet is a listing.
        found.retain(|found| {
            let name = found.name.rsplit('/').next().unwrap_or_default();
            name.ends_with(".parquet") && !name.starts_with(['.', '_'])
        });
        Ok(found)
    }

    /// A part of a file.
    pub async fn read(&self, name: &str, range: Range<u64>, ledger: &Arc<StepLedger>) -> Result<Bytes> {
        let length = range.end - range.start;
        let bytes = match self {
            Self::Folder(root) => {
                let path = root.join(name);
                blocking(move || read(&path, range).map_err(|error| failed("read", &path, error))).await?
            }
            Self::Bucket(bucket, prefix) => {
                let path = bucket.path(&format!("{prefix}{name}"))?;
                let get = async || {
                    let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
                    let got = async { bucket.s3.get_opts(&path, options).await?.bytes().await };
                    got.await.map_err(|error| bucket.failure(&format!("get {path}"), error))
                };
                until_answered(Backoff::new(Patience::ENDLESS).counting(ledger), get).await?
            }
        };
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(Error::invalid(format!("{}: {} bytes of {length}", self.name(name), bytes.len()))),
        }
    }
}

fn walk(root: &Path, folder: &str, depth: usize, found: &mut Vec<Found>) -> Result<()> {
    let path = root.join(folder);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read the folder", &path, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed("read the folder", &path, error))?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str() else { continue };
        // Nobody is led out of the folder by a link.
        let kind = entry.file_type().map_err(|error| failed("look at", &entry.path(), error))?;
        let name = if folder.is_empty() { name.to_owned() } else { format!("{}/{name}", folder.trim_end_matches('/')) };
        if kind.is_dir() && depth > 0 {
            walk(root, &name, depth - 1, found)?;
        } else if kind.is_file() {
            let metadata = entry.metadata().map_err(|error| failed("look at", &entry.path(), error))?;
            found.push(Found { name, bytes: metadata.len() });
        }
    }
    Ok(())
}

fn read(path: &Path, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    File::open(path)?.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
