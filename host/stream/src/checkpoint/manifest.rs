//! The manifest of a checkpoint: one JSON document behind a line that proves that it is whole.
//!
//! ```text
//! wasmill-manifest 3 8e1f… (XXH3-128 of the format as 4 bytes, little-endian, and the JSON)
//! {"number": 42, …}
//! ```

use super::Digest;
use crate::plugin::Identity;
use crate::position::Position;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The format that is written. Older ones can be read, newer ones are refused. Since format 2, positions may have a
/// sub-sequence number; since format 3, a job that goes on may have to take rows back first.
pub const FORMAT: u32 = 3;

const MAGIC: &str = "wasmill-manifest";

/// Why a manifest was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A run begins: nobody with a smaller run number may publish any more. The rest is that of the manifest before.
    Begin,
    /// In the course of a run.
    Periodic,
    /// The run was asked to stop. The next one goes on without reading anything again.
    Stop,
    /// All sources have ended. There is nothing to go on with.
    End,
    /// A savepoint or an older manifest was put in force.
    Restore,
}

impl Kind {
    /// Whether such a manifest only repeats what the one says that it continues.
    pub fn repeats(self) -> bool {
        matches!(self, Self::Begin | Self::Restore)
    }
}

/// Everything that a job remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which it is: each manifest of a job has the next number.
    pub number: u64,
    /// The fence: every run has a greater number than all before it. It is also the high part of the versions of documents:
    /// seconds since 1970 at the start of the run, or one more than the last run's.
    pub run: u64,
    /// Why it was written.
    pub kind: Kind,
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// The version of wasmill that wrote it.
    pub wasmill: String,
    /// Names this writer among all, so that a manifest can be told from that of another run.
    pub writer: String,
    /// The name of the job.
    pub job: String,
    /// The job file.
    pub definition: String,
    /// How many key groups there are.
    pub key_groups: u64,
    /// How many workers wrote it. Any number can go on.
    pub workers: usize,
    /// The sources by name.
    pub sources: BTreeMap<String, SourceMark>,
    /// The steps with state by name.
    pub steps: BTreeMap<String, StepMark>,
    /// The plugins of all steps and sources, by node.
    pub plugins: BTreeMap<String, PluginMark>,
    /// The sinks by name.
    pub sinks: BTreeMap<String, SinkMark>,
    /// The checkpoints to which the job can go back as if nothing had come after them, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<RewindPoint>,
    /// What sinks have to take back before the job goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawn>,
}

/// A checkpoint to which a job can go back: everything that sinks have done since is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewindPoint {
    /// Its number.
    pub number: u64,
    /// When it was published, in milliseconds since 1970.
    pub at: i64,
}

/// The checkpoints that a job has gone back over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The number of the one that it has gone back to.
    pub after: u64,
    /// The number of the last one that does not count any more.
    pub until: u64,
}

/// Where a source is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceMark {
    /// What the source itself wants to be told when it goes on, such as the creation time of its stream.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub note: Value,
    /// Its splits by name. A split that ended stays as long as the source knows it.
    pub splits: BTreeMap<String, SplitMark>,
}

/// Where a split is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitMark {
    /// The last record that was taken in; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Its watermark, in milliseconds; `None` while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// Whether it has ended for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

/// What a step knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMark {
    /// What kind of state it is, and the settings that it depends on: `tumbling 10m`. State fits only the same.
    pub shape: String,
    /// The version of the state, as its plugin counts.
    pub state_version: u32,
    /// Whether a candidate was on trial, so that each state is one of two versions: only the first half counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paired: bool,
    /// How far event time has come; `None` while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// The state: later runs replace entries of earlier ones.
    pub runs: Vec<Run>,
}

/// Entries of a state, sorted by key group and name, each name once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The objects that hold it, one after the other.
    pub segments: Vec<Segment>,
}

impl Run {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// One stored object of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Its name in the store.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// How many entries it has.
    pub entries: u64,
    /// Of its bytes.
    pub digest: Digest,
}

/// Which plugin a node had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginMark {
    /// Its name, as it says itself.
    pub name: String,
    /// Its version, as it says itself.
    pub version: String,
    /// The digest of the component.
    pub sha256: String,
    /// The digest of the component that the job file named, if it was another one: a version was swapped in since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The version that takes over from it as soon as it has closed the windows that it has opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Identity>,
}

/// What a sink has prepared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkMark {
    /// What it must be told to commit, and to go on.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub prepared: Value,
    /// Whether it has made that visible for certain, when this manifest was written. Its readers may have taken it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub committed: bool,
    /// The first name that an entry of its undo log can have that was kept after this checkpoint; `None`: it kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// Why bytes are no manifest that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecodable {
    /// It was written by a newer version of wasmill.
    Newer(u32),
    /// It is damaged; how.
    Damaged(String),
}

impl Undecodable {
    /// As an error about the object with this name.
    pub fn error(self, name: &str) -> Error {
        match self {
            Self::Newer(format) => Error::invalid(format!(
                "{name} has format {format}, and this version of wasmill reads up to {FORMAT}: run the newer version"
            )),
            Self::Damaged(how) => Error::new(ErrorKind::Corrupt, format!("{name} is damaged: {how}")),
        }
    }
}

/// Of the format and the document together.
fn seal(format: u32, json: &[u8]) -> Digest {
    Digest::of(&[&format.to_le_bytes(), json].concat())
}

impl Manifest {
    /// As bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).map_err(|error| Error::internal(format!("write a manifest: {error}")))?;
        let mut bytes = format!("{MAGIC} {FORMAT} {}\n", seal(FORMAT, &json)).into_bytes();
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        let damaged = |how: &str| Undecodable::Damaged(how.to_owned());
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it has no first line"))?;
        let (head, json) = (&bytes[..end], &bytes[end + 1..]);
        let head = std::str::from_utf8(head).map_err(|_| damaged("its first line is not text"))?;
        let mut words = head.split(' ');
        if words.next() != Some(MAGIC) {
            return Err(damaged("it does not begin as a manifest does"));
        }
        let format: u32 =
            words.next().and_then(|word| word.parse().ok()).ok_or_else(|| damaged("its format is no number"))?;
        let digest = words.next().and_then(|word| Digest::try_from(word.to_owned()).ok());
        let digest = digest.filter(|_| words.next().is_none()).ok_or_else(|| damaged("its digest cannot be read"))?;
        if digest != seal(format, json) {
            return Err(damaged("its digest does not fit its text"));
        }
        // Only now: a flipped bit in the number must not look like a newer version.
        if format > FORMAT {
            return Err(Undecodable::Newer(format));
        }
        serde_json::from_slice(json).map_err(|error| Undecodable::Damaged(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::ExtendedSequence;
    use serde_json::json;

    fn manifest() -> Manifest {
        let position = ExtendedSequence::parse("49590338271490256608559692538361571095921575989136588898:3");
        let position = position.map(Position::Sequence);
        let split = SplitMark { position, watermark: Some(1_356_998_400_000), done: false };
        let segment = Segment { name: "state/1".into(), bytes: 10, entries: 2, digest: Digest::of(b"x") };
        let step = StepMark {
            shape: "tumbling 10m".into(),
            state_version: 1,
            paired: false,
            watermark: Some(-5),
            runs: vec![Run { segments: vec![segment] }],
        };
        Manifest {
            number: 42,
            run: 1_795_000_000,
            kind: Kind::Periodic,
            at: "2026-11-21T10:00:00Z".into(),
            wasmill: "0.1.0".into(),
            writer: "w".into(),
            job: "taxi".into(),
            definition: "[source.trips]".into(),
            key_groups: crate::key::KEY_GROUPS,
            workers: 2,
            sources: BTreeMap::from([(
                "trips".into(),
                SourceMark { note: json!({"stream": "arn"}), splits: BTreeMap::from([("shard-0".into(), split)]) },
            )]),
            steps: BTreeMap::from([("cells".into(), step)]),
            plugins: BTreeMap::from([(
                "cells".into(),
                PluginMark {
                    name: "average".into(),
                    version: "1.0".into(),
                    sha256: "ab".repeat(32),
                    declared: None,
                    successor: Some(Identity {
                        name: "average".into(),
                        version: "1.1".into(),
                        digest: "cd".repeat(32),
                    }),
                },
            )]),
            sinks: BTreeMap::from([("out".into(), SinkMark { prepared: json!(["a"]), committed: true, undo: None })]),
            points: vec![RewindPoint { number: 40, at: 1_795_000_000_000 }],
            withdrawal: Some(Withdrawn { after: 40, until: 41 }),
        }
    }

    /// What is written is read again; any flipped bit and any cut is found, and none looks like a newer version.
    #[test]
    fn damage_is_found() {
        let manifest = manifest();
        let bytes = manifest.encode().expect("it is JSON");
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for at in 0..bytes.len() {
            for bit in [0, 3, 7] {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                let found = Manifest::decode(&bad);
                // Hexadecimal digits may be upper case.
                assert!(
                    matches!(found, Err(Undecodable::Damaged(_))) || bad.eq_ignore_ascii_case(&bytes),
                    "{at}.{bit}"
                );
            }
            assert!(matches!(Manifest::decode(&bytes[..at]), Err(Undecodable::Damaged(_))), "cut at {at}");
        }
    }

    /// A manifest of a later format is refused by its number, whatever it holds.
    #[test]
    fn newer_formats_are_refused() {
        let json = b"{\"unheard\": \"of\"}";
        let mut bytes = format!("{MAGIC} {} {}\n", FORMAT + 1, seal(FORMAT + 1, json)).into_bytes();
        bytes.extend_from_slice(json);
        assert_eq!(Manifest::decode(&bytes), Err(Undecodable::Newer(FORMAT + 1)));
    }
}
