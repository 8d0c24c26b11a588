//! What a job goes on from: the newest manifest, held against the job as it is now, and the states that it names.

use super::journal::Journal;
use super::{runs, undo};
use crate::candidate::PAIRED;
use crate::graph::{Graph, Node, NodeKind};
use crate::plan::{LATENESS, Plan, PlanKind, PlanNode, process_shape, window_shape};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wasmill_stream::checkpoint::{
    ANY_GROUP, Change, Changes, Kind, Manifest, SinkMark, SplitMark, StepMark, Withdrawn,
};
use wasmill_stream::key::{self, KEY_GROUPS};
use wasmill_stream::sink::Withdrawal;
use wasmill_stream::source::Resume;
use wasmill_stream::{Error, ErrorKind, Result};

/// What a job goes on from.
#[derive(Default)]
pub struct Resumed {
    /// Sources by node.
    pub sources: HashMap<usize, Resume>,
    /// States by node.
    pub steps: HashMap<usize, StepState>,
    /// What sinks have prepared, by node.
    pub sinks: HashMap<usize, SinkMark>,
    /// What sinks have to take back, by node.
    pub withdrawals: HashMap<usize, Withdrawal>,
    /// Plugins that are not those of the checkpoint any more, for people.
    pub changed: Vec<String>,
}

/// The state of a step, of all workers.
#[derive(Clone)]
pub struct StepState {
    /// How far event time had come.
    pub watermark: i64,
    /// What kind of state it is.
    pub shape: String,
    /// The version of the state, with [`PAIRED`] if it is that of two versions of the plugin.
    pub version: u32,
    /// Logs of entries, the oldest first.
    pub logs: Arc<Vec<Bytes>>,
}

impl StepState {
    /// The entries of the keys that a worker owns, the oldest first.
    pub fn owned_by(
        &self,
        worker: usize,
        workers: usize,
        mut take: impl FnMut(&Change<'_>) -> Result<()>,
    ) -> Result<()> {
        for log in self.logs.iter() {
            for change in Changes::read(log) {
                let change = change?;
                if change.group == ANY_GROUP || key::worker(change.group.into(), workers) == worker {
                    take(&change)?;
                }
            }
        }
        Ok(())
    }
}

impl Resumed {
    /// The marks of a source's splits.
    pub fn splits(&self, source: usize) -> BTreeMap<String, SplitMark> {
        self.sources.get(&source).map(|resume| resume.splits.clone()).unwrap_or_default()
    }

    /// Holds a manifest against the plan and reads what it names. Everything that does not fit is an error that says so.
    pub async fn read(journal: &Journal, manifest: &Manifest, job: &str, plan: &Plan) -> Result<Self> {
        check(manifest, job, &plan.nodes.iter().map(Known::from).collect::<Vec<_>>())?;
        let withdrawals = withdrawals(journal, manifest, plan).await?;
        let mut resumed = Self { changed: changed(manifest, plan), withdrawals, ..Self::default() };
        for (index, node) in plan.nodes.iter().enumerate() {
            match &node.kind {
                PlanKind::Source { .. } => {
                    if let Some(mark) = manifest.sources.get(&*node.name) {
                        let resume = Resume { note: mark.note.clone(), splits: mark.splits.clone() };
                        resumed.sources.insert(index, resume);
                    }
                }
                PlanKind::Sink => {
                    if let Some(mark) = manifest.sinks.get(&*node.name) {
                        resumed.sinks.insert(index, mark.clone());
                    }
                }
                PlanKind::Transform { .. } => {}
                PlanKind::Aggregate { .. } | PlanKind::Process { .. } => {
                    if let Some(mark) = manifest.steps.get(&*node.name) {
                        let read = state(journal, mark).await;
                        let named = |error: Error| error.context(format!("the state of step {}", node.name));
                        match read.map_err(named) {
                            Ok(state) => drop(resumed.steps.insert(index, state)),
                            Err(error) => return Err(journal.advise(error, manifest.number).await),
                        }
                    }
                }
            }
        }
        Ok(resumed)
    }
}

/// What sinks have to take back before a job goes on from a manifest, by node.
async fn withdrawals(journal: &Journal, manifest: &Manifest, plan: &Plan) -> Result<HashMap<usize, Withdrawal>> {
    let mut withdrawals = HashMap::new();
    let Some(Withdrawn { after, until }) = manifest.withdrawal else { return Ok(withdrawals) };
    let mut later = Vec::new();
    for number in after + 1..=until {
        let gone = || {
            let message = format!("checkpoint {number} in {} is gone", journal.place());
            Error::new(ErrorKind::Corrupt, message).hint("it says what sinks have to take back")
        };
        let manifest = journal.manifest(number).await?.ok_or_else(gone)?;
        // One that repeats another may repeat the very checkpoint to go back to, which stays.
        if !manifest.kind.repeats() {
            later.push(manifest);
        }
    }
    for (index, node) in plan.nodes.iter().enumerate().filter(|(_, node)| matches!(node.kind, PlanKind::Sink)) {
        let marks = || later.iter().filter_map(|manifest| manifest.sinks.get(&*node.name));
        let prepared = marks().map(|mark| mark.prepared.clone()).filter(|prepared| !prepared.is_null()).collect();
        let mark = manifest.sinks.get(&*node.name).and_then(|mark| mark.undo.as_deref());
        let entries = undo::since(journal.store(), &node.name, mark).await?;
        withdrawals.insert(index, Withdrawal { prepared, entries });
    }
    Ok(withdrawals)
}

async fn state(journal: &Journal, mark: &StepMark) -> Result<StepState> {
    let mut logs = Vec::new();
    for segment in mark.runs.iter().flat_map(|run| &run.segments) {
        logs.push(runs::read(journal.store(), segment).await?);
    }
    let watermark = mark.watermark.unwrap_or(i64::MIN);
    let version = mark.state_version | if mark.paired { PAIRED } else { 0 };
    Ok(StepState { watermark, shape: mark.shape.clone(), version, logs: Arc::new(logs) })
}

/// What is said of each plugin that another component has taken the place of.
fn changed(manifest: &Manifest, plan: &Plan) -> Vec<String> {
    let changed = |node: &PlanNode| {
        let then = manifest.plugins.get(&*node.name)?;
        let now = match &node.trial {
            Some(trial) => trial.incumbent().plugin().identity().clone(),
            None => node.identity()?,
        };
        let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
        (then.sha256 != now.digest).then(|| {
            let (before, after) = (short(&then.sha256), short(&now.digest));
            let (name, version) = (&now.name, &now.version);
            format!("{}: {name} {version} ({after}) in place of {} {} ({before})", node.name, then.name, then.version)
        })
    };
    plan.nodes.iter().filter_map(changed).collect()
}

/// What a manifest is held against.
struct Known<'a> {
    name: &'a str,
    role: Role,
    shape: Option<String>,
    state_version: u32,
}

#[derive(PartialEq)]
enum Role {
    Source,
    Step,
    Sink,
}

impl<'a> From<&'a PlanNode> for Known<'a> {
    fn from(node: &'a PlanNode) -> Self {
        let role = match node.kind {
            PlanKind::Source { .. } => Role::Source,
            PlanKind::Sink => Role::Sink,
            _ => Role::Step,
        };
        let state_version = node.plugin().map_or(0, |plugin| plugin.state_version());
        Self { name: &node.name, role, shape: node.shape(), state_version }
    }
}

impl<'a> From<&'a Node> for Known<'a> {
    fn from(node: &'a Node) -> Self {
        let (role, shape, state_version) = match &node.kind {
            NodeKind::Source { .. } => (Role::Source, None, 0),
            NodeKind::Sink { .. } => (Role::Sink, None, 0),
            NodeKind::Transform { .. } => (Role::Step, None, 0),
            NodeKind::Aggregate { plugin, windows, allowed_lateness } => {
                (Role::Step, Some(window_shape(windows, allowed_lateness)), plugin.state_version())
            }
            NodeKind::Process { plugin, order } => (Role::Step, Some(process_shape(*order)), plugin.state_version()),
        };
        Self { name: &node.name, role, shape, state_version }
    }
}

/// Whether a graph can go on from a manifest.
pub fn fits(manifest: &Manifest, job: &str, graph: &Graph) -> Result<()> {
    check(manifest, job, &graph.nodes.iter().map(Known::from).collect::<Vec<_>>())
}

/// A kind of state without what may change from run to run.
fn essence(shape: &str) -> &str {
    shape.split_once(LATENESS).map_or(shape, |(essence, _)| essence)
}

/// Whether the job of the manifest can go on as this one.
fn check(manifest: &Manifest, job: &str, nodes: &[Known<'_>]) -> Result<()> {
    let refuse = |message: String| {
        let number = manifest.number;
        let help = "put it back as it was, or start without the checkpoint: `wasmill run --fresh`";
        Err(Error::invalid(format!("checkpoint {number} does not fit this job: {message}")).hint(help))
    };
    if manifest.job != job {
        return refuse(format!("it belongs to the job \"{}\", and this one is \"{job}\"", manifest.job));
    }
    if manifest.key_groups != KEY_GROUPS {
        return refuse(format!("it has {} key groups instead of {KEY_GROUPS}", manifest.key_groups));
    }
    let find = |name: &str| nodes.iter().find(|node| node.name == name);
    for (name, mark) in &manifest.steps {
        let Some(node) = find(name) else {
            return refuse(format!("step {name}, which has a state there, is gone"));
        };
        match &node.shape {
            Some(shape) if essence(shape) == essence(&mark.shape) => {}
            Some(shape) => return refuse(format!("step {name} was \"{}\" there and is \"{shape}\" now", mark.shape)),
            None => return refuse(format!("{name} was a step with state there and is none now")),
        }
        if !manifest.plugins.contains_key(name) {
            return refuse(format!("it does not say which plugin made the state of step {name}"));
        }
        let version = node.state_version;
        if version < mark.state_version {
            let was = manifest.plugins.get(name).map(|mark| format!(", of {} {}", mark.name, mark.version));
            return refuse(format!(
                "the state of step {name} has version {}{}, and its plugin now knows only up to {version}",
                mark.state_version,
                was.unwrap_or_default()
            ));
        }
    }
    for name in manifest.sources.keys() {
        if !find(name).is_some_and(|node| node.role == Role::Source) {
            return refuse(format!("source {name} is gone"));
        }
    }
    // The last manifest of a run that has ended by itself, or because it was asked to, names nothing that is not committed.
    let is_settled = matches!(manifest.kind, Kind::Stop | Kind::End);
    for (name, _) in manifest.sinks.iter().filter(|(_, mark)| !mark.prepared.is_null() && !is_settled) {
        if !find(name).is_some_and(|node| node.role == Role::Sink) {
            return refuse(format!("sink {name}, which has prepared rows there that are not committed, is gone"));
        }
    }
    Ok(())
}
