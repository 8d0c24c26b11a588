//! A bucket as the job file names it, for the sink and for checkpoints: its settings, the client, the proof at start that
//! it is there, and what a failure means. Nothing is tried again in here except at start.

use super::listening::Listening;
use crate::aws::{AwsSettings, Doubt, check_endpoint};
use crate::retry::{Backoff, Patience};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::{Error, ErrorKind, Result};

/// A request that takes longer is given up and sent again.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Refusals with status 400 that another try will not change. Others of that status come from bytes that were damaged on
/// their way, or from credentials that have just expired.
const HOPELESS: [&str; 7] = [
    "EntityTooLarge",
    "EntityTooSmall",
    "InvalidArgument",
    "InvalidBucketName",
    "InvalidPart",
    "InvalidRequest",
    "KeyTooLongError",
];

/// What a server says to credentials that have expired.
const EXPIRED: [&str; 2] = ["ExpiredToken", "TokenRefreshRequired"];

/// What it says to credentials that it does not know, which may have been exchanged.
const DOUBTFUL: [&str; 3] = ["InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"];

/// Where a bucket is and who may use it.
#[derive(Debug, Clone)]
pub struct BucketSettings {
    /// Its name.
    pub name: String,
    /// Another server than that of AWS.
    pub endpoint: Option<Url>,
    /// Whether the bucket stands in the path of an address and not in its host name.
    pub path_style: bool,
    /// Region and credentials.
    pub aws: AwsSettings,
    /// How long to wait for the server at start.
    pub patience: Patience,
}

impl BucketSettings {
    /// Reads `endpoint`, `path_style`, `start_timeout` and everything of [`AwsSettings`].
    pub fn check(name: String, section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let endpoint = check_endpoint(section, problems);
        Self {
            name,
            path_style: section.optional("path_style", problems).unwrap_or(endpoint.is_some()),
            endpoint,
            aws: AwsSettings::check(section, problems),
            patience: Patience::check_start(section, problems),
        }
    }
}

/// A bucket and the right to use it.
pub struct Bucket {
    /// The client. It sends every request once.
    pub s3: AmazonS3,
    /// How to reach the server, for requests that the client does not know.
    pub options: ClientOptions,
    /// Its name.
    pub name: String,
    /// The bucket and where it is, for messages.
    pub place: String,
    doubt: Arc<Doubt>,
}

impl Bucket {
    /// Resolves credentials. Sends nothing to the server yet.
    pub async fn open(settings: &BucketSettings) -> Result<Self> {
        let name = settings.name.clone();
        let mut place = format!("bucket {name}");
        let access = settings.aws.load().await.map_err(|error| error.context(&place))?;
        place.push_str(&format!(" in {}", access.region));
        let mut options = ClientOptions::new().with_timeout(TIMEOUT);
        if let Some(way) = &settings.aws.way_out {
            options = options.with_proxy_url(way.url());
        }
        let doubt = Arc::new(Doubt::new(access.credentials.clone()));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&name)
            .with_region(&access.region)
            .with_credentials(Arc::new(access.credentials))
            .with_virtual_hosted_style_request(!settings.path_style)
            // One name at a time: the other way is not known to all servers.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &settings.endpoint {
            let address = endpoint.as_str().trim_end_matches('/');
            place.push_str(&format!(" at {address}"));
            builder = builder.with_endpoint(address);
            options = options.with_allow_http(endpoint.scheme() == "http");
        }
        let s3 = builder
            .with_client_options(options.clone())
            .with_http_connector(Listening::new(&doubt))
            .build()
            .map_err(|error| Error::invalid(place.clone()).with_source(error))?;
        Ok(Self { s3, options, name, place, doubt })
    }

    /// Asks the server for the bucket, as often as it takes.
    pub async fn find(&self, prefix: &str, patience: Patience) -> Result<()> {
        let mut backoff = Backoff::new(patience);
        while let Err(error) = self.look(prefix).await {
            backoff.wait(error).await?;
        }
        Ok(())
    }

    /// Asks for an object that is not there. Whoever may only put is told no more than "denied", which has to do.
    async fn look(&self, prefix: &str) -> Result<()> {
        let probe = Path::from(format!("{prefix}.wasmill-probe"));
        let Err(error) = self.s3.get(&probe).await else { return Ok(()) };
        let said = error.to_string();
        match &error {
            _ if is_absent(&error) => Ok(()),
            object_store::Error::PermissionDenied { .. } if !has_code(&said, &DOUBTFUL) => Ok(()),
            _ => Err(self.failure("look into it", error)),
        }
    }

    /// The path of a key.
    pub fn path(&self, key: &str) -> Result<Path> {
        Path::parse(key).map_err(|error| Error::invalid(format!("{}: key \"{key}\"", self.place)).with_source(error))
    }

    /// What a failed request means. If it was for its credentials, the next one has fresh ones.
    pub fn failure(&self, what: &str, error: object_store::Error) -> Error {
        use object_store::Error as E;
        let said = error.to_string();
        let kind = match &error {
            _ if has_code(&said, &EXPIRED) => {
                self.doubt.expired();
                ErrorKind::Unavailable
            }
            _ if has_code(&said, &DOUBTFUL) => self.doubt.refused(),
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => ErrorKind::Denied,
            // Another write to the key is on its way; ours may go first the next time.
            E::Precondition { .. } | E::AlreadyExists { .. } => ErrorKind::Unavailable,
            E::Generic { .. } => generic_kind(&said),
            _ => ErrorKind::Invalid,
        };
        // Servers answer with pages of XML; a message is one line.
        let report = Error::new(kind, format!("{}: {what}", self.place)).with_source(error).report();
        Error::new(kind, report.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Whether there is no such object or upload, in a bucket that is there.
pub fn is_absent(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && !error.to_string().contains("NoSuchBucket")
}

/// Whether a server has given one of these codes.
fn has_code(said: &str, codes: &[&str]) -> bool {
    codes.iter().any(|code| said.contains(&format!("<Code>{code}</Code>")))
}

/// The kind of a failure that the client does not tell apart, by what the server said, if it said anything.
fn generic_kind(said: &str) -> ErrorKind {
    let is_status = |status: &str| said.contains(&format!("status code: {status}"));
    if is_status("401") || is_status("403") {
        ErrorKind::Denied
    } else if is_status("404") || (is_status("400") && has_code(said, &HOPELESS)) {
        ErrorKind::Invalid
    } else {
        ErrorKind::Unavailable
    }
}
