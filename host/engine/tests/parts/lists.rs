//! A source that plays lists of events. Records are lines `TIME KEY`, for example `1500 a`.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;
use wasmill_stream::source::{Intake, Source};
use wasmill_stream::{Binary, Error, Position, Positions, Result, SplitId};

/// A record: event time and key.
pub type Event = (i64, String);

/// Plays lists of events, one list per split, in chunks of `chunk` records.
pub struct Lists {
    pub splits: Vec<Vec<Event>>,
    pub chunk: usize,
    /// Bytes that were handed over so far.
    pub sent: Arc<AtomicUsize>,
    /// What happens after the last record.
    pub then: Then,
    /// How long to wait between chunks.
    pub pause: Duration,
    /// Where it waits with three quarters sent.
    pub late_gate: Gate,
    /// Where it waits before it says which splits it has.
    pub gate: Gate,
}

/// Lets nobody pass while it is shut. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Gate {
    pub fn shut() -> Self {
        let gate = Self::default();
        gate.set(false);
        gate
    }

    pub fn set(&self, open: bool) {
        self.0.send_replace(open);
    }

    pub async fn pass(&self) {
        self.0.subscribe().wait_for(|open| *open).await.expect("whoever waits has a sender");
    }
}

/// What a source does at its end.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    End,
    Fail,
    /// Starts over until the job stops.
    Repeat,
    /// Waits until the job stops.
    Wait,
}

impl Lists {
    pub fn new(splits: Vec<Vec<Event>>) -> Self {
        let (gate, late_gate) = Default::default();
        Self { splits, chunk: 7, sent: Arc::default(), then: Then::End, pause: Duration::ZERO, gate, late_gate }
    }
}

#[async_trait]
impl Source for Lists {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        self.gate.pass().await;
        let ids = (0..self.splits.len()).map(|at| SplitId::new("list", at)).collect();
        let mut senders = intake.open(ids).await?;
        intake.note(self.splits.len().into());
        if intake.note_kept().await.is_err() {
            return Ok(());
        }
        let next = |at: usize| match intake.resume_split(&at.to_string()).and_then(|mark| mark.position) {
            Some(Position::Number(last)) => last as usize + 1,
            _ => 0,
        };
        let mut starts: Vec<usize> = (0..self.splits.len()).map(next).collect();
        loop {
            let longest = self.splits.iter().map(Vec::len).max().unwrap_or(0);
            for sent in (0..longest).step_by(self.chunk) {
                if sent * 4 > longest * 3 {
                    senders.iter().for_each(|sender| sender.held_up(&Error::unavailable("the gate is shut")));
                    self.late_gate.pass().await;
                    senders.iter().for_each(|sender| sender.reads_on());
                }
                for ((events, sender), from) in self.splits.iter().zip(&senders).zip(&mut starts) {
                    let part = &events[(*from).min(events.len())..(*from + self.chunk).min(events.len())];
                    let lines: Binary = part.iter().map(|(time, key)| format!("{time} {key}")).collect();
                    self.sent.fetch_add(lines.total_bytes(), SeqCst);
                    sender.rows(lines, Positions::Consecutive { first: *from as u64 }).await?;
                    *from += part.len();
                }
                if !self.pause.is_zero() {
                    tokio::time::sleep(self.pause).await;
                    if intake.is_stopped() {
                        return Ok(());
                    }
                }
            }
            starts.fill(0);
            match self.then {
                Then::End => break,
                Then::Fail => return Err(Error::unavailable("the list is torn")),
                Then::Repeat if intake.is_stopped() => return Ok(()),
                Then::Repeat => {}
                Then::Wait => {
                    intake.stopped().await;
                    return Ok(());
                }
            }
        }
        for sender in senders.drain(..) {
            sender.done().await?;
        }
        Ok(())
    }
}
