//! Components that are artifacts of an OCI registry, as the CNCF describes them: a manifest with one layer of the type
//! `application/wasm`. The reference names the digest of the manifest, that names the digest of the layer, and both are
//! computed over what has come. A signature is an annotation of the manifest.

use super::downloads::Downloads;
use super::reference::{Artifact, read_digest};
use super::{Fetched, OciSettings, SIGNATURE_ANNOTATION, Wanted};
use crate::retry::{Backoff, Patience, until_answered};
use bytes::Bytes;
use futures::TryStreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use std::io;
use std::time::Duration;
use wasmill_stream::access::WayOut;
use wasmill_stream::{Error, ErrorKind, Result};

/// The type of the layer that is a component.
const COMPONENT: &str = "application/wasm";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two parts of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// For all of it, however slowly it comes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Fetches an artifact, or finds it among the downloads.
pub(super) async fn fetch(
    settings: &OciSettings,
    artifact: &Artifact,
    downloads: Option<&Downloads>,
    wanted: Wanted,
) -> Result<Fetched> {
    let late = || Error::unavailable(format!("{artifact}: it has not come within {} s", TIMEOUT.as_secs()));
    let work = fetch_in_time(settings, artifact, downloads, wanted);
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(late()))
}

async fn fetch_in_time(
    settings: &OciSettings,
    artifact: &Artifact,
    downloads: Option<&Downloads>,
    wanted: Wanted,
) -> Result<Fetched> {
    let registry = Registry::new(settings, artifact)?;
    let Some(digest) = &artifact.digest else { return Err(registry.unpinned().await) };
    let manifest = match downloads.and_then(|downloads| downloads.load(digest)) {
        Some(manifest) => manifest,
        None => registry.manifest(digest).await?,
    };
    let (layer, signature) = registry.layer(&manifest, wanted.most)?;
    let component = match downloads.and_then(|downloads| downloads.load(&layer.digest)) {
        Some(component) => component,
        None => {
            let component = registry.blob(&layer, wanted.most).await?;
            if let Some(downloads) = downloads {
                downloads.store(&layer.digest, &component);
                downloads.store(digest, &manifest);
            }
            component
        }
    };
    Ok(Fetched { component, signature: signature.map(Bytes::from) })
}

/// The registry of one artifact.
pub(super) struct Registry<'a> {
    pub(super) client: Client,
    /// For requests whose answers the client would read without a limit.
    pub(super) http: reqwest::Client,
    pub(super) auth: RegistryAuth,
    pub(super) artifact: &'a Artifact,
    patience: Patience,
}

impl<'a> Registry<'a> {
    fn new(settings: &OciSettings, artifact: &'a Artifact) -> Result<Self> {
        let protocol = match artifact.is_loopback() {
            true => ClientProtocol::Http,
            false => ClientProtocol::Https,
        };
        let way = settings.way_out.as_ref().map(WayOut::url);
        let config = ClientConfig {
            protocol,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            // One component runs everywhere: an index has nothing to choose from.
            platform_resolver: None,
            http_proxy: way.clone(),
            https_proxy: way.clone(),
            ..ClientConfig::default()
        };
        let tls = || format!("{artifact}: set up TLS");
        let client = Client::try_from(config).map_err(|error| Error::invalid(tls()).with_source(error))?;
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
        if let Some(way) = way {
            http = http.proxy(reqwest::Proxy::all(way).map_err(|error| Error::internal(tls()).with_source(error))?);
        }
        let http = http.build().map_err(|error| Error::invalid(tls()).with_source(error))?;
        let auth = match &settings.user {
            Some((name, password)) => RegistryAuth::Basic(name.clone(), password.reveal().to_owned()),
            None => RegistryAuth::Anonymous,
        };
        Ok(Self { client, http, auth, artifact, patience: settings.patience })
    }

    /// The error for a reference that names no digest: says which one it would be now.
    async fn unpinned(&self) -> Error {
        let Artifact { registry, repository, tag, .. } = self.artifact;
        let tag = tag.as_deref().unwrap_or("latest");
        let tagged = Reference::with_tag(registry.clone(), repository.clone(), tag.to_owned());
        let ask = || async {
            let digest = self.client.fetch_manifest_digest(&tagged, &self.auth).await;
            digest.map_err(|error| self.failure("ask for its digest", error))
        };
        match self.patiently(ask).await {
            Ok(digest) => Error::invalid(format!("{} is not pinned by a digest, and tags move", self.artifact))
                .hint(format!("it is {digest} now: write {}@{digest}", self.artifact.place())),
            Err(error) => error,
        }
    }

    /// The one layer that is a component, and the signature of it.
    fn layer(&self, manifest: &[u8], most: u64) -> Result<(OciDescriptor, Option<String>)> {
        let wrong = |what: String| Error::invalid(format!("{}: {what}", self.artifact));
        let manifest: OciImageManifest = serde_json::from_slice(manifest)
            .map_err(|error| wrong(format!("its manifest is none of an artifact: {error}")))?;
        let signature = manifest.annotations.and_then(|mut annotations| annotations.remove(SIGNATURE_ANNOTATION));
        let layer = match <[OciDescriptor; 1]>::try_from(manifest.layers) {
            Ok([layer]) if layer.media_type == COMPONENT => layer,
            Ok([layer]) => {
                return Err(wrong(format!("its layer has the type {}, expected {COMPONENT}", layer.media_type)));
            }
            Err(layers) => {
                return Err(wrong(format!("it has {} layers, expected one of the type {COMPONENT}", layers.len())));
            }
        };
        read_digest(&layer.digest).map_err(|reason| wrong(format!("its layer: {reason}")))?;
        if u64::try_from(layer.size).map_or(true, |size| size > most) {
            return Err(wrong(format!("its component has {} bytes, at most {most} are possible", layer.size)));
        }
        Ok((layer, signature))
    }

    /// The bytes of a layer, which have its digest.
    async fn blob(&self, layer: &OciDescriptor, most: u64) -> Result<Bytes> {
        let place = self.reference(&layer.digest);
        let what = "get its component";
        let pull = || async {
            let begun = self.client.pull_blob_stream(&place, layer).await;
            let stream = begun.map_err(|error| self.failure(what, error))?.stream;
            super::gather(stream.map_err(broken), most)
                .await
                .map_err(|error| error.context(what).context(self.artifact))
        };
        self.client.store_auth_if_needed(&self.artifact.registry, &self.auth).await;
        let bytes = self.patiently(pull).await?;
        self.verified("component", bytes, &layer.digest)
    }

    pub(super) fn verified(&self, what: &str, bytes: Bytes, digest: &str) -> Result<Bytes> {
        let found = super::sha256(&bytes);
        match found == digest {
            true => Ok(bytes),
            false => {
                let message = format!("{}: the registry gave another {what} than was asked for", self.artifact);
                Err(Error::new(ErrorKind::Denied, format!("{message}: expected the digest {digest}, found {found}")))
            }
        }
    }

    pub(super) fn reference(&self, digest: &str) -> Reference {
        let Artifact { registry, repository, .. } = self.artifact;
        Reference::with_digest(registry.clone(), repository.clone(), digest.to_owned())
    }

    /// Asks the registry as often as it takes, if it makes sense to ask again.
    pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(&self, ask: impl FnMut() -> F) -> Result<T> {
        until_answered(Backoff::new(self.patience), ask).await
    }

    /// What a failed request means.
    pub(super) fn failure(&self, what: &str, error: OciDistributionError) -> Error {
        use OciDistributionError as E;
        let said = error.to_string();
        let (kind, hint) = match &error {
            E::RequestError(_) | E::IoError(_) => (ErrorKind::Unavailable, None),
            E::ServerError { code: 429 | 500.., .. } => (ErrorKind::Unavailable, None),
            E::AuthenticationFailure(_) | E::UnauthorizedError { .. } => {
                (ErrorKind::Denied, Some("set `username` and `password` in the table [components.oci]"))
            }
            E::DigestError(_) => (ErrorKind::Denied, None),
            _ => (ErrorKind::Invalid, None),
        };
        let error = Error::new(kind, format!("{}: {what}", self.artifact)).with_source(error);
        // Registries answer with pages; a message is one line.
        let report = error.report().split_whitespace().collect::<Vec<_>>().join(" ");
        let missing = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "manifest unknown", "repository name not known"];
        let hint = match missing.iter().any(|words| said.contains(words)) {
            true => Some("there is no such artifact: look at the name of the repository, and at the digest"),
            false => hint,
        };
        let plain = Error::new(kind, report);
        hint.into_iter().fold(plain, Error::hint)
    }
}

/// What has become of a download that broke off: only one that the registry has completed shows that it is another one.
fn broken(error: io::Error) -> Error {
    let kind = match error.get_ref() {
        Some(inner) if inner.is::<DigestError>() => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "read it").with_source(error)
}
