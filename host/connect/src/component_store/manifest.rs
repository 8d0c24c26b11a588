//! The manifest of an artifact. The client of registries would read all that comes, however much that is, so it is asked for
//! here, with the token that the client gets.

use super::artifact::Registry;
use bytes::Bytes;
use futures::TryStreamExt;
use oci_client::RegistryOperation;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use oci_client::secrets::RegistryAuth;
use wasmill_stream::{Error, Result};

/// A longer manifest is refused, bytes. Registries need not take longer ones, so there is none.
const LONGEST: u64 = 4 << 20;

/// For messages.
const WHAT: &str = "get its manifest";

impl Registry<'_> {
    /// The bytes of the manifest, which have this digest.
    pub(super) async fn manifest(&self, digest: &str) -> Result<Bytes> {
        let bytes = self.patiently(|| self.pull_manifest(digest)).await?;
        self.verified("manifest", bytes, digest)
    }

    async fn pull_manifest(&self, digest: &str) -> Result<Bytes> {
        let failed = |error| self.failure(WHAT, error);
        let pinned = self.reference(digest);
        let token = self.client.auth(&pinned, &self.auth, RegistryOperation::Pull).await.map_err(failed)?;
        let scheme = if self.artifact.is_loopback() { "http" } else { "https" };
        let (registry, repository) = (pinned.resolve_registry(), pinned.repository());
        let url = format!("{scheme}://{registry}/v2/{repository}/manifests/{digest}");
        let request = self.http.get(&url).header("Accept", OCI_IMAGE_MEDIA_TYPE);
        let request = match (token, &self.auth) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(name, password)) => request.basic_auth(name, Some(password)),
            (None, _) => request,
        };
        let answer = request.send().await.map_err(|error| failed(error.into()))?;
        let status = answer.status();
        let parts = answer.bytes_stream().map_err(|error| Error::unavailable("read it").with_source(error));
        let body = super::gather(parts, LONGEST).await;
        let body = body.map_err(|error| error.context(WHAT).context(self.artifact))?;
        if status.is_success() { Ok(body) } else { Err(failed(refusal(status.as_u16(), &body, url))) }
    }
}

/// What the client would say about such an answer.
fn refusal(code: u16, body: &[u8], url: String) -> OciDistributionError {
    use OciDistributionError as E;
    match (code, serde_json::from_slice(body)) {
        (401, _) => E::UnauthorizedError { url },
        (400..=428 | 430..=499, Ok(envelope)) => E::RegistryError { envelope, url },
        _ => E::ServerError { code, url, message: String::from_utf8_lossy(body).chars().take(300).collect() },
    }
}
