//! Where the plugin of a step is: a path, or an address that has to be fetched.

use super::JobFile;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use wasmill_connect::component_store::{Reference, SIGNATURE_ANNOTATION, SIGNATURE_ENDING};

/// Where a plugin is. As text it is what stands in a job file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Origin {
    /// A component, or the folder of a plugin's source.
    Path(PathBuf),
    /// A component somewhere else.
    Remote(Reference),
}

impl Origin {
    /// Reads what a job file says. Paths are those of the job file.
    pub fn read(file: &JobFile, text: &str) -> Result<Self, String> {
        Ok(match Self::try_from(text.to_owned())? {
            Self::Path(_) => Self::Path(file.resolve(text)),
            remote => remote,
        })
    }
}

impl Origin {
    /// Where the signature of the component is, for people; of a path, the path of that.
    pub fn signature(&self) -> String {
        match self {
            Self::Remote(Reference::Artifact(_)) => format!("annotation {SIGNATURE_ANNOTATION} in its manifest"),
            _ => format!("{self}{SIGNATURE_ENDING}"),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match Reference::parse(&text) {
            Some(reference) => Self::Remote(reference.map_err(|reason| format!("{text}: {reason}"))?),
            None => Self::Path(text.into()),
        })
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Remote(reference) => reference.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths are those of the job file, addresses stay as they are, and both survive as text.
    #[test]
    fn origins() {
        let file = JobFile::new("jobs/a.toml", "");
        let read = |text: &str| Origin::read(&file, text).map(String::from);
        assert_eq!(read("p.wasm").as_deref(), Ok("jobs/p.wasm"));
        assert_eq!(read("s3://b/p.wasm").as_deref(), Ok("s3://b/p.wasm"));
        assert!(read("ftp://b/p.wasm").is_err_and(|reason| reason.starts_with("ftp://b/p.wasm: there is no way")));
    }
}
