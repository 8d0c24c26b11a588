//! Puts records into a stream, in order per partition key, until each of them is confirmed. The sink of jobs and
//! `wasmill replay` write through it.
//!
//! Of a lane (a partition key, or a shard when records are packed) one record is on its way at a time; what was refused
//! goes again before what came after it. A request whose answer is lost is sent again, so records may come twice. What was
//! packed for a shard that has been split in between is sent again where it came to the wrong one: readers leave it out
//! there.

mod answers;
mod budget;
mod lanes;
mod request;
mod routes;
mod target;

pub use super::connection::{ConnectionSettings, StreamName};
pub use lanes::Outgoing;

use crate::outage::Ask;
use crate::retry::{Backoff, Patience};
use budget::Budgets;
use lanes::{Lane, Lanes};
use request::{Parcel, Sent};
use routes::Routes;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wasmill_stream::{Error, Result};

/// PutRecords takes no larger record, with its partition key.
pub const RECORD_BYTES: usize = 1 << 20;
/// Characters of a partition key.
pub const KEY_CHARS: usize = 256;
/// A packed record is not made larger, as by the library whose format it has.
const PACKED_BYTES: usize = 50 << 10;
/// As soon as so many records wait, a request is worth its while.
const WORTH_IT: usize = request::RECORDS;

/// What a producer has done so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Records that are in the stream; user records, if they were packed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records of Kinesis that were tried again.
    pub retries: u64,
    /// Of these, for a shard that was written too fast.
    pub throttled: u64,
}

/// Puts records into one stream.
pub struct Producer {
    target: Arc<Target>,
    packs: bool,
    routes: Routes,
    /// Whether the routes have to be found anew, once nothing is on its way.
    is_stale: bool,
    lanes: Lanes,
    /// Records that came since it was looked at what can be sent.
    unseen: usize,
    budgets: Budgets,
    sending: JoinSet<Sent>,
    /// The list of shards that was asked for. Whoever waits for it may give up again and again.
    listing: JoinSet<Result<Routes>>,
    /// When to ask for the next one.
    list_at: Instant,
    /// How many records of `push` are on their way.
    out: usize,
    /// How many requests may be on their way: more with each success, half of it with each throttle.
    window: f64,
    backoff: Backoff,
    /// Why nothing was taken since something was.
    failure: Option<String>,
    pause_until: Instant,
    /// Packed records that came to this shard and not to the one they were meant for.
    misplaced: Vec<(String, Parcel)>,
    confirmed: Vec<i64>,
    tally: Tally,
}

impl Producer {
    /// Connects, and finds the shards. With `packs`, user records are packed into few records of Kinesis.
    pub async fn connect(settings: &ConnectionSettings, packs: bool) -> Result<Self> {
        let target = Target::connect(settings).await?;
        let mut backoff = Backoff::new(settings.patience);
        let routes = loop {
            match target.routes().await {
                Ok(routes) => break routes,
                Err(error) => backoff.wait(error).await?,
            }
        };
        Ok(Self {
            target: Arc::new(target),
            packs,
            routes,
            is_stale: false,
            lanes: Lanes::default(),
            unseen: 0,
            budgets: Budgets::default(),
            sending: JoinSet::new(),
            listing: JoinSet::new(),
            list_at: Instant::now(),
            out: 0,
            window: 1.0,
            backoff: Backoff::new(Patience::ENDLESS),
            failure: None,
            pause_until: Instant::now(),
            misplaced: Vec::new(),
            confirmed: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Takes a record, which is no larger than [`RECORD_BYTES`], and sends what is worth a request. Returns how many have to go
    /// one after the other now, this one the last.
    pub fn push(&mut self, record: Outgoing) -> usize {
        let lane = self.lane(&record);
        let ahead = self.lanes.push(lane, record);
        self.unseen += 1;
        // Most of what waits may have to wait for others: it is not looked at for each record that comes.
        if self.unseen >= WORTH_IT && (self.sending.len() as f64) < self.window {
            self.send(Instant::now());
        }
        if self.packs { 1 } else { ahead }
    }

    /// How many records were taken and are not confirmed.
    pub fn waiting(&self) -> usize {
        self.lanes.waiting() + self.out
    }

    /// Why nothing was taken since something was, if nothing was.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Forgets all that was taken and is not confirmed. What is on its way may arrive all the same.
    pub fn abandon(&mut self) {
        self.sending = JoinSet::new();
        self.misplaced.clear();
        self.lanes = Lanes::default();
        self.out = 0;
        self.failure = None;
    }

    /// Asks for something small: whether the service is there.
    pub fn ask(&self) -> Ask {
        let target = self.target.clone();
        Box::new(move || {
            let target = target.clone();
            Box::pin(async move { target.routes().await.map(drop) })
        })
    }

    fn pause(&mut self, error: Error) -> Result<Duration> {
        self.failure = Some(error.report());
        self.backoff.pause(error)
    }

    fn works(&mut self) {
        self.failure = None;
        self.backoff.succeeded();
    }

    /// What it has done.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The first hash keys of all shards that can be written to, by a list that is made now.
    pub async fn starting_hashes(&mut self) -> Result<Vec<u128>> {
        let routes = self.target.routes().await?;
        // The lanes go by the routes that they were made for.
        self.is_stale |= routes.open() != self.routes.open();
        Ok(routes.open().iter().map(|route| *route.hashes.start()).collect())
    }

    /// Sends until something is confirmed, and returns the tokens of it; nothing if nothing waits. Giving up the future
    /// loses nothing.
    pub async fn confirm(&mut self) -> Result<Vec<i64>> {
        while self.confirmed.is_empty() && self.waiting() > 0 {
            if self.is_stale && self.sending.is_empty() {
                let listed = self.listed().await?;
                self.find_routes(listed)?;
                continue;
            }
            let due = self.send(Instant::now());
            tokio::select! {
                // `None` if nothing is on its way, which then waits for a time.
                Some(sent) = self.sending.join_next() => {
                    let panicked = |error| Error::internal(format!("{}: a request ended", self.target)).with_source(error);
                    self.settle(sent.map_err(panicked)?)?;
                }
                () = sleep_until(due) => {}
            }
        }
        Ok(std::mem::take(&mut self.confirmed))
    }

    fn lane(&self, record: &Outgoing) -> Lane {
        match self.routes.home(record.home()).filter(|_| self.packs) {
            Some(route) => Lane::Shard(*route.hashes.start()),
            None => Lane::Key(record.key.clone()),
        }
    }

    /// Sends what may be sent. Returns when to look again, if nothing happens before.
    fn send(&mut self, now: Instant) -> Instant {
        self.unseen = 0;
        let later = now + Duration::from_secs(60);
        if self.is_stale {
            return later;
        }
        if now < self.pause_until {
            return self.pause_until;
        }
        let mut due = later;
        while (self.sending.len() as f64) < self.window {
            let (parcels, opens) = self.collect(now);
            due = opens.unwrap_or(later);
            if parcels.is_empty() {
                break;
            }
            self.out += parcels.iter().map(|parcel| parcel.records.len()).sum::<usize>();
            let target = self.target.clone();
            self.sending.spawn(request::send(target, parcels));
        }
        due
    }

    /// The parcels of a request, and when a shard opens for which there would have been more.
    fn collect(&mut self, now: Instant) -> (Vec<Parcel>, Option<Instant>) {
        let mut request = request::Request::default();
        let (mut skipped, mut opens) = (Vec::new(), None::<Instant>);
        let mut ready = self.lanes.take_ready();
        while let Some(lane) = ready.pop_front() {
            let first = self.lanes.first(&lane);
            let Some(route) = first.and_then(|first| self.routes.home(first.home())) else { continue };
            let shard = *route.hashes.start();
            let open = self.budgets.opens(shard, now);
            if open > now {
                opens = Some(opens.map_or(open, |before| before.min(open)));
                skipped.push(lane);
                continue;
            }
            let meant_for = route.shard.clone();
            let records = self.take(&lane);
            let parcel = Parcel { lane, shard, meant_for, records };
            if let Err(Parcel { lane, records, .. }) = request.add(parcel) {
                self.lanes.give_back(lane, records);
                break;
            }
            self.budgets.spend(shard, request.last_bytes(), now);
        }
        self.lanes.not_now(skipped.into_iter().chain(ready));
        (request.into_parcels(), opens)
    }

    /// The next records of a lane that go together.
    fn take(&mut self, lane: &Lane) -> Vec<Outgoing> {
        let (packs, mut bytes, mut count) = (self.packs, 0, 0);
        self.lanes.take(lane, |record| {
            bytes += request::packed_size(record);
            count += 1;
            count == 1 || packs && bytes <= PACKED_BYTES
        })
    }
}

/// Whether a text can be a partition key.
pub fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= KEY_CHARS
}
