//! The settings of a host, `HOME/host.toml`. Without it everything is as it is without the file.

use super::front::{Listen, TlsFiles};
use super::otlp::OtlpSettings;
use super::tenant::Class;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::Path;
use wasmill_stream::{Error, Result};

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFile {
    /// Where the API listens: an address, or `unix:PATH`.
    pub listen: Option<String>,
    /// The names by which clients call the host, with a port or without. Those of loopback need not be named; elsewhere any
    /// will do if there are none.
    #[serde(default)]
    pub names: Vec<String>,
    /// What it shows to clients.
    pub tls: Option<TlsFiles>,
    /// How much it does for them.
    #[serde(default)]
    pub api: ApiLimits,
    /// Where the jobs of tenants run whose files do not say.
    #[serde(default)]
    pub tenants: TenantDefaults,
    /// Where its metrics are pushed.
    pub otlp: Option<OtlpSettings>,
}

/// What holds for tenants whose files do not say something else.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantDefaults {
    /// Where their jobs run.
    pub class: Class,
}

impl Default for TenantDefaults {
    fn default() -> Self {
        Self { class: Class::Shared }
    }
}

/// How much a host does for its clients.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiLimits {
    /// So many connections at a time; others wait.
    pub connections: usize,
    /// So many requests per second for each token, or for each machine without one, over time; twice as many at once.
    pub requests_per_second: u32,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self { connections: 256, requests_per_second: 500 }
    }
}

impl HostFile {
    /// That of a host. Its paths are as seen from the folder of the host.
    pub fn read(home: &Path) -> Result<Self> {
        let path = home.join("host.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::invalid(format!("read {}", path.display())).with_source(error)),
        };
        let wrong = |why: String| Error::invalid(format!("{}: {}", path.display(), why.trim_end()));
        let mut file: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let ApiLimits { connections, requests_per_second } = file.api;
        if connections == 0 || requests_per_second == 0 {
            return Err(wrong("`connections` and `requests_per_second` of [api] are at least 1".to_owned()));
        }
        file.listen().map_err(wrong)?;
        file.tls = file.tls.map(|files| files.within(home));
        Ok(file)
    }

    /// Where it listens.
    pub fn listen(&self) -> std::result::Result<Option<Listen>, String> {
        self.listen.as_ref().map(|text| text.parse().map_err(|why| format!("`listen`: {why}"))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No file, an empty one, one with everything → read; what is misspelt or makes no sense → refused by name.
    #[test]
    fn what_it_says() {
        let home = tempfile::tempdir().expect("a folder");
        let write = |text: &str| std::fs::write(home.path().join("host.toml"), text).expect("written");
        assert_eq!(HostFile::read(home.path()).expect("none"), HostFile::default());
        write("");
        assert_eq!(HostFile::read(home.path()).expect("empty"), HostFile::default());
        write(
            "listen = \"0.0.0.0:9180\"\nnames = [\"a.example\"]\n[tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\n\
             [api]\nconnections = 5\n",
        );
        let file = HostFile::read(home.path()).expect("all of it");
        let files = TlsFiles { certificate: home.path().join("c.pem"), key: "/k.pem".into() };
        assert_eq!((file.tls, file.api.connections, file.api.requests_per_second), (Some(files), 5, 500));
        for (text, words) in [
            ("listen = \"here\"", "`listen`: expected an address such as"),
            ("[tls]\ncertificate = \"c.pem\"", "missing field `key`"),
            ("[api]\nconnections = 0", "at least 1"),
            ("tsl = 1", "unknown field `tsl`"),
        ] {
            write(text);
            let error = HostFile::read(home.path()).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains("host.toml"), "{error}");
        }
    }
}
