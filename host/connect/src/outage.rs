//! What a sink knows of an outage of its other side: since when it has taken nothing, and whether rows still wait for it. A sink
//! whose rows do not wait any longer turns them away at once, and asks now and then whether the outage is over.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::OnOutage;
use wasmill_stream::{Error, ErrorKind, Result};

/// How often it is asked whether the outage is over.
const ASKS: Duration = Duration::from_secs(5);
/// From so long on, an outage is told of.
const WORTH_TELLING: Duration = Duration::from_secs(5);

/// Asks the other side for something small. Any answer will do.
pub type Ask = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// The outages of one sink.
pub struct Outage {
    policy: OnOutage,
    ask: Ask,
    ledger: Arc<StepLedger>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outage").field("policy", &self.policy).field("state", &*self.state()).finish_non_exhaustive()
    }
}

/// Pure: the time is passed in.
#[derive(Debug, Default)]
struct State {
    /// When it failed first since it has taken something.
    since: Option<Instant>,
    /// How it failed last.
    reason: String,
    /// When it was asked last whether it is over.
    asked: Option<Instant>,
    /// It has answered: the next request shows whether it takes something, too.
    answered: bool,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Send it.
    Send,
    /// Turn it away.
    Away,
    /// The same, and ask.
    AwayAndAsk,
}

impl Outage {
    /// None so far.
    pub fn new(policy: OnOutage, ledger: Arc<StepLedger>, ask: Ask) -> Arc<Self> {
        Arc::new(Self { policy, ask, ledger, state: Mutex::default() })
    }

    /// Whether a request need not be tried: why its rows are given up.
    pub fn turns_away(self: &Arc<Self>) -> Option<String> {
        self.turns_away_at(Instant::now())
    }

    fn turns_away_at(self: &Arc<Self>, now: Instant) -> Option<String> {
        let OnOutage::DeadLetter { after } = self.policy else { return None };
        let (turn, reason) = {
            let mut state = self.state();
            (state.turn(now, after), state.reason.clone())
        };
        if turn == Turn::AwayAndAsk {
            let outage = self.clone();
            tokio::spawn(async move {
                if let Ok(Ok(())) = tokio::time::timeout(ASKS, (outage.ask)()).await {
                    outage.state().answered = true;
                }
            });
        }
        (turn != Turn::Send).then(|| given_up(&reason))
    }

    /// The other side did not take a request. Tells why its rows are given up, if they are; else they are to be tried again.
    pub fn failed(&self, error: &Error) -> Option<String> {
        // Anything else is no outage, and ends the job.
        if error.kind() != ErrorKind::Unavailable {
            return None;
        }
        self.failed_at(Instant::now(), error.report())
    }

    fn failed_at(&self, now: Instant, reason: String) -> Option<String> {
        let (gives_up, remark) = {
            let mut state = self.state();
            state.failed(now, reason.clone());
            let lasts = state.lasts(now);
            let after = match self.policy {
                OnOutage::Wait => None,
                OnOutage::DeadLetter { after } => Some(after),
            };
            let gives_up = after.is_some_and(|after| lasts >= after);
            let what = if gives_up { "rows become dead letters" } else { "rows wait" };
            (gives_up, (lasts >= WORTH_TELLING).then(|| format!("takes nothing, {what}: {reason}")))
        };
        if remark.is_some() {
            self.ledger.remark(&self.ledger.name, remark);
        }
        gives_up.then(|| given_up(&reason))
    }

    /// The other side has taken something.
    pub fn is_over(&self) {
        if std::mem::take(&mut *self.state()).since.is_some() {
            self.ledger.remark(&self.ledger.name, None);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn failed(&mut self, now: Instant, reason: String) {
        self.since.get_or_insert(now);
        self.reason = reason;
        self.answered = false;
    }

    fn lasts(&self, now: Instant) -> Duration {
        self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }

    fn turn(&mut self, now: Instant, after: Duration) -> Turn {
        if self.since.is_none() || self.lasts(now) < after {
            return Turn::Send;
        }
        // One of them shows it.
        if std::mem::take(&mut self.answered) {
            return Turn::Send;
        }
        match self.asked {
            Some(asked) if now.saturating_duration_since(asked) < ASKS => Turn::Away,
            _ => {
                self.asked = Some(now);
                Turn::AwayAndAsk
            }
        }
    }
}

fn given_up(reason: &str) -> String {
    format!("given up in an outage of the sink: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(60);

    /// Requests are tried for as long as rows wait, then turned away; it is asked now and then; when there is an answer one
    /// request is tried, and if that fails they are turned away again, without another wait.
    #[test]
    fn rows_wait_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::default();
        assert_eq!(state.turn(at(0), AFTER), Turn::Send);
        state.failed(at(1), "gone".to_owned());
        assert_eq!(state.turn(at(60), AFTER), Turn::Send);
        state.failed(at(60), "gone".to_owned());
        assert_eq!(state.turn(at(61), AFTER), Turn::AwayAndAsk);
        assert_eq!(state.turn(at(62), AFTER), Turn::Away);
        assert_eq!(state.turn(at(66), AFTER), Turn::AwayAndAsk);
        state.answered = true;
        assert_eq!(state.turn(at(67), AFTER), Turn::Send);
        assert_eq!(state.turn(at(67), AFTER), Turn::Away, "one shows it");
        state.failed(at(68), "full".to_owned());
        assert_eq!(state.turn(at(69), AFTER), Turn::Away);
        assert_eq!(state.lasts(at(70)), Duration::from_secs(69));
    }

    fn outage(policy: OnOutage) -> (Arc<Outage>, Arc<StepLedger>) {
        let ledger = Arc::new(StepLedger::new("out"));
        (Outage::new(policy, ledger.clone(), Box::new(|| Box::pin(async { Ok(()) }))), ledger)
    }

    /// What was taken ends it, however long it was, and the next one is another.
    #[tokio::test]
    async fn an_outage_ends() {
        let (outage, ledger) = outage(OnOutage::DeadLetter { after: AFTER });
        let start = Instant::now();
        let fails = |at| outage.failed_at(at, "nobody is there".to_owned());
        assert_eq!(fails(start), None);
        assert!(ledger.remarks().is_empty());
        let reason = fails(start + AFTER).expect("long enough");
        assert!(reason.contains("nobody is there"), "{reason}");
        assert!(ledger.remarks()["out"].contains("dead letters"));
        assert!(outage.turns_away_at(start + AFTER).is_some());
        while outage.turns_away_at(start + AFTER).is_some() {
            // The question is under way.
            tokio::task::yield_now().await;
        }
        outage.is_over();
        assert!(ledger.remarks().is_empty());
        assert_eq!((outage.turns_away_at(start + AFTER), fails(start + AFTER)), (None, None));
    }

    /// Where rows wait, they wait for ever.
    #[test]
    fn rows_that_wait() {
        let (outage, ledger) = outage(OnOutage::Wait);
        let start = Instant::now();
        for at in [start, start + AFTER * 1_000] {
            assert_eq!((outage.failed_at(at, "gone".to_owned()), outage.turns_away_at(at)), (None, None));
        }
        assert!(ledger.remarks()["out"].contains("rows wait"));
    }
}
