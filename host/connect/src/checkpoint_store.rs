//! Where checkpoints are kept: a local folder or a prefix of an S3 bucket. Knows nothing of what is in them.

mod bucket;
mod folder;
mod name;

use crate::disk::blocking;
use crate::s3::bucket::{Bucket, BucketSettings};
use bucket::BucketStore;
use folder::FolderStore;
use object_store::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use wasmill_stream::Result;
use wasmill_stream::access::Reach;
use wasmill_stream::checkpoint::Store;
use wasmill_stream::config::{Problems, Section};

/// Checked settings: where checkpoints are kept. Nothing is opened yet.
#[derive(Debug, Clone)]
pub struct StorePlace(Place);

#[derive(Debug, Clone)]
enum Place {
    Folder(PathBuf),
    Bucket { settings: Box<BucketSettings>, prefix: String },
}

/// Reads where checkpoints are kept from the `[checkpoint]` section of a job file:
///
/// * `to` = a folder, or `"s3://BUCKET/PREFIX"`; without it the folder `default`. A folder is created if it is missing.
/// * for S3 also `region`, `profile`, `access_key_id`, `secret_access_key`, `session_token`, `endpoint`, `path_style` and
///   `start_timeout`, as the `s3` sink has them.
///
/// Other keys of the section are left to the caller.
pub fn check(section: &mut Section<'_>, default: &str, problems: &mut Problems) -> Option<StorePlace> {
    let before = problems.len();
    let to = section.located::<String>("to", problems);
    let (to, at) = to.unwrap_or_else(|| (default.to_owned(), section.place()));
    let place = match to.split_once("://") {
        None if to.is_empty() => None,
        None => section.resolve(PathBuf::from(&to), at.clone(), problems).map(Place::Folder),
        Some(("s3", rest)) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = Path::parse(prefix).ok().filter(|_| !bucket.is_empty()).map(|prefix| prefix.to_string());
            section.reach(
                Reach::Objects { bucket, prefix: rest.split_once('/').unwrap_or_default().1 },
                at.clone(),
                problems,
            );
            let settings = Box::new(BucketSettings::check(bucket.to_owned(), section, problems));
            prefix.map(|prefix| Place::Bucket { settings, prefix })
        }
        Some(_) => None,
    };
    if place.is_none() && problems.len() == before {
        let message = format!("{}: `to`: expected a folder or an S3 address, found \"{to}\"", section.title());
        problems.push_hint(at, message, "write it like \"checkpoints/taxi\" or \"s3://bucket/checkpoints/taxi\"");
    }
    place.filter(|_| problems.len() == before).map(StorePlace)
}

impl StorePlace {
    /// A local folder.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Place::Folder(path.into()))
    }

    /// Opens the store: creates the folder, or proves that the bucket is there and keeps its promises. Removes what
    /// writers left behind that did not live to finish.
    pub async fn open(&self) -> Result<Arc<dyn Store>> {
        match &self.0 {
            Place::Folder(path) => {
                let path = path.clone();
                let store = blocking(move || FolderStore::open(path)).await;
                Ok(Arc::new(store.map_err(|error| error.context("checkpoints"))?))
            }
            Place::Bucket { settings, prefix } => {
                let open = async {
                    let bucket = Bucket::open(settings).await?;
                    BucketStore::open(bucket, prefix.clone(), settings.patience).await
                };
                Ok(Arc::new(open.await.map_err(|error| error.context("checkpoints"))?))
            }
        }
    }
}
