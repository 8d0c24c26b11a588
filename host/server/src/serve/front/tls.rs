//! TLS by rustls. The certificate is read again when its files change, so that a new one needs no new start.

use crate::serve::keyring::Stamp;
use crate::terminal::Terminal;
use serde::Deserialize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wasmill_stream::{Error, Result};

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, and those between it and its root, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM. Only its user may read it.
    pub key: PathBuf,
}

/// The certificate that is shown to clients.
pub struct Tls {
    files: TlsFiles,
    known: Mutex<Known>,
}

struct Known {
    /// Of which files.
    stamps: Stamps,
    config: Arc<ServerConfig>,
}

type Stamps = [Option<Stamp>; 2];

impl Tls {
    /// With the files as they are.
    pub fn open(files: TlsFiles) -> Result<Self> {
        let known = Known { stamps: files.stamps()?, config: files.load()? };
        Ok(Self { files, known: Mutex::new(known) })
    }

    /// What makes a connection one of TLS, with the files as they are now. If they are wrong, it stays at those before.
    pub(super) fn acceptor(&self, terminal: &Terminal) -> TlsAcceptor {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match self.files.stamps() {
            Ok(stamps) if stamps == known.stamps => {}
            Ok(stamps) => {
                // Said once: it is not looked at again before it changes again.
                known.stamps = stamps;
                match self.files.load() {
                    Ok(config) => {
                        known.config = config;
                        terminal.note(&format!("{}: a new certificate", self.files.certificate.display()));
                    }
                    Err(error) => {
                        terminal.note(&format!("the certificate stays the one before: {}", error.report()));
                    }
                }
            }
            // It cannot be looked at now. The next connection tries again.
            Err(_) => {}
        }
        TlsAcceptor::from(known.config.clone())
    }
}

impl TlsFiles {
    /// Relative paths, as seen from a folder.
    pub fn within(self, folder: &Path) -> Self {
        Self { certificate: folder.join(self.certificate), key: folder.join(self.key) }
    }

    fn stamps(&self) -> Result<Stamps> {
        Ok([Stamp::of(&self.certificate)?, Stamp::of(&self.key)?])
    }

    fn load(&self) -> Result<Arc<ServerConfig>> {
        let Self { certificate, key } = self;
        // What a PEM reader says of a key that it cannot read may hold some of it.
        let unreadable = |path: &Path, what: &str| Error::invalid(format!("{} holds no {what} as PEM", path.display()));
        let absent =
            |path: &Path, error: std::io::Error| Error::invalid(format!("read {}", path.display())).with_source(error);
        let mode = std::fs::metadata(key).map_err(|error| absent(key, error))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let message = format!("{} is open to other users (mode {mode:03o})", key.display());
            return Err(Error::invalid(message).hint(format!("`chmod 600 {}`", key.display())));
        }
        let chain = std::fs::read(certificate).map_err(|error| absent(certificate, error))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| unreadable(certificate, "certificate"))?;
        if chain.is_empty() {
            return Err(unreadable(certificate, "certificate"));
        }
        let private = std::fs::read(key).map_err(|error| absent(key, error))?;
        let private = PrivateKeyDer::from_pem_slice(&private).map_err(|_| unreadable(key, "private key"))?;
        let unfit = |error| {
            let message = format!("{} and {} do not fit together", certificate.display(), key.display());
            Error::invalid(message).with_source(error)
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
