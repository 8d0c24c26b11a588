//! What the sink leaves in a manifest.

use super::part::{Part, Progress};
use serde::{Deserialize, Serialize};
use std::path::Path;
use wasmill_stream::checkpoint::Digest;

/// The files that hold rows of a checkpoint and are not committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepared {
    /// Files that are to get their names.
    pub(super) finished: Vec<Entry>,
    /// The file to which rows are appended.
    pub(super) open: Option<Entry>,
    /// The listing of the files that get their names, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listing: Option<String>,
}

/// One of these files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// What it will be called, with the folders of its partition.
    pub(super) name: String,
    /// What it is called.
    pub(super) part: String,
    /// How long it is.
    pub(super) bytes: u64,
    /// How many bytes of lines it has, before compression.
    pub(super) lines: u64,
    /// Of its bytes. Checkpoints of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    /// What stands above its lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) head: String,
}

impl Prepared {
    /// All of them.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.finished.iter().chain(&self.open)
    }
}

impl Entry {
    /// A part that is on the disk, in this folder.
    pub(super) fn of(part: &Part, folder: &Path, progress: Progress) -> Self {
        let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let Progress { bytes, lines, digest } = progress;
        let head = part.style().head.clone();
        Self { name: name(part.path()), part: name(part.unfinished()), bytes, lines, digest, head }
    }

    /// How far the part had come.
    pub(super) fn progress(&self) -> Progress {
        Progress { bytes: self.bytes, lines: self.lines, digest: self.digest }
    }
}
