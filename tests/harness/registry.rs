//! The other side of an OCI registry: artifacts are put there as its specification says, without the client that wasmill
//! uses.

use super::http::send_with;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// Who reads and writes, as `oci.sh` has it: settings of a job file, and a header.
pub const READER: &str = "[components.oci]\nusername = \"reader\"\npassword = \"${PASSWORD}\"\n";
const AUTHORIZATION: (&str, &str) = ("Authorization", "Basic cmVhZGVyOnNlY3JldA==");
/// The password of that user.
pub const PASSWORD: &str = "secret";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// A repository in a registry.
pub struct Repository<'a> {
    /// The registry.
    pub url: &'a str,
    pub name: &'a str,
}

/// An artifact that is not there yet.
pub struct Draft<'a> {
    /// Its layers: type and bytes.
    pub layers: Vec<(&'a str, &'a [u8])>,
    pub annotations: Value,
}

impl<'a> Draft<'a> {
    /// A component as the CNCF describes it.
    pub fn component(bytes: &'a [u8]) -> Self {
        Self { layers: vec![("application/wasm", bytes)], annotations: json!({}) }
    }
}

impl Repository<'_> {
    /// Puts an artifact under a tag, and returns the digest of its manifest.
    pub fn push(&self, tag: &str, draft: &Draft<'_>) -> String {
        let manifest = self.manifest(draft).to_string();
        let url = format!("{}/v2/{}/manifests/{tag}", self.url, self.name);
        let headers = [AUTHORIZATION, ("Content-Type", MANIFEST)];
        let (status, _, body) = send_with("PUT", &url, &headers, manifest.as_bytes());
        assert_eq!(status, 201, "{body}");
        sha256(manifest.as_bytes())
    }

    /// How a job file names an artifact.
    pub fn reference(&self, digest: &str) -> String {
        format!("{}@{digest}", self.place())
    }

    /// The same without a digest.
    pub fn place(&self) -> String {
        format!("oci://{}/{}", self.url.trim_start_matches("http://"), self.name)
    }

    fn manifest(&self, draft: &Draft<'_>) -> Value {
        let config = b"{}";
        let layers = draft.layers.iter().map(|(kind, bytes)| self.blob(kind, bytes)).collect::<Vec<_>>();
        json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(CONFIG, config), "layers": layers,
            "annotations": draft.annotations,
        })
    }

    /// Puts a blob, and returns how manifests describe it.
    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let begin = format!("{}/v2/{}/blobs/uploads/", self.url, self.name);
        let (status, head, body) = send_with("POST", &begin, &[AUTHORIZATION], b"");
        assert_eq!(status, 202, "{body}");
        let place = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place for the upload");
        let digest = sha256(bytes);
        let mark = if place.contains('?') { '&' } else { '?' };
        let place = if place.starts_with('/') { format!("{}{place}", self.url) } else { place.to_owned() };
        let headers = [AUTHORIZATION, ("Content-Type", "application/octet-stream")];
        let (status, _, body) = send_with("PUT", &format!("{place}{mark}digest={digest}"), &headers, bytes);
        assert_eq!(status, 201, "{body}");
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    }
}

/// The digest of bytes by a program that others wrote.
pub fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("it can be written");
    let output = Command::new("sha256sum").arg(file.path()).stderr(Stdio::inherit()).output().expect("coreutils");
    let text = String::from_utf8(output.stdout).expect("text");
    format!("sha256:{}", text.split(' ').next().expect("a digest"))
}
