//! What the sink leaves in a manifest.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_stream::{Error, ErrorKind, Result};

/// The objects that hold rows of a checkpoint and are not committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepared {
    /// Whole uploads that are to be completed.
    pub(super) uploads: Vec<Pending>,
}

/// One of these uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    /// The key of the object.
    pub(super) key: String,
    /// The id of the upload.
    pub(super) upload: String,
    /// What the server calls its parts.
    pub(super) parts: Vec<String>,
    /// How large the object is.
    pub(super) bytes: u64,
    /// What the object says about itself: sink, run and number, and the digest of its bytes.
    pub(super) stamp: String,
}

impl Prepared {
    /// Reads what an earlier run has left, if it has.
    pub(super) fn read(value: &Value) -> Result<Self> {
        if value.is_null() {
            return Ok(Self::default());
        }
        let message = "read what the s3 sink has left in the checkpoint";
        Self::deserialize(value).map_err(|error| Error::new(ErrorKind::Corrupt, message).with_source(error))
    }

    /// As it goes into the manifest.
    pub(super) fn write(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::internal("describe uploads").with_source(error))
    }
}
