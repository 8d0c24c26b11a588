//! Reads one shard: iterator, page, unpack, hand on, next page. Whatever time can cure is waited for, the rest ends the job.

use super::aggregate::Hashes;
use super::chunks::{Chunks, Part};
use super::connection::Shard;
use super::note::{Notebook, Silence};
use super::pace::{self, Empties};
use super::page::{Next, Page};
use super::pushed::Push;
use super::settings::Settings;
use super::stream::{Description, Fetched, Place, Sought, Stream};
use super::subscriber::Subscriber;
use crate::retry::{Backoff, Patience};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wasmill_stream::source::{CaughtUp, Chunk, SplitSender};
use wasmill_stream::{Error, ExtendedSequence, Result};

/// How often a shard that is silent says so in the note, which the retention of hours is compared with, and how often the
/// log hears of user records that are left out.
const REPEAT: Duration = Duration::from_secs(60);

/// How long at least an empty page stands for the shard: reads take their time, and one may fail.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How many pages (of up to 10 MB) may be on their way before the job has taken them in.
const PAGES: usize = 8;

/// What the readers of all shards share.
pub struct Shared {
    /// The stream.
    pub stream: Arc<Stream>,
    /// What it was when reading began.
    pub description: Description,
    /// Whether it is gone.
    pub(super) is_lost: AtomicBool,
    /// Who subscribes to shards; `None`: they are polled.
    pub subscriber: Option<Subscriber>,
    /// The source's settings.
    pub settings: Arc<Settings>,
    /// Bounds the pages that the job has not taken in yet.
    pub pages: Semaphore,
    /// The note for the next run.
    pub notebook: Arc<Notebook>,
}

impl Shared {
    /// What the readers of a stream need that was described just now.
    pub async fn begin(
        stream: Arc<Stream>,
        description: Description,
        settings: Arc<Settings>,
        notebook: Arc<Notebook>,
    ) -> Self {
        let subscriber = Subscriber::begin(&stream, &description.identity.arn, &settings).await;
        let (is_lost, pages) = (AtomicBool::new(false), Semaphore::new(PAGES));
        Self { stream, description, is_lost, subscriber, settings, pages, notebook }
    }

    /// Why shards are polled although the settings ask for a consumer.
    pub fn refusal(&self) -> Option<String> {
        self.subscriber.as_ref()?.refusal()
    }
}

/// A shard to read.
pub struct ShardReader {
    /// What it shares with others.
    pub shared: Arc<Shared>,
    /// The shard's id.
    pub shard: String,
    /// The hashes of its keys, if the server says.
    pub hashes: Option<Hashes>,
    /// Where its records go.
    pub sender: SplitSender,
    /// Whether the stream is known to be the same as when reading began.
    pub is_described: bool,
}

/// A shard that is not read any more.
pub struct Ended {
    /// Its id.
    pub shard: String,
    /// The way of its records, which still has to be told that it is done.
    pub sender: SplitSender,
    /// The last record that was handed on.
    pub after: Option<ExtendedSequence>,
    /// When its last record arrived, by the server's clock, if it was read.
    pub arrived: Option<i64>,
    /// Why.
    pub ending: Ending,
}

/// Why a shard is not read any more.
#[derive(Debug)]
pub enum Ending {
    /// It was split or merged and is read to its end. Its children, if the server named them.
    Closed(Option<Vec<Shard>>),
    /// The stream has forgotten it. These are the shards that the stream has.
    Gone(Vec<Shard>),
    /// The stream is gone, and there may be another one of its name.
    Lost,
    /// It has caught up, and the job asked for no more.
    AtTip,
}

/// How far reading has come.
pub(super) struct Cursor {
    pub(super) place: Place,
    pub(super) iterator: Option<String>,
    /// The record with which the next page should begin: it was handed on before, or some of its user records were.
    pub(super) known: Option<ExtendedSequence>,
    /// When the last record that was read arrived, by the server's clock.
    pub(super) arrived: Option<i64>,
    /// What is read by subscription.
    pub(super) push: Push,
    /// Whether the stream is known to be the same as when reading began.
    is_described: bool,
    /// Empty pages in a row.
    empties: Empties,
    /// When the note last heard that the shard is silent.
    noted: Option<Instant>,
    /// When the log last heard that user records were left out.
    warned: Option<Instant>,
}

impl Cursor {
    fn new(place: Place, is_described: bool) -> Self {
        let (iterator, known, arrived, noted, warned) = Default::default();
        let (push, empties) = Default::default();
        Self { place, iterator, known, arrived, push, is_described, empties, noted, warned }
    }
}

/// What one read led to.
pub(super) enum Turn {
    /// There may be more at once.
    More {
        /// The size of the page.
        bytes: usize,
    },
    /// Nothing new at the moment.
    CaughtUp,
    /// The shard is closed and read.
    Closed(Option<Vec<Shard>>),
    /// The stream has forgotten the shard, and has these.
    Gone(Vec<Shard>),
}

impl ShardReader {
    /// Reads until the shard ends or the job stops. Does not say that the shard is done.
    pub async fn run(self, place: Place) -> Result<Ended> {
        let mut cursor = Cursor::new(place, self.is_described);
        let ending = tokio::select! {
            ending = self.read(&mut cursor) => ending?,
            () = self.sender.stopped() => return Err(stopped()),
        };
        let (after, arrived) = (cursor.place.position(), cursor.arrived);
        Ok(Ended { shard: self.shard, sender: self.sender, after, arrived, ending })
    }

    async fn read(&self, cursor: &mut Cursor) -> Result<Ending> {
        let settings = &self.shared.settings;
        let mut backoff = Backoff::new(Patience::ENDLESS);
        loop {
            if self.shared.is_known_to_be_lost() {
                return Ok(Ending::Lost);
            }
            let begun = Instant::now();
            let turn = self.turn(cursor).await;
            let pause = match turn {
                Ok(Turn::Closed(children)) => return Ok(Ending::Closed(children)),
                Ok(Turn::Gone(shards)) => return Ok(Ending::Gone(shards)),
                Ok(Turn::CaughtUp) if settings.until_tip => return Ok(Ending::AtTip),
                // Who is sent what comes need not look for it.
                Ok(Turn::CaughtUp | Turn::More { .. }) if cursor.push.is_subscribed() => Duration::ZERO,
                Ok(Turn::CaughtUp) => settings.pause(),
                Ok(Turn::More { bytes }) => pace::pause(settings.read_interval, bytes),
                Err(_) => settings.read_interval,
            };
            match turn {
                Ok(_) => {
                    backoff.succeeded();
                    self.sender.reads_on();
                }
                Err(error) => {
                    self.sender.held_up(&error);
                    match self.shared.is_lost(&error).await {
                        Ok(true) => return Ok(Ending::Lost),
                        Ok(false) => backoff.wait(error).await?,
                        Err(doubt) => backoff.wait(doubt).await?,
                    }
                }
            }
            tokio::time::sleep_until(begun + pause).await;
        }
    }

    /// One read. On an error the cursor stays where it was.
    async fn turn(&self, cursor: &mut Cursor) -> Result<Turn> {
        if let Some(turn) = self.pushed(cursor).await? {
            return Ok(turn);
        }
        let iterator = match &cursor.iterator {
            Some(iterator) => iterator.clone(),
            None => match self.iterator(cursor).await? {
                Sought::Iterator(iterator) => iterator,
                Sought::Unknown(error) => return Err(error),
                Sought::Gone(error) => return self.gone(error, cursor).await.map(Turn::Gone),
            },
        };
        let _page = self.shared.pages.acquire().await.map_err(|_| stopped())?;
        let asked = self.shared.stream.now();
        match self.shared.stream.fetch(&self.shard, &iterator, self.shared.settings.max_records).await? {
            Fetched::Page(page) => {
                let was_empty = page.records.sequences.is_empty();
                let turn = self.hand_on(page, asked, cursor).await?;
                if was_empty {
                    cursor.push.is_at_tip();
                }
                Ok(turn)
            }
            Fetched::Expired => {
                cursor.iterator = None;
                Ok(Turn::More { bytes: 0 })
            }
            Fetched::Gone(error) => self.gone(error, cursor).await.map(Turn::Gone),
        }
    }

    async fn iterator(&self, cursor: &mut Cursor) -> Result<Sought> {
        let mut sought = self.shared.stream.iterator(&self.shard, cursor.place).await?;
        cursor.known = cursor.place.position();
        if let (Sought::Unknown(error), Some(known)) = (&sought, cursor.known) {
            tracing::debug!("{}", error.report());
            sought = self.shared.stream.iterator(&self.shard, Place::Oldest).await?;
            if let Sought::Iterator(_) = sought {
                self.missed(known, None, cursor.arrived).await?;
                cursor.known = None;
            }
        }
        if let Sought::Iterator(iterator) = &sought {
            // A record proves which stream it is, a horizon does not.
            if cursor.place.position().is_none() && !std::mem::take(&mut cursor.is_described) {
                self.shared.stream.describe_again(&self.shared.description.identity).await?;
            }
            cursor.iterator = Some(iterator.clone());
        }
        Ok(sought)
    }

    pub(super) async fn hand_on(&self, page: Page, asked: i64, cursor: &mut Cursor) -> Result<Turn> {
        let Page { records, arrived: [first_arrived, last_arrived], next, lag, children } = page;
        lag.into_iter().for_each(|millis| self.sender.is_behind(millis));
        let (empty, first) = (records.sequences.is_empty(), records.sequences.first().copied());
        let (bytes, at_tip) = (records.values.total_bytes(), lag == Some(0));
        let mut after = None;
        if let Some(known) = cursor.known.filter(|_| !empty || at_tip || matches!(next, Next::End)) {
            if first == Some(known.sequence) {
                after = Some(known);
            } else {
                let next = first.map(|first| (first, first_arrived));
                self.missed(known, next, cursor.arrived).await?;
            }
            cursor.known = None;
        }
        cursor.arrived = last_arrived.or(cursor.arrived);
        // If not all of the page can be handed on, reading goes on behind the last part that was.
        cursor.iterator = None;
        let Settings { max_records, leave_out, .. } = *self.shared.settings;
        let chunks = Chunks::new(records, max_records as usize, self.hashes.as_ref(), after);
        let mut chunks = chunks.leaving_out(leave_out);
        for part in &mut chunks {
            let Part { values, positions, arrivals, last } = part;
            self.sender.chunk(Chunk { values, positions, arrivals }).await?;
            cursor.place = Place::At(last);
        }
        self.note_elsewhere(chunks.elsewhere(), cursor);
        match next {
            Next::Iterator(iterator) => cursor.iterator = Some(iterator),
            Next::Event => {}
            Next::End => return Ok(Turn::Closed(children)),
        }
        if !empty {
            cursor.empties.end();
            return Ok(Turn::More { bytes });
        }
        if at_tip {
            self.note_silence(asked, cursor);
        } else if cursor.known.is_some() || !cursor.empties.page(lag, Instant::now()) {
            // What was read before has not come again: there is more to come, as far as anybody knows.
            return Ok(Turn::More { bytes });
        } else if self.shared.settings.until_tip {
            tracing::warn!(shard = self.shard, ?lag, "{}: empty pages for long: taken for the tip", self.shared.stream);
        }
        let settings = &self.shared.settings;
        let again_within = match cursor.push.is_subscribed() {
            true => settings.silence,
            false => (settings.pause() * 3).max(LOOK_AGAIN),
        };
        self.sender.caught_up(CaughtUp::Looked { again_within }).await?;
        Ok(Turn::CaughtUp)
    }

    /// Behind the cursor there was nothing at this time.
    fn note_silence(&self, at: i64, cursor: &mut Cursor) {
        if cursor.noted.is_some_and(|noted| noted.elapsed() < REPEAT) {
            return;
        }
        cursor.noted = Some(Instant::now());
        self.shared.notebook.silent(&self.shard, Silence { after: cursor.place.position(), at });
    }

    /// So many user records of a page belong to other shards.
    fn note_elsewhere(&self, records: u64, cursor: &mut Cursor) {
        if records == 0 {
            return;
        }
        self.shared.notebook.elsewhere(&self.shard, records);
        if cursor.warned.is_none_or(|warned| warned.elapsed() >= REPEAT) {
            cursor.warned = Some(Instant::now());
            tracing::warn!(
                shard = self.shard,
                records,
                "{}: user records are left out, of keys that belong to other shards: producers send them there again",
                self.shared.stream
            );
        }
    }
}

pub(super) fn stopped() -> Error {
    Error::closed("the job has stopped")
}
