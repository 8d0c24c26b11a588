//! Whether a job stands still although there is something to do, and which node holds it. Read off the ledgers over time:
//! a node has rows in its hands, or a source says that it cannot read what there may be, and nothing that it has done shows in
//! its counters for too long. A source with nothing to read, rows that wait for their time, and rows that a sink may still gather hold nothing.

use crate::checkpoint::Checkpoints;
use crate::plan::{Plan, PlanKind, PlanNode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wasmill_stream::ledger::{Counts, StepLedger};
use wasmill_stream::process::Order;
use wasmill_stream::source::HoldUps;

/// How long a node of a job without checkpoints may stand still.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many intervals it may be with them; a checkpoint may take as long.
const INTERVALS: u32 = 3;
/// How often the ledgers are looked at: so many times within the time that is allowed, but not more often than `SHORTEST`.
const LOOKS: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(10);

/// Why a job makes no progress, if it makes none. Shared: clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Stall(Arc<Mutex<Option<String>>>);

impl Stall {
    /// The reason, which names the node that holds the job.
    pub fn look(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing stands still any more: the job has ended.
    pub(crate) fn clear(&self) {
        self.set(None);
    }

    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// A node at one moment.
#[derive(Debug, Clone, Default)]
struct Moment {
    name: Arc<str>,
    /// What it has done so far. What it has read is no part of it: rows also come to a sink that takes none.
    done: (Counts, u64),
    /// What it has yet to do, for people; `None` if it waits for rows or for time.
    owes: Option<String>,
}

impl Moment {
    fn of(node: &PlanNode, hold_ups: Option<&HoldUps>) -> Self {
        let (ledger, counts) = (&node.ledger, node.ledger.counts());
        let done = (Counts { read: 0, ..counts }, ledger.calls());
        let held_up = hold_ups.and_then(HoldUps::look).map(|reason| format!("which cannot read {reason}"));
        Self { name: node.name.clone(), done, owes: held_up.or_else(|| owes(ledger, &node.kind)) }
    }
}

/// What a node has yet to do.
fn owes(ledger: &StepLedger, kind: &PlanKind) -> Option<String> {
    let rows = ledger.counts().in_flight();
    match (ledger.paused(), kind) {
        (Some(reason), _) => Some(format!("which is paused: {reason}")),
        (None, _) if rows <= 0 => None,
        // Between two calls the rows are in its buffer, where they may be.
        (None, PlanKind::Sink) => (ledger.calls() % 2 == 1).then(|| format!("which does not take its {rows} rows")),
        (None, PlanKind::Process { order: Order::EventTime, .. }) => None,
        (None, _) => Some(format!("which has {rows} rows in its hands")),
    }
}

/// Since when each node stands still.
#[derive(Debug)]
struct Watch {
    patience: Duration,
    nodes: Vec<Still>,
}

/// What a node had done when it was last seen to do something, or to have nothing to do, and when that was.
#[derive(Debug, Clone, Copy, Default)]
struct Still {
    done: (Counts, u64),
    since: Duration,
}

impl Watch {
    fn new(nodes: usize, patience: Duration) -> Self {
        Self { patience, nodes: vec![Still::default(); nodes] }
    }

    /// Looks at all nodes, in the order of the dataflow. `now`: since the job has started. No node waits for one before it
    /// with rows in its hands, so the last one that stands still is the one that holds the job.
    fn look(&mut self, now: Duration, moments: &[Moment]) -> Option<String> {
        let mut holder = None;
        for (still, moment) in self.nodes.iter_mut().zip(moments) {
            match &moment.owes {
                Some(owes) if still.done == moment.done => {
                    let passed = now.saturating_sub(still.since);
                    if passed > self.patience {
                        let seconds = passed.as_secs();
                        holder = Some(format!("no progress for {seconds} s: waiting for {}, {owes}", moment.name));
                    }
                }
                _ => *still = Still { done: moment.done, since: now },
            }
        }
        holder
    }
}

/// How long a node may stand still.
pub fn patience(checkpoints: Option<&Checkpoints>) -> Duration {
    checkpoints.map_or(PATIENCE, |checkpoints| checkpoints.interval * INTERVALS)
}

/// Watches over a job and says once for every stall what holds it. `hold_ups`: what keeps its sources from reading, by node.
pub async fn watch(plan: Arc<Plan>, hold_ups: HashMap<usize, HoldUps>, patience: Duration, stall: Stall) {
    let mut watch = Watch::new(plan.nodes.len(), patience);
    let begun = Instant::now();
    loop {
        sleep((patience / LOOKS).max(SHORTEST)).await;
        let moments: Vec<_> = (0..).zip(&plan.nodes).map(|(at, node)| Moment::of(node, hold_ups.get(&at))).collect();
        let reason = watch.look(begun.elapsed(), &moments);
        if let Some(reason) = reason.as_ref().filter(|_| stall.look().is_none()) {
            tracing::warn!("stalled: {reason}");
        }
        stall.set(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A node that has done so much and owes something or not.
    fn node(name: &str, emitted: u64, calls: u64, owes: bool) -> Moment {
        let owes = owes.then(|| "which dawdles".to_owned());
        Moment { name: name.into(), done: (Counts { emitted, ..Counts::default() }, calls), owes }
    }

    /// A node that owes rows and does nothing → stalled once that has lasted longer than allowed, and no more once it moves,
    /// be it by a row or by a call that has ended.
    #[test]
    fn patience_ends_and_comes_back() {
        let mut watch = Watch::new(1, seconds(30));
        let mut at = |now, emitted, calls| watch.look(seconds(now), &[node("slow", emitted, calls, true)]);
        assert_eq!(at(5, 7, 1), None);
        assert_eq!(at(35, 7, 1), None);
        let stalled = Some("no progress for 31 s: waiting for slow, which dawdles".to_owned());
        assert_eq!(at(36, 7, 1), stalled);
        assert_eq!(at(37, 8, 1), None);
        assert_eq!(at(67, 8, 2), None);
        assert_eq!(at(97, 8, 2), None);
        assert!(at(98, 8, 2).is_some());
    }

    /// Nothing to do for long, then rows → the time without work does not count.
    #[test]
    fn idling_is_no_stall() {
        let mut watch = Watch::new(1, seconds(30));
        for now in [1, 100, 200] {
            assert_eq!(watch.look(seconds(now), &[node("quiet", 7, 0, false)]), None);
        }
        assert_eq!(watch.look(seconds(230), &[node("quiet", 7, 0, true)]), None);
        assert!(watch.look(seconds(231), &[node("quiet", 7, 0, true)]).is_some());
    }

    /// Rows that a sink gathers are no debt, those that it is asked to take are; nor is a call without rows.
    #[test]
    fn a_sink_owes_during_calls() {
        let ledger = StepLedger::new("sink");
        ledger.count_call();
        assert_eq!(owes(&ledger, &PlanKind::Sink), None);
        StepLedger::add(&ledger.read, 5);
        assert_eq!(owes(&ledger, &PlanKind::Sink).as_deref(), Some("which does not take its 5 rows"));
        ledger.count_call();
        assert_eq!(owes(&ledger, &PlanKind::Sink), None);
    }

    /// Several stand still → the one nearest to the sinks is named; another one that moves changes nothing about that.
    #[test]
    fn the_last_holds_the_others() {
        let mut watch = Watch::new(4, seconds(30));
        let mut at = |now: u64| {
            let nodes = [("first", 1, true), ("second", 1, true), ("busy", now, true), ("idle", 1, false)];
            let nodes = nodes.map(|(name, emitted, owes)| node(name, emitted, 0, owes));
            watch.look(seconds(now), &nodes).unwrap_or_default()
        };
        assert_eq!(at(1), "");
        assert!(at(32).contains("waiting for second,"));
    }
}
