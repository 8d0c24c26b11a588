//! The `kinesis` source: every shard of a stream, polled with GetRecords. Shards that appear while it runs are announced
//! but not read; enhanced fan-out and de-aggregation are not here.

mod failure;
mod settings;
mod shard;
mod stream;

pub use settings::check;

use crate::retry::Backoff;
use async_trait::async_trait;
use settings::{Settings, Start};
use shard::{Ending, ShardReader};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use stream::{Shard, Stream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use wasmill_stream::source::{Intake, Source, SplitSender};
use wasmill_stream::{Error, ErrorKind, Result, SplitId};

/// How many pages (of up to 10 MB) may be on their way before the job has taken them in.
const PAGES: usize = 8;

struct Kinesis {
    name: String,
    settings: Arc<Settings>,
}

#[async_trait]
impl Source for Kinesis {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let opened = tokio::select! {
            opened = open(&self.settings) => opened?,
            () = intake.stopped() => return Ok(()),
        };
        let (stream, shards) = opened;
        let splits = shards.iter().map(|shard| SplitId::new(&self.name, &shard.id)).collect();
        let senders = intake.open(splits).await?;
        let mut reading =
            Reading { known: shards.iter().map(|shard| shard.id.clone()).collect(), ..Reading::default() };
        let mut tasks = start(&stream, &self.settings, shards, senders);
        while let Some(ended) = tasks.join_next().await {
            let panicked = |error| Error::new(ErrorKind::Corrupt, format!("{stream}: read a shard")).with_source(error);
            match ended.map_err(panicked)? {
                Ok(ending) => reading.note(&stream, ending).await,
                Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        reading.finish(&stream)
    }
}

/// Connects and lists the shards to read.
async fn open(settings: &Settings) -> Result<(Arc<Stream>, Vec<Shard>)> {
    let stream = Arc::new(Stream::connect(settings).await?);
    let mut backoff = Backoff::new(settings.patience);
    let mut shards = loop {
        match stream.shards().await {
            Ok(shards) if !shards.is_empty() => break shards,
            Ok(_) => backoff.wait(Error::unavailable(format!("{stream} has no shards yet"))).await?,
            Err(error) => backoff.wait(error).await?,
        }
    };
    if settings.start == Start::Latest {
        shards.retain(|shard| !shard.closed);
    }
    tracing::info!(shards = shards.len(), "reading {stream}");
    Ok((stream, shards))
}

/// One task per shard. A child waits for its parents, so that the records of a key stay in order.
fn start(
    stream: &Arc<Stream>,
    settings: &Arc<Settings>,
    shards: Vec<Shard>,
    senders: Vec<SplitSender>,
) -> JoinSet<Result<Ending>> {
    let pages = Arc::new(Semaphore::new(PAGES));
    let ends: Vec<_> = shards.iter().map(|_| watch::Sender::new(false)).collect();
    let watches: HashMap<_, _> =
        shards.iter().zip(&ends).map(|(shard, end)| (shard.id.clone(), end.subscribe())).collect();
    let mut tasks = JoinSet::new();
    for ((shard, sender), end) in shards.into_iter().zip(senders).zip(ends) {
        let parents = shard.parents.iter().filter_map(|parent| watches.get(parent).cloned()).collect();
        let (stream, settings, pages) = (stream.clone(), settings.clone(), pages.clone());
        let reader = ShardReader { stream, settings, pages, shard: shard.id, sender };
        tasks.spawn(reader.run(parents, end));
    }
    tasks
}

/// What is known about the stream's shards while they are read.
#[derive(Default)]
struct Reading {
    known: BTreeSet<String>,
    unread: BTreeSet<String>,
}

impl Reading {
    /// A shard has ended: looks for children that nobody reads.
    async fn note(&mut self, stream: &Stream, ending: Ending) {
        let children = match ending {
            Ending::AtTip => return,
            Ending::Closed { children: Some(children), .. } => children,
            // Older servers do not name the children.
            Ending::Closed { shard, children: None } => match stream.shards().await {
                Ok(shards) => shards.into_iter().filter(|s| s.parents.contains(&shard)).map(|s| s.id).collect(),
                Err(error) => {
                    tracing::warn!("{stream}: cannot look for children of {shard}: {}", error.report());
                    return;
                }
            },
        };
        for child in children {
            if !self.known.contains(&child) && self.unread.insert(child.clone()) {
                tracing::warn!("{stream}: {child} is new since the start; it is read only after a restart of the job");
            }
        }
    }

    /// All shards have ended. Ending well with records unread would look like a complete answer.
    fn finish(self, stream: &Stream) -> Result<()> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let unread = Vec::from_iter(self.unread).join(", ");
        Err(Error::invalid(format!("{stream} was resharded while it was read: start the job again to read {unread}")))
    }
}
