//! Reads one shard: iterator, page, hand on, next page. Whatever time can cure is waited for, the rest ends the job.

use super::settings::{Settings, Start};
use super::stream::{Fetched, Page, Place, Stream};
use crate::retry::{Backoff, Patience};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use wasmill_stream::source::SplitSender;
use wasmill_stream::{Error, Positions, Result};

/// A shard to read.
pub struct ShardReader {
    /// The stream.
    pub stream: Arc<Stream>,
    /// The source's settings.
    pub settings: Arc<Settings>,
    /// Shared by all shards: bounds the pages that the job has not taken in yet.
    pub pages: Arc<Semaphore>,
    /// The shard's id.
    pub shard: String,
    /// Where its records go.
    pub sender: SplitSender,
}

/// Why a shard is not read any more.
#[derive(Debug)]
pub enum Ending {
    /// It was split or merged and is read to its end.
    Closed {
        /// Its id.
        shard: String,
        /// Its children, if the server named them.
        children: Option<Vec<String>>,
    },
    /// It has caught up, and the job asked for no more.
    AtTip,
}

/// How far reading has come.
struct Cursor {
    place: Place,
    iterator: Option<String>,
}

/// What one read led to.
enum Turn {
    /// There may be more at once.
    More,
    /// Nothing new at the moment.
    CaughtUp,
    /// The shard is closed and read.
    Closed(Option<Vec<String>>),
}

impl ShardReader {
    /// Waits for the parents, reads until the shard ends or the job stops, then says so to the children.
    pub async fn run(self, parents: Vec<watch::Receiver<bool>>, end: watch::Sender<bool>) -> Result<Ending> {
        let read = async {
            for mut parent in parents {
                parent.wait_for(|ended| *ended).await.map_err(|_| stopped())?;
            }
            self.read().await
        };
        let ending = tokio::select! {
            ending = read => ending?,
            () = self.sender.stopped() => return Err(stopped()),
        };
        self.sender.done().await?;
        end.send_replace(true);
        Ok(ending)
    }

    async fn read(&self) -> Result<Ending> {
        let mut cursor = Cursor { place: Place::Start(self.settings.start), iterator: None };
        let mut backoff = Backoff::new(Patience::ENDLESS);
        loop {
            let begun = Instant::now();
            let turn = self.turn(&mut cursor).await;
            let pause = match turn {
                Ok(Turn::Closed(children)) => return Ok(Ending::Closed { shard: self.shard.clone(), children }),
                Ok(Turn::CaughtUp) if self.settings.until_tip => return Ok(Ending::AtTip),
                Ok(Turn::CaughtUp) => self.settings.poll_interval.max(self.settings.read_interval),
                Ok(Turn::More) | Err(_) => self.settings.read_interval,
            };
            match turn {
                Ok(_) => backoff.succeeded(),
                Err(error) => backoff.wait(error).await?,
            }
            tokio::time::sleep_until(begun + pause).await;
        }
    }

    /// One read. On an error the cursor stays where it was.
    async fn turn(&self, cursor: &mut Cursor) -> Result<Turn> {
        let iterator = match &cursor.iterator {
            Some(iterator) => iterator.clone(),
            None => self.iterator(cursor).await?,
        };
        let _page = self.pages.acquire().await.map_err(|_| stopped())?;
        match self.stream.fetch(&self.shard, &iterator, self.settings.max_records).await? {
            Fetched::Page(page) => self.hand_on(page, cursor).await,
            Fetched::Expired => {
                cursor.iterator = None;
                Ok(Turn::More)
            }
        }
    }

    async fn iterator(&self, cursor: &mut Cursor) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let iterator = self.stream.iterator(&self.shard, cursor.place).await?;
        cursor.iterator = Some(iterator.clone());
        if cursor.place == Place::Start(Start::Latest) {
            // A second "latest" would skip what was written since the first.
            cursor.place = Place::Start(Start::At(now));
        }
        Ok(iterator)
    }

    async fn hand_on(&self, page: Page, cursor: &mut Cursor) -> Result<Turn> {
        let Page { values, sequences, next, at_tip, children } = page;
        let last = sequences.last().copied();
        self.sender.rows(values, Positions::Sequences(sequences)).await?;
        if let Some(last) = last {
            cursor.place = Place::After(last);
        }
        cursor.iterator = next;
        match (&cursor.iterator, last) {
            (None, _) => Ok(Turn::Closed(children)),
            (Some(_), None) if at_tip => {
                self.sender.caught_up().await?;
                Ok(Turn::CaughtUp)
            }
            _ => Ok(Turn::More),
        }
    }
}

fn stopped() -> Error {
    Error::closed("the job has stopped")
}
