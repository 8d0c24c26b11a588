//! Where components are fetched from that lie on no path: objects of S3 and artifacts of OCI registries. What comes is
//! limited in size and time, and an artifact is what its digest says, or it is refused. Whether it is a component is for
//! others to say.

mod artifact;
mod downloads;
mod manifest;
mod object;
mod reference;

pub use downloads::Downloads;
pub use reference::{Artifact, Reference};

use crate::aws::AwsSettings;
use crate::retry::Patience;
use crate::s3::bucket::BucketSettings;
use crate::secret::Secret;
use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use sha2::{Digest, Sha256};
use std::pin::pin;
use wasmill_stream::access::{Access, Barred, Reach, WayOut};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::{Error, Result};

/// What the name of a component ends with that is the name of its signature.
pub const SIGNATURE_ENDING: &str = ".minisig";
/// The annotation of a manifest that is the signature of its component.
pub const SIGNATURE_ANNOTATION: &str = "wasmill.minisig";
/// A longer signature is none, bytes.
pub const LONGEST_SIGNATURE: u64 = 4 << 10;

/// How components are fetched: the table `[components]` of a job file.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    s3: BucketSettings,
    oci: OciSettings,
}

#[derive(Debug, Clone)]
struct OciSettings {
    /// Who fetches. Nobody in particular without it.
    user: Option<(String, Secret)>,
    patience: Patience,
    /// The way that requests take.
    way_out: Option<WayOut>,
}

/// What is fetched.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Longer components are refused, bytes.
    pub most: u64,
    /// Whether the signature is wanted, too.
    pub signature: bool,
}

impl Reference {
    /// Whether a job may fetch this that may reach so much.
    pub fn is_allowed(&self, access: &dyn Access) -> std::result::Result<(), Barred> {
        match self {
            Self::Object { bucket, key } => access.allows(Reach::Objects { bucket, prefix: key }),
            Self::Artifact(artifact) => {
                access.allows(Reach::Artifact(&format!("{}/{}", artifact.registry, artifact.repository)))
            }
        }
    }
}

/// What has come.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The component.
    pub component: Bytes,
    /// Its signature, if it was wanted and there is one.
    pub signature: Option<Bytes>,
}

impl FetchSettings {
    /// Reads the table `[components]`:
    ///
    /// * `[components.s3]`: `region`, `profile`, `access_key_id`, `secret_access_key`, `session_token`, `endpoint`,
    ///   `path_style` and `start_timeout`, as the `s3` sink has them.
    /// * `[components.oci]`: `username` and `password`, and `start_timeout`.
    pub fn check(mut section: Section<'_>, problems: &mut Problems) -> Self {
        let mut settings = Self::within(section.access());
        if let Some(mut s3) = section.table("s3", problems) {
            settings.s3 = BucketSettings::check(String::new(), &mut s3, problems);
            s3.finish(problems);
        }
        if let Some(mut oci) = section.table("oci", problems) {
            settings.oci = OciSettings::check(&mut oci, problems);
            oci.finish(problems);
        }
        section.finish(problems);
        settings
    }

    /// Fetches a component. Artifacts are looked for in `downloads` first.
    pub async fn fetch(&self, from: &Reference, downloads: Option<&Downloads>, wanted: Wanted) -> Result<Fetched> {
        match from {
            Reference::Object { bucket, key } => object::fetch(&self.s3, bucket, key, wanted).await,
            Reference::Artifact(artifact) => artifact::fetch(&self.oci, artifact, downloads, wanted).await,
        }
    }
}

impl FetchSettings {
    /// Those of a job that may reach so much and says nothing itself.
    pub fn within(access: &dyn Access) -> Self {
        let s3 = BucketSettings {
            name: String::new(),
            endpoint: None,
            path_style: false,
            aws: AwsSettings::within(access),
            patience: Patience::START,
        };
        let oci = OciSettings { user: None, patience: Patience::START, way_out: access.way_out() };
        Self { s3, oci }
    }
}

impl OciSettings {
    fn check(section: &mut Section<'_>, problems: &mut Problems) -> Self {
        let name = section.optional::<String>("username", problems);
        let password = Secret::check("password", section, problems);
        if name.is_some() != password.is_some() {
            let message = format!("{}: `username` and `password` go together", section.title());
            problems.push(section.place(), message);
        }
        let (patience, way_out) = (Patience::check_start(section, problems), section.access().way_out());
        Self { user: name.zip(password), patience, way_out }
    }
}

/// All bytes of a stream, which may not have more than `most`.
async fn gather(parts: impl Stream<Item = Result<Bytes>>, most: u64) -> Result<Bytes> {
    let (mut parts, mut all) = (pin!(parts), BytesMut::new());
    while let Some(part) = parts.try_next().await? {
        if all.len() as u64 + part.len() as u64 > most {
            return Err(Error::invalid(format!("more than {most} bytes came, which is the most that are possible")));
        }
        all.extend_from_slice(&part);
    }
    Ok(all.freeze())
}

/// The SHA-256 of bytes as registries write it.
fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many bytes as are possible → all of them; one more, whatever was announced → refused.
    #[tokio::test]
    async fn streams_are_limited() {
        let parts = || futures::stream::iter(["abc", "de"].map(|part| Ok(Bytes::from_static(part.as_bytes()))));
        assert_eq!(gather(parts(), 5).await.expect("it fits"), "abcde");
        let refusal = gather(parts(), 4).await.expect_err("too much").to_string();
        assert_eq!(refusal, "more than 4 bytes came, which is the most that are possible");
    }
}
