//! Whom a host hears: its tokens as they are at this moment. Their file is looked at before every answer, so that what is revoked
//! is so at once, on all connections.

use super::tokens::Tokens;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use wasmill_stream::{Error, Result};

/// The tokens of a host.
pub struct Keyring {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What was read last.
struct Known {
    /// Of which file; `None`: there was none.
    stamp: Option<Stamp>,
    tokens: Option<Arc<Tokens>>,
}

/// What changes whenever a file does: it is replaced by another one, or written, or opened to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file; `None`: there is none.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::unavailable(format!("read {}", path.display())).with_source(error)),
        };
        let changed = (found.ctime(), found.ctime_nsec());
        Ok(Some(Self { device: found.dev(), inode: found.ino(), length: found.len(), changed }))
    }
}

impl Keyring {
    /// That of the file, whether it is there or not.
    pub fn new(path: PathBuf) -> Self {
        Self { path, known: Mutex::new(Known { stamp: None, tokens: None }) }
    }

    /// The tokens; `None`: nobody is asked for one. An error means that nobody can be heard.
    pub fn tokens(&self) -> Result<Option<Arc<Tokens>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.path)?;
        if stamp != known.stamp {
            let tokens = Tokens::read(&self.path)?.map(Arc::new);
            *known = Known { stamp, tokens };
        }
        Ok(known.tokens.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::tokens::{Token, Verb};
    use std::os::unix::fs::PermissionsExt;

    /// A file that comes, changes, is opened to others, is mended and goes → known at once each time.
    #[test]
    fn follows_its_file() {
        let home = tempfile::tempdir().expect("a folder");
        let path = Tokens::path(home.path());
        let ring = Keyring::new(path.clone());
        let look = || ring.tokens().map_err(|error| error.report());
        assert_eq!(look(), Ok(None));
        let (token, secret) = Token::new([Verb::Read], None, None).expect("random bits");
        Tokens::change(home.path(), |tokens| tokens.add("a", token.clone())).expect("written");
        let knows = || look().map(|tokens| tokens.is_some_and(|tokens| tokens.find(secret.text()).is_some()));
        assert_eq!(knows(), Ok(true));
        for _ in 0..2 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
            assert!(knows().is_err_and(|why| why.contains("open to other users")));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        assert_eq!(knows(), Ok(true));
        Tokens::change(home.path(), |tokens| tokens.revoke("a")).expect("it is there");
        assert_eq!(knows(), Ok(false));
        assert!(look().is_ok_and(|tokens| tokens.is_some()), "nobody may do anything");
        fs::remove_file(&path).expect("it is there");
        assert_eq!(look(), Ok(None));
        let nowhere = Keyring::new(path.join("tokens.toml"));
        fs::write(&path, "").expect("written");
        assert!(nowhere.tokens().is_err(), "what cannot be looked at is not taken for absent");
    }
}
