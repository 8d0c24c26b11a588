//! What the sink leaves in a manifest.

use serde::{Deserialize, Serialize};

/// The objects that hold rows of a checkpoint and are not committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepared {
    /// Whole uploads that are to be completed.
    pub(super) uploads: Vec<Pending>,
    /// The key of the listing of them, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listing: Option<String>,
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
