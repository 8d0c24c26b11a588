//! The `kinesis` source: every shard of a stream, polled with GetRecords or subscribed to, through splits and merges, with the
//! user records that producers have packed into one.
//!
//! The children of a shard are announced before the shard is done and read once the ends of all their parents are settled,
//! from their first record. So every checkpoint either holds the end of a shard or goes on in it, and never has a child's
//! record without its parents' last; and no child's record gets anywhere before those of its parents with the same key.

mod aggregate;
mod chunks;
mod clock;
mod failure;
mod fan_out;
mod lineage;
mod loss;
mod note;
mod pace;
pub mod pack;
mod page;
mod plan;
pub mod producer;
mod pushed;
mod settings;
mod shard;
pub mod sink;
mod stream;

pub use settings::check;

use crate::retry::{Backoff, Patience};
use async_trait::async_trait;
use fan_out::Consumer;
use lineage::Lineage;
use note::{Note, Notebook};
use plan::{Known, Plan};
use settings::Settings;
use shard::{Ended, Ending, ShardReader, Shared};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stream::{Description, Place, Shard, Stream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;
use wasmill_stream::source::{Intake, Source, SplitSender};
use wasmill_stream::{Error, ErrorKind, Result, SplitId};

/// How many pages (of up to 10 MB) may be on their way before the job has taken them in.
const PAGES: usize = 8;

/// How long to wait for children that the list does not have yet. All lists of an account share a limit.
const LISTS: Patience = Patience { first: Duration::from_secs(1), longest: Duration::from_secs(30), total: None };

/// How long a new consumer may take to become active.
const ACTIVATION: Duration = Duration::from_secs(60);

struct Kinesis {
    name: String,
    settings: Arc<Settings>,
}

#[async_trait]
impl Source for Kinesis {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let intake = Arc::new(intake);
        let read = async {
            let mut reading = Reading::begin(*self, intake.clone()).await?;
            reading.run().await
        };
        let result = tokio::select! {
            result = read => result,
            () = intake.stopped() => return Ok(()),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
            result => result,
        }
    }
}

/// A stream that is being read.
struct Reading {
    name: String,
    shared: Arc<Shared>,
    intake: Arc<Intake>,
    lineage: Lineage<(SplitSender, Place)>,
    /// The last watermarks of shards that have ended in this run, for their children.
    watermarks: BTreeMap<String, Option<i64>>,
    tasks: JoinSet<Result<News>>,
    next_list: Instant,
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
    async fn begin(source: Kinesis, intake: Arc<Intake>) -> Result<Self> {
        let Kinesis { name, settings } = source;
        let stream = Stream::connect(&settings).await?;
        let (description, plan) = look(&stream, &settings, &intake).await?;
        let Plan { open, gone, gaps, note } = plan;
        let finished = note.finished.clone();
        let pins_start = note.start.is_some() && Note::of(intake.resume())?.is_none();
        let notebook = Notebook::new(intake.clone(), note);
        let pages = Semaphore::new(PAGES);
        let (consumer, refusal) = match find_consumer(&stream, &description, &settings).await {
            Ok(consumer) => (consumer, None),
            // Polling is slower and not wrong.
            Err(refusal) => (None, Some(format!("fan-out: polling, because {}", refusal.report()))),
        };
        refusal.iter().for_each(|refusal| tracing::warn!("{stream}: {refusal}"));
        let shared = Arc::new(Shared { stream, description, consumer, refusal, settings, pages, notebook });
        gaps.into_iter().try_for_each(|gap| shared.judge(gap))?;
        tracing::info!(shards = open.len(), finished = finished.len(), "reading {}", shared.stream);
        let ids = gone.iter().chain(open.iter().map(|(shard, _)| &shard.id));
        let mut senders = intake.open(ids.map(|id| SplitId::new(&name, id)).collect()).await?.into_iter();
        for sender in senders.by_ref().take(gone.len()) {
            sender.done().await?;
        }
        // What is gone was announced too: a list that still has it must not announce it again.
        let mut lineage = Lineage::new(finished.into_iter().chain(gone).collect());
        for ((shard, place), sender) in open.into_iter().zip(senders) {
            sender.remark(shared.refusal.clone());
            lineage.announce(shard, (sender, place));
        }
        if pins_start {
            // Another start would find another "latest": what lies between is read only if this one is not forgotten.
            intake.note_kept().await?;
        }
        Ok(Self {
            name,
            shared,
            intake,
            lineage,
            watermarks: BTreeMap::new(),
            tasks: JoinSet::new(),
            next_list: Instant::now(),
        })
    }

    /// Reads until all shards have ended, which they do only if the job asked for no more than the tip.
    async fn run(&mut self) -> Result<()> {
        self.start_ready();
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
        match self.lineage.waiting().next() {
            None => Ok(()),
            Some(shard) => {
                let what = format!("{}: {shard} waits for parents that wait for it", self.shared.stream);
                Err(Error::new(ErrorKind::Corrupt, what))
            }
        }
    }

    /// One task per shard that waits for no parent.
    fn start_ready(&mut self) {
        for (shard, (sender, place)) in self.lineage.take_ready() {
            let inherited = self.inherited(&shard.parents);
            let Shard { id, hashes, .. } = shard;
            let reader = ShardReader { shared: self.shared.clone(), shard: id, hashes, sender };
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
            None => self.intake.resume_split(parent).and_then(|mark| mark.watermark),
        };
        parents.iter().map(of_parent).min().flatten()
    }

    /// A shard is read: announces its children, then says that it is done, then has them begin once that is settled.
    async fn end(&mut self, ended: Ended) -> Result<()> {
        let Ended { shard, sender, arrived, ending } = ended;
        match ending {
            Ending::Closed(children) => self.announce_children(&shard, children.unwrap_or_default()).await?,
            // What it was split or merged into has been listed for as long as it was closed.
            Ending::Gone(listed) => self.announce(listed).await?,
            Ending::AtTip => {}
        }
        // Before any checkpoint says that it is done.
        self.shared.notebook.ended(&shard, arrived, self.lineage.children(&shard));
        sender.done().await?;
        if self.lineage.children(&shard).next().is_none() {
            self.lineage.ended(&shard);
            return Ok(());
        }
        // It takes as long as a checkpoint, or longer: what becomes of other shards does not wait for it.
        let (intake, split) = (self.intake.clone(), SplitId::new(&self.name, &shard));
        self.tasks
            .spawn(async move { intake.settled(&split).await.map(|watermark| News::Settled { shard, watermark }) });
        Ok(())
    }

    /// Makes sure that all children of a closed shard are announced.
    async fn announce_children(&mut self, shard: &str, told: Vec<Shard>) -> Result<()> {
        let orphans = told.iter().any(|child| !child.parents.iter().all(|parent| self.lineage.knows(parent)));
        if !told.is_empty() && !orphans {
            return self.announce(told).await;
        }
        if told.is_empty() && self.lineage.knows_children(shard) {
            return Ok(());
        }
        // Older servers do not name the children. And a merge may have a parent that has appeared since the start, whose
        // own parents are known only from the list.
        let mut backoff = Backoff::new(LISTS);
        loop {
            let error = match self.list().await {
                Ok(shards) => {
                    self.announce(shards).await?;
                    if self.lineage.knows_children(shard) {
                        return Ok(());
                    }
                    Error::unavailable(format!("{}: {shard} has ended, but has no children yet", self.shared.stream))
                }
                Err(error) => error,
            };
            backoff.wait(error).await?;
        }
    }

    /// All shards, asked for no more often than a shard at its tip is.
    async fn list(&mut self) -> Result<Vec<Shard>> {
        sleep_until(self.next_list).await;
        self.next_list = Instant::now() + self.shared.settings.poll_interval;
        self.shared.stream.shards().await
    }

    /// Announces those of these shards that are not known. They are read from their first record, whatever `start` says:
    /// that is about the shards that were there at the start.
    async fn announce(&mut self, mut shards: Vec<Shard>) -> Result<()> {
        shards.retain(|shard| !self.lineage.knows(&shard.id));
        let ids = shards.iter().map(|shard| SplitId::new(&self.name, &shard.id)).collect();
        let senders = self.intake.open_more(ids).await?;
        for (shard, sender) in shards.into_iter().zip(senders) {
            tracing::info!(shard = shard.id, "{}: a new shard", self.shared.stream);
            sender.remark(self.shared.refusal.clone());
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

/// The consumer that the settings ask for, if they do.
async fn find_consumer(stream: &Stream, of: &Description, settings: &Settings) -> Result<Option<Consumer>> {
    let Some(name) = &settings.fan_out else { return Ok(None) };
    let mut backoff = Backoff::new(settings.patience);
    let mut activation = Backoff::new(Patience { total: Some(ACTIVATION), ..Patience::START });
    loop {
        match stream.consumer(&of.identity.arn, name).await {
            Ok(Some(consumer)) => return Ok(Some(consumer)),
            Ok(None) => {
                let not_active = format!("{stream}: the consumer {name} is not active");
                activation.wait(Error::unavailable(not_active)).await?;
            }
            Err(error) => backoff.wait(error).await?,
        }
    }
}

/// Looks at the stream and decides what to do.
async fn look(stream: &Stream, settings: &Settings, intake: &Intake) -> Result<(Description, Plan)> {
    let mut backoff = Backoff::new(settings.patience);
    let description = loop {
        match stream.describe().await {
            Ok(description) => break description,
            Err(error) => backoff.wait(error).await?,
        }
    };
    // Before the list is asked for: a shard that appears later must not count as one that was there.
    let now = stream.now();
    let known = Known { settings, description: &description, resume: intake.resume(), now };
    let note = known.note().map_err(|error| error.context(stream))?;
    let shards = loop {
        match stream.shards().await {
            Ok(shards) if !shards.is_empty() => break shards,
            Ok(_) => backoff.wait(Error::unavailable(format!("{stream} has no shards yet"))).await?,
            Err(error) => backoff.wait(error).await?,
        }
    };
    let plan = known.plan(shards, note).map_err(|error| error.context(stream))?;
    Ok((description, plan))
}
