//! A stream that is being read: one task for each shard, children behind their parents.

use super::connection::Shard;
use super::lineage::Lineage;
use super::note::{Note, Notebook};
use super::plan::Plan;
use super::settings::Settings;
use super::shard::{Ended, Ending, ShardReader, Shared};
use super::stream::{Place, Stream};
use super::succession::{Lost, look};
use crate::retry::{Backoff, Patience};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;
use wasmill_stream::source::{Intake, SplitSender};
use wasmill_stream::{Error, ErrorKind, Result, SplitId};

/// How long to wait for children that the list does not have yet. All lists of an account share a limit.
const LISTS: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(30), total: None };

/// A stream that is being read.
pub struct Reading {
    pub(super) name: String,
    pub(super) shared: Arc<Shared>,
    pub(super) intake: Arc<Intake>,
    pub(super) lineage: Lineage<(SplitSender, Place)>,
    /// The last watermarks of shards that have ended in this run, for their children.
    pub(super) watermarks: BTreeMap<String, Option<i64>>,
    /// Shards whose stream is gone.
    pub(super) lost: Vec<Lost>,
    tasks: JoinSet<Result<News>>,
    next_list: Instant,
    /// Whether the stream was described just now.
    pub(super) is_described: bool,
}

/// What has become of a shard.
enum News {
    /// It is not read any more.
    Ended(Ended),
    /// It is done, and its children may begin.
    Settled {
        shard: String,
        /// Its last watermark.
        watermark: Option<i64>,
    },
}

impl Reading {
    /// Connects, finds out what to read, and opens it.
    pub async fn begin(name: String, settings: Arc<Settings>, intake: Arc<Intake>) -> Result<Self> {
        let stream = Arc::new(Stream::connect(&settings.connection, intake.wants_arrivals()).await?);
        let (description, plan) = look(&stream, &settings, intake.resume(), |_| ()).await?;
        let Plan { open, gone, gaps, note } = plan;
        let (finished, pins_start) = (note.finished.clone(), note.start.is_some());
        let notebook = Arc::new(Notebook::new(intake.clone(), note));
        let shared = Arc::new(Shared::begin(stream, description, settings, notebook).await);
        gaps.into_iter().try_for_each(|gap| shared.judge(gap))?;
        tracing::info!(shards = open.len(), finished = finished.len(), "reading {}", shared.stream);
        let gone_ids = gone.iter().map(|id| SplitId::new(&name, shared.notebook.part(id)));
        let ids = gone_ids.chain(open.iter().map(|(shard, _)| shared.notebook.split(&name, shard))).collect();
        let mut senders = intake.open(ids).await?.into_iter();
        for sender in senders.by_ref().take(gone.len()) {
            sender.done().await?;
        }
        // What is gone was announced too: a list that still has it must not announce it again.
        let mut lineage = Lineage::new(finished.into_iter().chain(gone).collect());
        for ((shard, place), sender) in open.into_iter().zip(senders) {
            sender.remark(shared.refusal());
            lineage.announce(shard, (sender, place));
        }
        if pins_start && Note::of(intake.resume())?.is_none() {
            // Another start would find another "latest": what lies between is read only if this one is not forgotten.
            intake.note_kept().await?;
        }
        Ok(Self {
            name,
            shared,
            intake,
            lineage,
            watermarks: BTreeMap::new(),
            lost: Vec::new(),
            tasks: JoinSet::new(),
            next_list: Instant::now(),
            is_described: true,
        })
    }

    /// Reads until all shards have ended, which they do only if the job asked for no more than the tip.
    pub async fn run(&mut self) -> Result<()> {
        loop {
            self.start_ready();
            self.read().await?;
            if self.lost.is_empty() {
                break;
            }
            self.go_over().await?;
        }
        match self.lineage.waiting().next() {
            None => Ok(()),
            Some(shard) => {
                let what = format!("{}: {shard} waits for parents that wait for it", self.shared.stream);
                Err(Error::new(ErrorKind::Corrupt, what))
            }
        }
    }

    /// Reads as long as a shard is read.
    async fn read(&mut self) -> Result<()> {
        while let Some(joined) = self.tasks.join_next().await {
            let stream = &self.shared.stream;
            let panicked = |error| Error::internal(format!("{stream}: a reader ended")).with_source(error);
            match joined.map_err(panicked)? {
                Ok(News::Ended(ended)) => self.end(ended).await?,
                Ok(News::Settled { shard, watermark }) => {
                    self.lineage.ended(&shard);
                    self.watermarks.insert(shard, watermark);
                    self.start_ready();
                }
                Err(error) => return Err(self.explain(error).await),
            }
        }
        Ok(())
    }

    /// One task per shard that waits for no parent.
    fn start_ready(&mut self) {
        let is_described = std::mem::take(&mut self.is_described);
        for (shard, (sender, place)) in self.lineage.take_ready() {
            let inherited = self.inherited(&shard.parents);
            let Shard { id, hashes, .. } = shard;
            let reader = ShardReader { shared: self.shared.clone(), shard: id, hashes, sender, is_described };
            let reading = async move {
                if let Some(watermark) = inherited {
                    reader.sender.inherit(watermark).await?;
                }
                reader.run(place).await.map(News::Ended)
            };
            self.tasks.spawn(reading.in_current_span());
        }
    }

    /// The watermark that a shard has of its parents: the lowest, if all have one.
    fn inherited(&self, parents: &[String]) -> Option<i64> {
        let of_parent = |parent: &String| match self.watermarks.get(parent) {
            Some(watermark) => *watermark,
            None => self.intake.resume_split(&self.shared.notebook.part(parent)).and_then(|mark| mark.watermark),
        };
        parents.iter().map(of_parent).min().flatten()
    }

    /// A shard is read: announces its children, then says that it is done, then has them begin once that is settled.
    async fn end(&mut self, ended: Ended) -> Result<()> {
        let Ended { shard, sender, after, arrived, ending } = ended;
        let is_lost = match ending {
            Ending::Closed(children) => !self.announce_children(&shard, children.unwrap_or_default()).await?,
            // What it was split or merged into has been listed for as long as it was closed.
            Ending::Gone(listed) => self.announce(listed).await.map(|()| false)?,
            Ending::Lost => true,
            Ending::AtTip => false,
        };
        if is_lost {
            self.lost.push(Lost { shard, sender, after, arrived });
            return Ok(());
        }
        // Before any checkpoint says that it is done.
        self.shared.notebook.ended(&shard, arrived, self.lineage.children(&shard));
        sender.done().await?;
        if self.lineage.children(&shard).next().is_none() {
            self.lineage.ended(&shard);
            return Ok(());
        }
        // It takes as long as a checkpoint, or longer: what becomes of other shards does not wait for it.
        let (intake, split) = (self.intake.clone(), SplitId::new(&self.name, self.shared.notebook.part(&shard)));
        self.tasks
            .spawn(async move { intake.settled(&split).await.map(|watermark| News::Settled { shard, watermark }) });
        Ok(())
    }

    /// Makes sure that all children of a closed shard are announced. They cannot be if the stream is gone, and what they had
    /// with it: `false`.
    async fn announce_children(&mut self, shard: &str, told: Vec<Shard>) -> Result<bool> {
        let orphans = told.iter().any(|child| !child.parents.iter().all(|parent| self.lineage.knows(parent)));
        if !told.is_empty() && !orphans {
            return self.announce(told).await.map(|()| true);
        }
        if told.is_empty() && self.lineage.knows_children(shard) {
            return Ok(true);
        }
        // Older servers do not name the children. And a merge may have a parent that has appeared since the start, whose
        // own parents are known only from the list.
        let mut backoff = Backoff::new(LISTS);
        loop {
            let error = match self.list().await {
                Ok(shards) => {
                    self.announce(shards).await?;
                    if self.lineage.knows_children(shard) {
                        return Ok(true);
                    }
                    Error::unavailable(format!("{}: {shard} has ended, but has no children yet", self.shared.stream))
                }
                Err(error) => match self.shared.is_lost(&error).await {
                    Ok(true) => return Ok(false),
                    Ok(false) => error,
                    Err(doubt) => doubt,
                },
            };
            backoff.wait(error).await?;
        }
    }

    /// All shards, asked for no more often than a shard at its tip is.
    async fn list(&mut self) -> Result<Vec<Shard>> {
        sleep_until(self.next_list).await;
        self.next_list = Instant::now() + self.shared.settings.poll_interval;
        // The shards of another stream of the same name may have the same ids.
        self.shared.stream.describe_again(&self.shared.description.identity).await?;
        self.shared.stream.shards().await
    }

    /// Announces those of these shards that are not known. They are read from their first record, whatever `start` says:
    /// that is about the shards that were there at the start.
    async fn announce(&mut self, mut shards: Vec<Shard>) -> Result<()> {
        shards.retain(|shard| !self.lineage.knows(&shard.id));
        let ids = shards.iter().map(|shard| self.shared.notebook.split(&self.name, shard)).collect();
        let senders = self.intake.open_more(ids).await?;
        for (shard, sender) in shards.into_iter().zip(senders) {
            tracing::info!(shard = shard.id, "{}: a new shard", self.shared.stream);
            sender.remark(self.shared.refusal());
            self.lineage.announce(shard, (sender, Place::Oldest));
        }
        Ok(())
    }

    /// The reason why a stream cannot be read any more, if it is gone or another one by now.
    async fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Invalid {
            return error;
        }
        let Shared { stream, description, .. } = &*self.shared;
        match stream.describe_again(&description.identity).await {
            Err(other) if other.kind() == ErrorKind::Invalid => other,
            _ => error,
        }
    }
}
