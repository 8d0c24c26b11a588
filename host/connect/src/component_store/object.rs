//! Components that are objects of an S3 bucket. A signature is an object beside its component.

use super::{Fetched, SIGNATURE_ENDING, Wanted};
use crate::retry::Backoff;
use crate::s3::bucket::{Bucket, BucketSettings, is_absent};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use wasmill_stream::{Error, Result};

/// Fetches an object, as often as it takes at the start of a job.
pub(super) async fn fetch(settings: &BucketSettings, bucket: &str, key: &str, wanted: Wanted) -> Result<Fetched> {
    let settings = BucketSettings { name: bucket.to_owned(), ..settings.clone() };
    let bucket = Bucket::open(&settings).await?;
    let component = get(&bucket, &settings, key, wanted.most).await?;
    let absent = || Error::invalid(format!("{}: there is no object {key}", bucket.place));
    let component = component.ok_or_else(absent)?;
    let signature = match wanted.signature {
        false => None,
        true => get(&bucket, &settings, &format!("{key}{SIGNATURE_ENDING}"), super::LONGEST_SIGNATURE).await?,
    };
    Ok(Fetched { component, signature })
}

/// `None`: there is no such object.
async fn get(bucket: &Bucket, settings: &BucketSettings, key: &str, most: u64) -> Result<Option<Bytes>> {
    let path = bucket.path(key)?;
    let mut backoff = Backoff::new(settings.patience);
    loop {
        let failed = |error| bucket.failure(&format!("get {path}"), error);
        let got = match bucket.s3.get(&path).await {
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => Err(failed(error)),
            Ok(found) if found.meta.size > most => {
                let size = found.meta.size;
                let message = format!("{}: {path} has {size} bytes, at most {most} are possible", bucket.place);
                Err(Error::invalid(message))
            }
            // As much as was announced, or less; never more than that into memory.
            Ok(found) => super::gather(found.into_stream().map_err(failed), most).await,
        };
        match got {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) => backoff.wait(error).await?,
        }
    }
}
