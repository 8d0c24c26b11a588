//! Uploads that nobody will complete: those of runs that died before a manifest named them, and those whose beginning was
//! not answered. They are found by the keys of the sink; whatever else is in the bucket is left alone.

use super::bucket::is_absent;
use super::uploads::Uploads;
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use serde::Deserialize;
use std::time::Duration;
use wasmill_stream::{Error, ErrorKind, Result};

/// How long the signature of a list is valid.
const VALID: Duration = Duration::from_secs(300);

/// A page of uploads, as the server names things.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
}

impl Uploads {
    /// Aborts uploads of this sink and of this or earlier runs that are neither prepared nor filled. To be called when
    /// nothing is prepared. They cost money but do no harm, so that a failure is only reported. Returns whether it is worth
    /// another try.
    pub(super) async fn reap(&self) -> bool {
        let Err(error) = self.abort_orphans().await else { return false };
        tracing::warn!("uploads that were left behind stay for now, and cost: {}", error.report());
        error.kind() == ErrorKind::Unavailable
    }

    /// Aborts all that it can, and returns the last error.
    async fn abort_orphans(&self) -> Result<()> {
        let mut result = Ok(());
        let (mut key_marker, mut id_marker) = (String::new(), String::new());
        loop {
            let page = self.uploads(&key_marker, &id_marker).await?;
            for upload in page.uploads.iter().filter(|upload| self.is_orphan(upload)) {
                let path = self.bucket.path(&upload.key)?;
                match self.bucket.s3.abort_multipart(&path, &upload.upload_id).await {
                    Ok(()) => tracing::info!("aborted an upload of {path} that was left behind"),
                    // Someone else has found it too.
                    Err(error) if is_absent(&error) => {}
                    Err(error) => result = Err(self.bucket.failure(&format!("abort an upload of {path}"), error)),
                }
            }
            if !page.is_truncated {
                return result;
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// Whether an upload is of this sink and of a run that will not complete it. A later run would mean that this one is
    /// over and does not know it yet.
    fn is_orphan(&self, upload: &Upload) -> bool {
        let name = upload.key.rfind(&self.stem).and_then(|at| upload.key.get(at + self.stem.len()..));
        let run = name.and_then(|name| name.split_once('-')?.0.parse::<u64>().ok());
        let is_filled = || self.filled.iter().any(|pending| pending.upload == upload.upload_id);
        run.is_some_and(|run| run <= self.run) && !is_filled()
    }

    /// Lists uploads, for which the client has no words of its own.
    async fn uploads(&self, key_marker: &str, id_marker: &str) -> Result<Page> {
        let mut query = vec![("uploads", ""), ("prefix", self.prefix.as_str())];
        if !key_marker.is_empty() {
            query.extend([("key-marker", key_marker), ("upload-id-marker", id_marker)]);
        }
        let what = "list unfinished uploads";
        let failed = |error| self.bucket.failure(what, error);
        let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::unavailable(format!("{}: {what}", self.bucket.place)).with_source(error)
        };
        let options = SignedUrlOptions::new().with_query(query);
        let url = self.bucket.s3.signed_url_opts(Method::GET, &Path::default(), VALID, &options).await;
        let url = url.map_err(failed)?;
        let http = ReqwestConnector::default().connect(&self.bucket.options).map_err(failed)?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|error| broken(Box::new(error)))?;
        let answer = http.execute(request).await.map_err(|error| broken(error.into()))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(|error| broken(error.into()))?;
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            let body: String = body.chars().take(300).collect();
            let kind = match status.as_u16() {
                401 | 403 => ErrorKind::Denied,
                // There are servers that do not know this request.
                404 | 405 | 501 => ErrorKind::Invalid,
                _ => ErrorKind::Unavailable,
            };
            return Err(Error::new(kind, format!("{}: {what}: status {status}: {body}", self.bucket.place)));
        }
        quick_xml::de::from_str(&body).map_err(|error| broken(error.into()))
    }
}
