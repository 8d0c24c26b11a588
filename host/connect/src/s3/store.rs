//! The bucket: proves at start that it is there, puts objects, and says what a failure means. Nothing is tried again in
//! here except at start.

use super::settings::Settings;
use crate::retry::Backoff;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ClientOptions, ObjectStore, ObjectStoreExt, PutOptions, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use wasmill_stream::{Error, ErrorKind, Result};

/// A request that takes longer is given up and sent again.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A bucket.
pub struct Store {
    bucket: AmazonS3,
    /// The bucket and where it is, for messages.
    place: String,
    attributes: Attributes,
}

impl Store {
    /// Resolves credentials and asks the server for the bucket.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let mut place = format!("bucket {}", settings.bucket);
        let access = settings.aws.load().await.map_err(|error| error.context(&place))?;
        place.push_str(&format!(" in {}", access.region));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&access.region)
            .with_credentials(Arc::new(access.credentials))
            .with_virtual_hosted_style_request(!settings.path_style)
            .with_client_options(ClientOptions::new().with_timeout(TIMEOUT))
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &settings.endpoint {
            place.push_str(&format!(" at {}", endpoint.as_str().trim_end_matches('/')));
            builder = builder
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_allow_http(endpoint.scheme() == "http");
        }
        let bucket = builder.build().map_err(|error| Error::invalid(place.clone()).with_source(error))?;
        let content_type = settings.compression.content_type();
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type)]);
        let store = Self { bucket, place, attributes };
        let mut backoff = Backoff::new(settings.patience);
        while let Err(error) = store.look(&settings.prefix.covering("")).await {
            backoff.wait(error).await?;
        }
        Ok(store)
    }

    /// Asks for an object that is not there. Whoever may only put is told no more than "denied", which has to do.
    async fn look(&self, prefix: &str) -> Result<()> {
        let probe = Path::from(format!("{prefix}.wasmill-probe"));
        let Err(error) = self.bucket.get(&probe).await else { return Ok(()) };
        let said = error.to_string();
        let wrong_keys = ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"];
        match &error {
            object_store::Error::NotFound { .. } if !said.contains("NoSuchBucket") => Ok(()),
            object_store::Error::PermissionDenied { .. } if !wrong_keys.iter().any(|code| said.contains(code)) => {
                Ok(())
            }
            _ => Err(self.failure("look into it", error)),
        }
    }

    /// Puts a whole object. Putting it twice is the same as putting it once.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = Path::parse(key).map_err(|error| Error::invalid(format!("key \"{key}\"")).with_source(error))?;
        let options = PutOptions { attributes: self.attributes.clone(), ..PutOptions::default() };
        let put = self.bucket.put_opts(&path, bytes.into(), options).await;
        put.map(drop).map_err(|error| self.failure(&format!("put {key}"), error))
    }

    fn failure(&self, what: &str, error: object_store::Error) -> Error {
        use object_store::Error as E;
        let kind = match &error {
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => ErrorKind::Denied,
            // Another write to the key is on its way; ours may go first the next time.
            E::Precondition { .. } | E::AlreadyExists { .. } => ErrorKind::Unavailable,
            E::Generic { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        // Servers answer with pages of XML; a message is one line.
        let report = Error::new(kind, format!("{}: {what}", self.place)).with_source(error).report();
        Error::new(kind, report.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}
