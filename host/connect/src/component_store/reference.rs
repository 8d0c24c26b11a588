//! The address of a component that has to be fetched, as a job file writes it.

use std::fmt;
use std::net::IpAddr;

/// How the digests of artifacts begin.
const SHA256: &str = "sha256:";

/// Where a component is fetched from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// `s3://BUCKET/KEY`
    Object {
        #[allow(missing_docs)]
        bucket: String,
        #[allow(missing_docs)]
        key: String,
    },
    /// `oci://REGISTRY/REPOSITORY@sha256:…`
    Artifact(Artifact),
}

/// An artifact in an OCI registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Artifact {
    /// The registry: a host, and a port if it is not that of https.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// What it was called when the reference was written. Tags move, so this is only said.
    pub tag: Option<String>,
    /// The SHA-256 of its manifest, `sha256:…`. Without it nothing is fetched.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads an address. `None`: it is none, but a path.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let (scheme, rest) = text.split_once("://")?;
        Some(match scheme {
            "s3" => Self::object(rest),
            "oci" => Artifact::parse(rest).map(Self::Artifact),
            _ => Err(format!("there is no way to fetch `{scheme}://`; write a path, s3://… or oci://…")),
        })
    }

    fn object(rest: &str) -> Result<Self, String> {
        match rest.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err("expected s3://BUCKET/KEY".to_owned()),
        }
    }
}

impl Artifact {
    fn parse(rest: &str) -> Result<Self, String> {
        let form = || "expected oci://REGISTRY/REPOSITORY@sha256:DIGEST".to_owned();
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(read_digest(digest)?)),
            None => (rest, None),
        };
        let (registry, path) = name.split_once('/').ok_or_else(form)?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        let plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let parts_are_plain = repository.split('/').all(|part| plain(part, "._-") && !part.starts_with('.'));
        if !plain(registry, ".-:[]") || !parts_are_plain || tag.is_some_and(|tag| !plain(tag, "._-")) {
            return Err(form());
        }
        let (registry, repository, tag) = (registry.to_owned(), repository.to_owned(), tag.map(str::to_owned));
        Ok(Self { registry, repository, tag, digest })
    }

    /// Whether the registry is on this machine, so that plain http will do.
    pub fn is_loopback(&self) -> bool {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
            _ => &self.registry,
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The address without what pins it.
    pub fn place(&self) -> String {
        format!("oci://{}/{}", self.registry, self.repository)
    }
}

/// The only digest that manifests and layers are named by here.
pub(super) fn read_digest(digest: &str) -> Result<String, String> {
    let hex = digest.strip_prefix(SHA256).unwrap_or_default();
    match hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        true => Ok(digest.to_owned()),
        false => Err(format!("`{digest}` is no digest: expected sha256: and 64 hexadecimal digits")),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Artifact(artifact) => artifact.fmt(f),
        }
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn parse(text: &str) -> Result<Reference, String> {
        Reference::parse(text).expect("it has a scheme")
    }

    /// Paths are none; addresses are read and written alike; of an artifact, tag and digest are optional here.
    #[test]
    fn addresses() {
        for path in ["p.wasm", "../plugins/p", "/a/b.wasm", "c:/x"] {
            assert_eq!(Reference::parse(path), None, "{path}");
        }
        let pinned = format!("oci://registry.example.com:5000/team/cell@{DIGEST}");
        let tagged = format!("oci://localhost/cell:1.2@{DIGEST}");
        for text in ["s3://bucket/a/b.wasm", "oci://ghcr.io/a/b", "oci://ghcr.io/a/b:1.2", &pinned, &tagged] {
            assert_eq!(parse(text).map(|reference| reference.to_string()).as_deref(), Ok(text));
        }
        let Ok(Reference::Artifact(artifact)) = parse(&pinned) else { panic!("{pinned}") };
        assert_eq!((&*artifact.registry, &*artifact.repository), ("registry.example.com:5000", "team/cell"));
        assert_eq!((artifact.tag.as_deref(), artifact.digest.as_deref()), (None, Some(DIGEST)));
    }

    /// What is no address says what one looks like.
    #[test]
    fn wrong_addresses() {
        let short = "oci://r/a@sha256:12";
        for (text, words) in [
            ("http://host/p.wasm", "no way to fetch `http://`"),
            ("s3://bucket", "expected s3://BUCKET/KEY"),
            ("s3:///key", "expected s3://BUCKET/KEY"),
            ("oci://registry", "expected oci://REGISTRY/REPOSITORY"),
            ("oci://r/../x", "expected oci://REGISTRY/REPOSITORY"),
            ("oci://user:pass@r/x", "`r/x` is no digest"),
            ("oci://r/a?b", "expected oci://REGISTRY/REPOSITORY"),
            (short, "64 hexadecimal digits"),
        ] {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }

    /// Loopback is told by the address, not by how a name begins.
    #[test]
    fn loopback() {
        let is_loopback = |registry: &str| match parse(&format!("oci://{registry}/a")) {
            Ok(Reference::Artifact(artifact)) => artifact.is_loopback(),
            other => panic!("{registry}: {other:?}"),
        };
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["localhost.example.com", "10.0.0.1:5000", "127.0.0.1.example.com", "[::2]:1", "ghcr.io"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
