//! What a sink's other side refuses: it goes to the sink of the dead letters, and ends the job if it is too much.

use super::calls::Calls;
use super::{Message, Room, What};
use crate::discards::wall_clock;
use crate::graph::Refusable;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::{Cause, Error, Result};

/// Fewer refused rows of a period end no job: what is a share of a handful?
const HANDFUL: u64 = 100;

/// The refusals of one sink.
pub struct Refusals {
    /// The counters of the sink, which keep its dead letters.
    pub from: Arc<StepLedger>,
    /// The sink of the dead letters. None if there is none.
    pub to: Option<DeadLetterBox>,
    watch: Watch,
}

/// The way to the sink of the dead letters.
#[derive(Clone)]
pub struct DeadLetterBox {
    /// Its counters.
    pub ledger: Arc<StepLedger>,
    /// Its queue.
    pub sender: Sender<Message>,
    /// Room there.
    pub room: Room,
    /// Who sends.
    pub from: usize,
}

impl Refusals {
    /// None so far. `from`: the counters of the sink.
    pub fn new(from: Arc<StepLedger>, to: Option<DeadLetterBox>, refusable: Refusable) -> Self {
        let watch = Watch { refusable, since: Instant::now(), then: Settled::of(&from) };
        Self { from, to, watch }
    }

    /// Hands on what was refused. Waits while the sink of the dead letters has no room.
    pub async fn hand_on(&mut self, calls: &Calls) -> Result<()> {
        if let Some(to) = &self.to {
            for batch in self.from.take_refusals(wall_clock()) {
                StepLedger::add(&to.ledger.read, batch.len());
                StepLedger::add(&to.ledger.bytes, batch.values.total_bytes());
                let place = to.room.take(batch.values.total_bytes());
                let send = async { to.send(What::Rows(Arc::new(batch), place.await)).await };
                calls.hand_on(send).await?;
            }
        }
        match self.watch.look(Instant::now(), Settled::of(&self.from)) {
            Some(excess) => Err(Error::invalid(format!("{excess}{}", self.last_reason()))),
            None => Ok(()),
        }
    }

    /// The reason that was given most often.
    fn last_reason(&self) -> String {
        let reasons = self.from.rejects().reasons;
        let most = reasons.into_iter().max_by_key(|(_, rows)| *rows);
        most.map(|(reason, rows)| format!("; {rows} times: {reason}")).unwrap_or_default()
    }
}

impl DeadLetterBox {
    /// Puts something into the queue.
    pub async fn send(&self, what: What) -> Result<()> {
        let gone = |_| Error::closed("the sink of the dead letters has ended");
        self.sender.send(Message { from: self.from, what }).await.map_err(gone)
    }
}

/// Rows whose fate is known.
#[derive(Debug, Clone, Copy, Default)]
struct Settled {
    refused: u64,
    taken: u64,
}

impl Settled {
    /// Those of an outage are nobody's fault.
    fn of(ledger: &StepLedger) -> Self {
        Self { refused: ledger.causes.of(Cause::Refused), taken: ledger.emitted.load(Relaxed) }
    }
}

/// Looks once a period whether too much of it was refused. Pure: the time is passed in.
#[derive(Debug)]
struct Watch {
    refusable: Refusable,
    since: Instant,
    then: Settled,
}

impl Watch {
    fn look(&mut self, now: Instant, settled: Settled) -> Option<String> {
        let Refusable { share, period } = self.refusable;
        if now.saturating_duration_since(self.since) < period {
            return None;
        }
        let then = std::mem::replace(&mut self.then, settled);
        self.since = now;
        let refused = settled.refused.saturating_sub(then.refused);
        let all = refused + settled.taken.saturating_sub(then.taken);
        let is_too_much = refused >= HANDFUL && refused as f64 > share * all as f64;
        is_too_much.then(|| {
            let percent = |share: f64| (share * 10_000.0).round() / 100.0;
            format!(
                "{refused} of {all} rows of the last {period:?} were refused, {} %, and refusals.share allows {} %: mend what \
                 they are refused for, or allow more",
                percent(refused as f64 / all as f64),
                percent(share)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// So much of each period, and no less than a handful; what was refused in an earlier one does not count.
    #[test]
    fn too_much_is_a_share_of_a_period() {
        let (start, period) = (Instant::now(), Duration::from_secs(60));
        let mut watch = Watch { refusable: Refusable { share: 0.01, period }, since: start, then: Settled::default() };
        let mut at =
            |seconds, refused, taken| watch.look(start + Duration::from_secs(seconds), Settled { refused, taken });
        assert_eq!(at(59, 5_000, 0), None, "not a whole period");
        assert_eq!(at(60, 100, 9_900), None, "one in a hundred");
        assert_eq!(at(120, 199, 9_900), None, "a handful");
        let excess = at(180, 300, 19_800).expect("101 of 10,001");
        assert!(excess.contains("101 of 10001 rows") && excess.contains("1.01 %"), "{excess}");
        assert_eq!(at(240, 300, 19_800), None, "nothing new");
    }
}
