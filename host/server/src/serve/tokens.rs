//! Who may ask a host for what: the tokens of its file `tokens.toml`, as they are written and read. Whether a request has
//! a right one is asked of the keyring.
//!
//! A token is 256 random bits, so its SHA-256 is all that is kept: nobody can guess what it was made of, and hashes that are
//! slow on purpose are for words that people think of.

use super::home::is_name;
use super::status::moment;
use crate::digest::sha256;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, str};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use wasmill_stream::time::TimeFormat;
use wasmill_stream::{Error, Result};

/// What every token begins with, so that people and programs that look for leaked secrets know one when they see it.
const PREFIX: &str = "wasmill_";

/// The first lines of the file.
const HEAD: &str =
    "# Who may ask this host for what. `wasmill token` writes it; what a token is cannot be read off it.\n\n";

/// What somebody may do with jobs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// See how jobs are, and their job files' plugins, metrics, history, checkpoints. Not what is in records.
    Read,
    /// See records: samples, dead letters, and logs, where plugins may quote them.
    Rows,
    /// Pause, resume, restart, roll back, end trials, keep savepoints: nothing that brings code or settings.
    Operate,
    /// Bring code and settings: write and remove job files, apply them, swap plugins.
    Deploy,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Rows, Self::Operate, Self::Deploy];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Rows => "rows",
            Self::Operate => "operate",
            Self::Deploy => "deploy",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The digest of its text, in hex.
    sha256: String,
    /// What it may do.
    pub verbs: BTreeSet<Verb>,
    /// The tenant for whose jobs it is; nothing: for all jobs of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When it was made, as RFC 3339.
    pub created: String,
    /// When it ends, the same; nothing: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// The text of a token. It is shown once, to whoever makes it, and is not to be found in any log.
pub struct Secret(String);

impl Secret {
    /// A new one.
    fn new() -> Result<Self> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)
            .map_err(|error| Error::unavailable(format!("get random bits from the system: {error}")))?;
        Ok(Self(format!("{PREFIX}{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(bits))))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}…")
    }
}

impl Token {
    /// A new one, with its text.
    pub fn new(
        verbs: impl IntoIterator<Item = Verb>,
        tenant: Option<String>,
        lives: Option<Duration>,
    ) -> Result<(Self, Secret)> {
        let (secret, now) = (Secret::new()?, SystemTime::now());
        let token = Self {
            sha256: sha256(secret.text().as_bytes()),
            verbs: verbs.into_iter().collect(),
            tenant,
            created: moment(now),
            expires: lives.and_then(|lives| now.checked_add(lives)).map(moment),
        };
        Ok((token, secret))
    }

    /// Enough of its digest to tell it from others of the same name, before and after.
    pub fn id(&self) -> &str {
        self.sha256.get(..8).unwrap_or_default()
    }

    /// Whether it has ended by then. An end that cannot be read has come.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let end = |text: &String| TimeFormat::Iso8601.parse(text.as_bytes());
        self.expires.as_ref().is_some_and(|expires| end(expires).is_none_or(|end| end <= now))
    }

    fn problem(&self) -> Option<String> {
        let is_digest = self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_time = |text: &String| TimeFormat::Iso8601.parse(text.as_bytes()).is_some();
        if !is_digest {
            Some("`sha256` is not a SHA-256 in hex".to_owned())
        } else if self.tenant.as_deref().is_some_and(|tenant| !is_name(tenant)) {
            Some("`tenant` is not the name of a tenant".to_owned())
        } else {
            (!self.expires.iter().all(is_time))
                .then(|| "`expires` is not a time such as 2027-01-01T00:00:00Z".to_owned())
        }
    }
}

/// The tokens of a host, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Each by its name.
    #[serde(default, rename = "token")]
    named: BTreeMap<String, Token>,
}

impl Tokens {
    /// Where they are kept.
    pub fn path(home: &Path) -> PathBuf {
        home.join("tokens.toml")
    }

    /// Reads the file; `None`: there is none. One that others may read or write is refused.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let failed = |error| Error::unavailable(format!("read {}", path.display())).with_source(error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let message = format!("{} is open to other users (mode {mode:03o})", path.display());
            return Err(Error::invalid(message).hint(format!("`chmod 600 {}`", path.display())));
        }
        let text = std::io::read_to_string(file).map_err(failed)?;
        let wrong = |why: String| Error::invalid(format!("{}: {why}", path.display()));
        let tokens: Self = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        for (name, token) in &tokens.named {
            if let Some(problem) = token.problem() {
                return Err(wrong(format!("token {name}: {problem}")));
            }
        }
        Ok(Some(tokens))
    }

    /// The token of this text. All are looked at, each to its end, so that nothing is learnt from how long it takes.
    pub fn find(&self, text: &str) -> Option<(&str, &Token)> {
        let digest = sha256(text.as_bytes());
        let mut found = None;
        for (name, token) in &self.named {
            if bool::from(token.sha256.as_bytes().ct_eq(digest.as_bytes())) {
                found = Some((name.as_str(), token));
            }
        }
        found
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.named.iter().map(|(name, token)| (name.as_str(), token))
    }

    /// Changes the file of a host, one process after the other. Whoever reads it meanwhile sees it as it was before.
    pub fn change<T>(home: &Path, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let path = Self::path(home);
        let failed = |error| Error::unavailable(format!("write {}", path.display())).with_source(error);
        let folder = File::open(home).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let mut tokens = Self::read(&path)?.unwrap_or_default();
        let done = change(&mut tokens)?;
        let text = toml::to_string(&tokens).map_err(|error| Error::internal(format!("write tokens: {error}")))?;
        let draft = home.join(".tokens.toml.draft");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(failed)?;
        // One that was left over may be open to others.
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
        file.write_all(HEAD.as_bytes()).and_then(|()| file.write_all(text.as_bytes())).map_err(failed)?;
        file.sync_all().and_then(|()| fs::rename(&draft, &path)).and_then(|()| folder.sync_all()).map_err(failed)?;
        Ok(done)
    }

    /// Adds one.
    pub fn add(&mut self, name: &str, token: Token) -> Result<()> {
        if !is_name(name) {
            let message = format!("a token cannot be called {name:?}: letters, digits, `-`, `_` and `.`");
            return Err(Error::invalid(message));
        }
        if self.named.contains_key(name) {
            return Err(
                Error::invalid(format!("there is a token {name}")).hint("take another name, or revoke that one first")
            );
        }
        self.named.insert(name.to_owned(), token);
        Ok(())
    }

    /// Removes one.
    pub fn revoke(&mut self, name: &str) -> Result<()> {
        let unknown =
            || Error::invalid(format!("there is no token {name}")).hint("`wasmill token list HOME` lists them");
        self.named.remove(name).map(drop).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests;
