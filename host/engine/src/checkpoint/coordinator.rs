//! Asks for barriers, gathers the parts of a checkpoint, publishes it, and has the sinks commit.

mod commit;
mod gathering;
mod standing;

pub use commit::Commit;
pub use standing::Standing;

use super::Checkpoints;
use super::counted::Counted;
use super::journal::{self, Fence, Journal};
use super::part::{Content, FINAL, Origin, Part};
use super::points::Points;
use super::resume::Resumed;
use super::runs::StateWriter;
use super::settled::Settled;
use super::status::{Published, ResumedFrom, Status};
use super::undo;
use crate::candidate::PAIRED;
use crate::epoch::EpochClock;
use crate::plan::{Plan, PlanNode};
use crate::stall;
use crate::swap::{PluginsAt, Revisions, Runs};
use crate::verdict::Verdict;
use gathering::{Gathering, Roster};
use standing::watch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;
use wasmill_stream::checkpoint::{
    Changes, Created, Kind, Manifest, PluginMark, SinkMark, SourceMark, StepMark, Withdrawn,
};
use wasmill_stream::key::KEY_GROUPS;
use wasmill_stream::plugin::Identity;
use wasmill_stream::source::{Ends, SourceNote};
use wasmill_stream::{Result, SplitId};

/// The least time between two checkpoints of which the second is only there because a source waits for it: a child of a
/// shard does not begin before the end of its parents is in a checkpoint.
const HASTE: Duration = Duration::from_secs(1);

/// Coordinates the checkpoints of one run.
pub struct Coordinator {
    settings: Checkpoints,
    journal: Journal,
    fence: Fence,
    /// The job as it began.
    plan: Arc<Plan>,
    /// The plugins behind the last barrier.
    plugins: PluginsAt,
    clock: Arc<EpochClock>,
    verdict: Arc<Verdict>,
    status: Status,
    workers: usize,
    /// What the next manifest says of sources and steps, as far as it is known.
    sources: BTreeMap<String, SourceMark>,
    steps: BTreeMap<String, StepMark>,
    /// How often the state of each node was rewritten before the last barrier.
    rewrites: BTreeMap<usize, u64>,
    /// Who hands over parts.
    roster: Roster,
    /// The barrier that is under way.
    gathering: Option<Gathering>,
    /// Sinks that have ended and committed: their last part is what they said after that.
    ended: BTreeSet<usize>,
    /// Sinks for which the first manifest holds something that they make visible when they are opened.
    opened: Vec<String>,
    /// To which checkpoints the job can be rewound.
    points: Points,
    /// What sinks take back when they are opened.
    withdrawal: Option<Withdrawn>,
    /// Whether there shall be another checkpoint even if nothing comes: a sink or a source waits for it.
    is_wanted: bool,
    /// The editions of the sources' notes that the last one holds, by node.
    noted: BTreeMap<usize, u64>,
    /// What the last one says of what the job file names.
    declared: BTreeMap<String, String>,
}

/// What a coordinator is connected to while the job runs.
pub struct Connections {
    /// Parts of the operators.
    pub parts: UnboundedReceiver<Part>,
    /// The writers of the sinks, by node.
    pub sinks: HashMap<usize, UnboundedSender<Commit>>,
    /// What the sources note, by node.
    pub notes: HashMap<usize, SourceNote>,
    /// Which ends of splits are settled: those that a published checkpoint holds.
    pub ends: Ends,
    /// Whether another run may read on, once all sources have ended.
    pub unfinished: Arc<AtomicBool>,
    /// Who wants a checkpoint to which the job can be rewound, and is told its number.
    pub rewind_points: UnboundedReceiver<oneshot::Sender<u64>>,
}

/// What has changed in the state of a node, on all workers.
#[derive(Default)]
struct NodeChanges {
    logs: Vec<Changes>,
    /// The lowest.
    watermark: Option<i64>,
    version: u32,
    rewrites: u64,
}

impl Coordinator {
    /// Finds what the job goes on from, and begins a run: from here on no earlier run can publish.
    pub async fn begin(
        settings: Checkpoints,
        revisions: &Revisions,
        clock: Arc<EpochClock>,
        verdict: Arc<Verdict>,
        workers: usize,
    ) -> Result<(Self, Resumed)> {
        let failures = Arc::<AtomicU64>::default();
        let journal = Journal::new(Arc::new(Counted::new(settings.store.clone(), failures.clone())));
        let plan = revisions.newest().plan.clone();
        loop {
            // Whoever begins anew need not read what is there: it may be what is damaged.
            let mut newest = if settings.fresh { None } else { journal.newest().await? };
            if let Some(newest) = &mut newest {
                Settled::mark(journal.store(), newest).await?;
            }
            let last = newest.as_ref();
            let resumed = match last {
                None => Ok(Resumed::default()),
                Some(last) => Resumed::read(&journal, last, &settings.job, &plan).await,
            };
            let resumed = match resumed {
                Ok(resumed) => resumed,
                // What another run has removed while it was read is not damaged.
                Err(_) if journal.newest().await?.map(|now| now.number) != newest.as_ref().map(|then| then.number) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let fence = if settings.fresh { journal.fence().await? } else { Fence::after(last) };
            let mut coordinator = Self {
                journal: journal.clone(),
                roster: Roster::new(&plan, workers),
                sources: last.map(|last| last.sources.clone()).unwrap_or_default(),
                steps: last.map(|last| last.steps.clone()).unwrap_or_default(),
                settings: settings.clone(),
                fence,
                plan: plan.clone(),
                plugins: PluginsAt::new(revisions),
                clock: clock.clone(),
                verdict: verdict.clone(),
                status: Status::new(
                    last.map(|last| ResumedFrom {
                        number: last.number,
                        at: last.at.clone(),
                        changed: resumed.changed.clone(),
                    }),
                    stall::patience(Some(&settings)),
                    failures.clone(),
                ),
                workers,
                rewrites: BTreeMap::new(),
                gathering: None,
                ended: BTreeSet::new(),
                opened: Vec::new(),
                points: Points::new(settings.rewind, last.map(|last| last.points.clone()).unwrap_or_default()),
                withdrawal: last.and_then(|last| last.withdrawal),
                is_wanted: false,
                noted: BTreeMap::new(),
                declared: BTreeMap::new(),
            };
            let mut sinks = last.map(|last| last.sinks.clone()).unwrap_or_default();
            // What those had prepared that are gone is committed, or the job would not have been let through.
            sinks.retain(|name, _| plan.nodes.iter().any(|node| *node.name == **name));
            let opened = sinks.iter().filter(|(_, mark)| !mark.prepared.is_null() && !mark.committed);
            coordinator.opened = opened.map(|(name, _)| name.clone()).collect();
            let manifest = coordinator.manifest(Kind::Begin, coordinator.fence.number, sinks, false);
            if journal.begin(&manifest).await? == Created::New {
                return Ok((coordinator, resumed));
            }
        }
    }

    /// The number of this run.
    pub fn run_number(&self) -> u64 {
        self.fence.run
    }

    /// What is known of the checkpoints of this run.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Whether sinks have to keep undo logs. Shared with them.
    pub fn undo_is_wanted(&self) -> Arc<AtomicBool> {
        self.points.undo_is_wanted().clone()
    }

    /// Whether this run still is the job's.
    pub fn standing(&self) -> Standing {
        Standing { journal: self.journal.clone(), fence: self.fence.clone(), status: self.status.clone() }
    }

    /// Runs, once all sinks are open, until the job has ended and its last checkpoint is committed, or until it has failed.
    /// Tells which.
    pub async fn run(mut self, mut connections: Connections) -> Result<bool> {
        let watch = tokio::spawn(watch(self.standing(), self.clock.clone(), self.verdict.clone()).in_current_span());
        self.withdrawal = None;
        let opened = std::mem::take(&mut self.opened);
        Settled::new(&self.fence).add(opened, self.journal.store()).await;
        let ended = self.gather(&mut connections).await;
        watch.abort();
        ended
    }

    async fn gather(&mut self, connections: &mut Connections) -> Result<bool> {
        // The first one comes at once: a source that has noted where "latest" was reads nothing before that is kept.
        let mut due = Instant::now();
        let mut hurried = due;
        loop {
            if let Some(gathering) = self.gathering.take_if(|gathering| self.roster.is_complete(gathering)) {
                self.publish(Kind::Periodic, gathering, connections).await?;
                due = Instant::now();
                hurried = due + HASTE.min(self.settings.interval);
                if !self.points.are_asked_for() {
                    due += self.settings.interval;
                }
            }
            if self.gathering.is_none() && self.roster.has_ended() {
                let unfinished = connections.unfinished.load(Relaxed);
                let kind = if unfinished { Kind::Stop } else { Kind::End };
                return self.publish(kind, Gathering::new(FINAL, Vec::new()), connections).await.map(|()| true);
            }
            let missing = |gathering: &Gathering| (gathering.begun, self.roster.missing(gathering, &self.plan));
            self.status.waits_for(self.gathering.as_ref().map(missing));
            tokio::select! {
                part = connections.parts.recv() => match part {
                    Some(part) => self.roster.take(part, self.gathering.as_mut()),
                    // The workers have gone without ending: the job has failed.
                    None => return Ok(false),
                },
                // One part will never come, and the other sinks would wait for the last checkpoint.
                () = self.verdict.sink_closed() => return Ok(false),
                Some(waiting) = connections.rewind_points.recv() => {
                    self.points.ask(waiting);
                    due = Instant::now();
                }
                () = connections.ends.awaited(), if self.gathering.is_none() && due > hurried => {
                    (due, self.is_wanted) = (hurried, true);
                }
                () = sleep_until(due), if self.gathering.is_none() => {
                    if self.has_news(connections) {
                        self.is_wanted = false;
                        let (wanted, barrier) = (self.points.served(), self.clock.request_barrier());
                        self.gathering = Some(Gathering::new(barrier, wanted));
                    } else {
                        self.status.is_up_to_date();
                        due = Instant::now() + self.settings.interval;
                    }
                }
            }
        }
    }

    /// Whether a checkpoint now would say anything that the last one does not.
    fn has_news(&self, connections: &Connections) -> bool {
        self.clock.has_news()
            || self.is_wanted
            || self.points.are_asked_for()
            || self.settings.declared.all() != self.declared
            || connections.notes.iter().any(|(node, note)| self.noted.get(node) != Some(&note.edition().1))
    }

    async fn publish(&mut self, kind: Kind, mut gathering: Gathering, connections: &Connections) -> Result<()> {
        self.status.waits_for(Some((gathering.begun, format!("the store {}", self.journal.place()))));
        let number = self.fence.number + 1;
        let mut changes: BTreeMap<usize, NodeChanges> = BTreeMap::new();
        let (mut sinks, mut commits, mut longest) = (BTreeMap::new(), Vec::new(), Duration::ZERO);
        for from in self.roster.members() {
            let name = self.plan.nodes[from.node].name.to_string();
            self.roster.with_part(&mut gathering, &from, |part| match part {
                Content::Splits(splits) => {
                    self.sources.entry(name).or_default().splits.append(splits);
                }
                Content::State(state) => {
                    longest = longest.max(std::mem::take(&mut state.pause));
                    let (of_node, watermark) = (changes.entry(from.node).or_default(), state.watermark);
                    of_node.watermark = Some(of_node.watermark.map_or(watermark, |lowest| lowest.min(watermark)));
                    (of_node.version, of_node.rewrites) = (state.version, state.rewrites);
                    of_node.logs.push(std::mem::take(&mut state.changes));
                }
                Content::Prepared(mark, wants_another) => {
                    sinks.insert(name, mark.clone());
                    self.is_wanted |= *wants_another;
                    // Whoever has ended commits as soon as a manifest names its last part: the others may go on for ever.
                    if !self.ended.contains(&from.node) {
                        commits.push(from.node);
                    }
                }
            });
        }
        let mut editions = Vec::new();
        for (source, note) in &connections.notes {
            let (value, edition) = note.edition();
            self.noted.insert(*source, edition);
            self.sources.entry(self.plan.nodes[*source].name.to_string()).or_default().note = value;
            editions.push((note, edition));
        }
        self.plugins.pass(gathering.barrier);
        let written = self.store_states(number, changes).await?;
        // Whoever has lost patience has let a version in meanwhile.
        let is_point = gathering.wanted.iter().any(|waiting| !waiting.is_closed());
        let manifest = self.manifest(kind, number, sinks, is_point);
        self.journal.publish(&manifest).await?;
        self.fence.number = number;
        editions.into_iter().for_each(|(note, edition)| note.kept(edition));
        connections.ends.settle_awaited(|split| self.end_of(split));
        // From now on the outputs belong to their readers, who may move them: the next run must not look for them.
        let mut sinks = manifest.sinks;
        for (node, prepared) in self.commit(commits, &sinks, connections).await? {
            let name = self.plan.nodes[node].name.to_string();
            let undo = sinks.get(&name).and_then(|mark| mark.undo.clone());
            let mark = SinkMark { prepared, committed: false, undo };
            sinks.insert(name, mark.clone());
            self.roster.end(Origin { node, worker: 0 }, Content::Prepared(mark, false));
            self.ended.insert(node);
        }
        if gathering.barrier == FINAL {
            let manifest = self.manifest(kind, number + 1, sinks, false);
            self.journal.publish(&manifest).await?;
            self.fence.number = number + 1;
        }
        for waiting in gathering.wanted.drain(..) {
            // Whoever has wanted one may have lost patience just now.
            let _ = waiting.send(number);
        }
        self.status.published(Published { number, took: gathering.begun.elapsed(), pause: longest, written });
        tracing::debug!(number, ?kind, written, took = ?gathering.begun.elapsed(), "checkpoint");
        if let Err(error) = self.prune().await {
            tracing::warn!("remove old checkpoints: {}", error.report());
        }
        Ok(())
    }

    /// The watermark with which a split has ended, if the manifest just published says that it has.
    fn end_of(&self, split: &SplitId) -> Option<Option<i64>> {
        self.sources.iter().find_map(|(source, mark)| {
            let part = split.as_str().strip_prefix(source.as_str())?.strip_prefix('/')?;
            mark.splits.get(part).filter(|split| split.done).map(|split| split.watermark)
        })
    }

    async fn prune(&mut self) -> Result<()> {
        if self.points.have_gone() {
            let oldest = match self.points.oldest() {
                Some(number) => self.journal.manifest(number).await?,
                None => None,
            };
            undo::forget(self.journal.store(), oldest.as_ref(), self.fence.run).await?;
        }
        self.journal.prune(self.settings.retain).await.map(drop)
    }

    async fn store_states(&mut self, number: u64, changes: BTreeMap<usize, NodeChanges>) -> Result<u64> {
        let mut writer = StateWriter::new(self.journal.store(), &self.fence, number);
        for (index, NodeChanges { logs, watermark, version, rewrites }) in changes {
            let node = &self.plan.nodes[index];
            let Some(shape) = node.shape() else { continue };
            let (version, paired) = (version & !PAIRED, version & PAIRED != 0);
            let fresh =
                StepMark { shape: shape.clone(), state_version: version, paired, watermark: None, runs: Vec::new() };
            let mark = self.steps.entry(node.name.to_string()).or_insert(fresh);
            // A trial that began and ended since the last barrier has rewritten it, too, and left it with the same version.
            let is_rewritten = self.rewrites.insert(index, rewrites).unwrap_or_default() != rewrites;
            if is_rewritten || (&mark.shape, mark.state_version, mark.paired) != (&shape, version, paired) {
                (mark.shape, mark.state_version, mark.paired) = (shape, version, paired);
                // A state is rewritten as a whole, so what was stored of it is replaced as a whole.
                mark.runs.clear();
            }
            let watermark = watermark.unwrap_or(i64::MIN);
            writer.add(&mut mark.runs, logs, watermark).await?;
            mark.watermark = (watermark != i64::MIN).then_some(watermark);
        }
        Ok(writer.written)
    }

    fn manifest(&mut self, kind: Kind, number: u64, sinks: BTreeMap<String, SinkMark>, is_point: bool) -> Manifest {
        self.declared = self.settings.declared.all();
        let plugin = |(node, runs): (&PlanNode, &Option<Runs>)| {
            let runs = runs.as_ref()?;
            let identity = runs.version.plugin().identity().clone();
            let successor = runs.successor().map(|version| version.plugin().identity().clone());
            let declared = self.declared.get(&*node.name).cloned().filter(|declared| *declared != identity.digest);
            let Identity { name, version, digest: sha256 } = identity;
            let mark = PluginMark { name, version, sha256, declared, successor };
            Some((node.name.to_string(), mark))
        };
        Manifest {
            number,
            run: self.fence.run,
            kind,
            at: journal::now(),
            wasmill: env!("CARGO_PKG_VERSION").to_owned(),
            writer: self.fence.writer.clone(),
            job: self.settings.job.clone(),
            definition: self.settings.definition.clone(),
            key_groups: KEY_GROUPS,
            workers: self.workers,
            sources: self.sources.clone(),
            steps: self.steps.clone(),
            plugins: self.plan.nodes.iter().zip(self.plugins.running()).filter_map(plugin).collect(),
            sinks,
            points: self.points.of_manifest(number, is_point),
            withdrawal: self.withdrawal,
        }
    }
}
