//! Checkpoints as the API and the command line tell them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use wasmill_stream::checkpoint::{Kind, Manifest, Run};
use wasmill_stream::time::iso8601;
use wasmill_stream::{Error, Result};

/// A checkpoint in a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Listed {
    /// Its number, or the name of a savepoint.
    pub name: String,
    /// What it is; nothing if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Summary>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A checkpoint in short.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Its number.
    pub number: u64,
    /// When it was written, as RFC 3339 in UTC.
    pub at: String,
    /// Why: `begin of a run`, `periodic`, `stop`, `end of the input`, or `restored`.
    pub kind: String,
    /// The number of the run that wrote it.
    pub run: u64,
    /// Bytes of state.
    pub state_bytes: u64,
    /// How many splits its sources had.
    pub splits: usize,
}

/// A checkpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// What it is.
    pub checkpoint: Summary,
    /// The name of the job, as its file has it.
    pub job: String,
    /// The version of wasmill that wrote it.
    pub wasmill: String,
    /// How many workers there were.
    pub workers: usize,
    /// Where the splits of each source were.
    pub sources: BTreeMap<String, BTreeMap<String, Split>>,
    /// What each step knew.
    pub steps: BTreeMap<String, Step>,
    /// The plugin of each step and source.
    pub plugins: BTreeMap<String, Plugin>,
}

/// Where a split was.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Split {
    /// The last record that was taken in; nothing before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// Its watermark, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// Whether it had ended.
    pub done: bool,
}

/// What a step knew.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// What kind of state it is, and the settings that it depends on.
    pub shape: String,
    /// How far event time had come, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// The version of the state, as its plugin counts.
    pub state_version: u32,
    /// Entries of state.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A plugin.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Plugin {
    /// Its name, as it says itself.
    pub name: String,
    /// Its version, as it says itself.
    pub version: String,
    /// The digest of the component.
    pub sha256: String,
}

/// Whether a checkpoint is whole.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Its number, or the name of a savepoint.
    pub name: String,
    /// What is wrong with it; nothing: it is whole.
    pub problems: Vec<String>,
}

impl Listed {
    /// Of what was found under a name; nothing if it has gone meanwhile.
    pub fn of((name, found): (String, Result<Option<Manifest>>)) -> Option<Self> {
        match found {
            Ok(manifest) => {
                manifest.map(|manifest| Self { name, checkpoint: Some(Summary::of(&manifest)), error: None })
            }
            Err(error) => Some(Self { name, checkpoint: None, error: Some(error.report()) }),
        }
    }
}

impl Verdict {
    /// Of what was found to be wrong.
    pub fn of(name: String, problems: &[Error]) -> Self {
        Self { name, problems: problems.iter().map(Error::report).collect() }
    }
}

impl Summary {
    /// Of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let kind = match manifest.kind {
            Kind::Begin => "begin of a run",
            Kind::Periodic => "periodic",
            Kind::Stop => "stop",
            Kind::End => "end of the input",
            Kind::Restore => "restored",
        };
        Self {
            number: manifest.number,
            at: manifest.at.clone(),
            kind: kind.to_owned(),
            run: manifest.run,
            state_bytes: manifest.steps.values().flat_map(|step| &step.runs).map(Run::bytes).sum(),
            splits: manifest.sources.values().map(|source| source.splits.len()).sum(),
        }
    }
}

impl Checkpoint {
    /// Of a manifest.
    pub fn of(manifest: Manifest) -> Self {
        let checkpoint = Summary::of(&manifest);
        let Manifest { job, wasmill, workers, sources, steps, plugins, .. } = manifest;
        let sources = sources.into_iter().map(|(name, source)| {
            let split = source.splits.into_iter().map(|(split, mark)| {
                let position = mark.position.map(|position| position.to_string());
                (split, Split { position, watermark: mark.watermark.map(iso8601), done: mark.done })
            });
            (name, split.collect())
        });
        let steps = steps.into_iter().map(|(name, step)| {
            let entries = step.runs.iter().flat_map(|run| &run.segments).map(|segment| segment.entries).sum();
            let bytes = step.runs.iter().map(Run::bytes).sum();
            let (shape, watermark) = (step.shape, step.watermark.map(iso8601));
            (name, Step { shape, watermark, state_version: step.state_version, entries, bytes })
        });
        let plugins = plugins
            .into_iter()
            .map(|(step, mark)| (step, Plugin { name: mark.name, version: mark.version, sha256: mark.sha256 }));
        let (sources, steps, plugins) = (sources.collect(), steps.collect(), plugins.collect());
        Self { checkpoint, job, wasmill, workers, sources, steps, plugins }
    }
}
