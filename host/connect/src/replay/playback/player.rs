//! A playback under way: events wait for their time, are sent, and are counted when they have arrived.

use super::acknowledged::Acknowledged;
use super::event::Event;
use super::reader::Block;
use super::tally::{self, Snapshot, Tally};
use super::{AdaptTime, MarkerSettings, Playback, wall_clock};
use crate::producer::{Outgoing, Producer};
use crate::replay::markers;
use crate::replay::pace::Pace;
use crate::retry::{Backoff, Patience};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc::Receiver, watch};
use tokio::time::{Instant, sleep_until};
use wasmill_stream::Result;
use wasmill_stream::field::FieldSpec;

/// So many events may wait to be confirmed.
const WAITING: usize = 20_000;
/// So many bytes of events that were read and not confirmed.
const WAITING_BYTES: u64 = 32 << 20;
/// How often what is shown changes.
const SHOWN: Duration = Duration::from_millis(200);
/// What the producer tells of a marker that has arrived: it is no event.
const NO_EVENT: i64 = i64::MIN;

/// When markers are due.
struct Marking {
    settings: MarkerSettings,
    next: Instant,
    /// Events since the last one.
    events: u64,
}

impl Marking {
    fn new(settings: MarkerSettings) -> Self {
        Self { next: Instant::now() + settings.interval.duration(), settings, events: 0 }
    }
}

/// A playback under way.
pub struct Player {
    producer: Producer,
    /// What was read.
    pub blocks: Receiver<Block>,
    /// Events that were read and not sent.
    waiting: VecDeque<Event>,
    is_at_end: bool,
    pace: Option<Pace>,
    /// When the next event may be sent, by the pause between two.
    next_due: Instant,
    delay: Duration,
    acknowledged: Acknowledged,
    marking: Option<Marking>,
    /// When it began, by the wall clock.
    invoked: i64,
    adapt: AdaptTime,
    /// What is added to the event times of this pass.
    shift: Option<i64>,
    stamp: Option<String>,
    time: Option<FieldSpec>,
    /// What it has done.
    pub tally: Tally,
    taken: Arc<AtomicU64>,
    /// Bytes of events that were sent since nothing waited.
    sent_bytes: u64,
    started: Instant,
}

impl Player {
    /// A playback that has not begun. `taken` counts what is read of so many `bytes` of input.
    pub fn new(
        playback: Playback,
        producer: Producer,
        blocks: Receiver<Block>,
        taken: Arc<AtomicU64>,
        bytes: u64,
    ) -> Self {
        Self {
            producer,
            blocks,
            waiting: VecDeque::new(),
            is_at_end: false,
            pace: playback.speedup.map(Pace::new),
            next_due: Instant::now(),
            delay: playback.delay,
            acknowledged: Acknowledged::new(playback.markers.as_ref().map_or(0, |markers| markers.disorder.millis())),
            marking: playback.markers.map(Marking::new),
            invoked: wall_clock(),
            adapt: playback.adapt_time,
            shift: None,
            stamp: playback.add_timestamp,
            time: playback.time,
            tally: Tally { bytes, ..Tally::default() },
            taken,
            sent_bytes: 0,
            started: Instant::now(),
        }
    }

    /// Plays to the end of the input.
    pub async fn run(&mut self, shown: &watch::Sender<Snapshot>) -> Result<()> {
        let mut show = tokio::time::interval(SHOWN);
        loop {
            let due = self.due();
            let now = Instant::now();
            if self
                .marking
                .as_ref()
                .is_some_and(|marking| marking.next <= now || marking.settings.events <= marking.events)
            {
                self.mark().await;
            }
            if self.is_at_end && self.waiting.is_empty() {
                return Ok(());
            }
            let has_room = self.producer.waiting() < WAITING && self.sent_bytes < WAITING_BYTES;
            if due <= now && has_room && self.send(now) {
                continue;
            }
            let next_marker = self.marking.as_ref().map_or(now + Duration::from_secs(60), |marking| marking.next);
            tokio::select! {
                confirmed = self.producer.confirm(), if self.producer.waiting() > 0 => self.confirmed(&confirmed?),
                block = self.blocks.recv(), if self.waiting.is_empty() && !self.is_at_end => self.take(block),
                () = sleep_until(due), if !self.waiting.is_empty() && due > now => {}
                () = sleep_until(next_marker) => {}
                _ = show.tick() => {}
            }
            self.show(shown);
        }
    }

    /// When the next event is due.
    fn due(&mut self) -> Instant {
        let Some(event) = self.waiting.front() else { return self.next_due };
        let by_time = match (&mut self.pace, event.clock) {
            (Some(pace), Some(time)) => pace.instant(time),
            _ => self.next_due,
        };
        by_time.max(self.next_due)
    }

    /// A block of events, or the end.
    fn take(&mut self, block: Option<Block>) {
        let Some(block) = block else {
            self.is_at_end = true;
            return;
        };
        if block.begins_pass {
            self.tally.passes += 1;
            self.shift = None;
            self.pace = self.pace.take().map(|pace| pace.anew());
        }
        self.tally.read += block.events.len() as u64;
        self.tally.bad += block.bad;
        let room = tally::EXAMPLES.saturating_sub(self.tally.examples.len());
        self.tally.examples.extend(block.examples.into_iter().take(room));
        self.waiting.extend(block.events);
    }

    /// Sends events that are due; `false`: there is none.
    fn send(&mut self, now: Instant) -> bool {
        let Some(event) = self.waiting.pop_front() else { return false };
        self.next_due = now + self.delay;
        let time = event.time.map(|time| self.adapted(time));
        let data = event.data(self.time.as_ref(), time, self.adapt, self.stamp.as_deref());
        self.sent_bytes += data.len() as u64;
        if let Some(time) = time {
            self.acknowledged.sent(time);
        }
        if let Some(marking) = &mut self.marking {
            marking.events += 1;
        }
        self.tally.sent += 1;
        self.producer.push(Outgoing { key: event.key, hash: None, data, token: time.unwrap_or(NO_EVENT) });
        true
    }

    /// The event time that is sent in place of the recorded one.
    fn adapted(&mut self, time: i64) -> i64 {
        match self.adapt {
            AdaptTime::Original => time,
            AdaptTime::Ingestion => wall_clock(),
            AdaptTime::Invocation => {
                // A further pass goes on where the one before has ended.
                let base = self.acknowledged.latest().map_or(self.invoked, |latest| latest.saturating_add(1));
                time.saturating_add(*self.shift.get_or_insert(base.saturating_sub(time)))
            }
        }
    }

    fn confirmed(&mut self, tokens: &[i64]) {
        for token in tokens {
            match *token {
                NO_EVENT if self.time.is_some() => {}
                NO_EVENT => self.tally.confirmed += 1,
                time => {
                    self.acknowledged.arrived(time);
                    self.tally.confirmed += 1;
                }
            }
        }
        if self.producer.waiting() == 0 {
            self.sent_bytes = 0;
        }
    }

    /// Sends a marker to every shard, by a list of shards that is made now.
    async fn mark(&mut self) {
        let Some(marking) = &mut self.marking else { return };
        marking.next = Instant::now() + marking.settings.interval.duration();
        marking.events = 0;
        let Some(watermark) = self.acknowledged.watermark() else { return };
        if let Err(error) = self.send_markers(watermark).await {
            // The next one says the same and more.
            tracing::debug!("no marker: {}", error.report());
        }
    }

    async fn send_markers(&mut self, watermark: i64) -> Result<()> {
        for hash in self.producer.starting_hashes().await? {
            let data = markers::text(watermark).into_bytes().into();
            let key = format!("watermark {hash}").into();
            self.producer.push(Outgoing { key, hash: Some(hash), data, token: NO_EVENT });
            self.tally.markers += 1;
        }
        Ok(())
    }

    /// All that was sent has arrived: says so with a last marker.
    pub async fn last_marker(&mut self) -> Result<()> {
        let last = match self.tally.was_stopped {
            true => self.acknowledged.watermark(),
            false => self.acknowledged.latest().map(|latest| latest.saturating_add(1)),
        };
        if let (Some(watermark), true) = (last, self.marking.is_some()) {
            let mut backoff = Backoff::new(Patience::ENDLESS);
            while let Err(error) = self.send_markers(watermark).await {
                backoff.wait(error).await?;
            }
        }
        Ok(())
    }

    /// Waits until all that was sent has arrived.
    pub async fn drain(&mut self, shown: &watch::Sender<Snapshot>) -> Result<()> {
        let mut show = tokio::time::interval(SHOWN);
        while self.producer.waiting() > 0 {
            tokio::select! {
                confirmed = self.producer.confirm() => self.confirmed(&confirmed?),
                _ = show.tick() => {}
            }
            self.show(shown);
        }
        self.show(shown);
        Ok(())
    }

    fn show(&mut self, shown: &watch::Sender<Snapshot>) {
        let now = Instant::now();
        self.tally.taken = self.taken.load(Relaxed);
        self.tally.producer = self.producer.tally();
        let due = self.due();
        let lag = if self.waiting.is_empty() { Duration::ZERO } else { now.saturating_duration_since(due) };
        let buffered = self.producer.waiting();
        shown.send_replace(Snapshot { tally: self.tally.clone(), elapsed: now - self.started, lag, buffered });
    }
}
