//! Where the rows of a step go that cannot go on: into the ledger, and into dead letters if the job keeps them.

use crate::isolate::DroppedTimer;
use crate::plan::PlanNode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmill_stream::dead_letter::Letters;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::plugin::{Identity, Reject};
use wasmill_stream::window::RefusedWindow;
use wasmill_stream::{Batch, Cause};

/// The discarded rows of one node on one worker.
pub struct Discards {
    ledger: Arc<StepLedger>,
    letters: Option<Letters>,
}

impl Discards {
    /// Nothing discarded yet. `identity`: the plugin that runs.
    pub fn new(node: &PlanNode, identity: Option<Identity>) -> Self {
        let letters = node.keeps_dead_letters().then(|| Letters::new(node.name.clone(), identity));
        Self { ledger: node.ledger.clone(), letters }
    }

    /// The same for another version of the plugin. What was discarded before has been taken.
    pub fn of(&self, identity: Option<Identity>) -> Self {
        let letters = self.letters.as_ref().map(|_| Letters::new(self.ledger.name.as_str().into(), identity));
        Self { ledger: self.ledger.clone(), letters }
    }

    /// The counters of the node.
    pub fn ledger(&self) -> &StepLedger {
        &self.ledger
    }

    /// A row of a batch cannot go on.
    pub fn row(&mut self, batch: &Batch, row: usize, cause: Cause, reason: &str) {
        self.ledger.reject(batch, row, cause, reason);
        if let Some(letters) = &mut self.letters {
            letters.row(batch, row, cause, reason);
        }
    }

    /// A plugin refuses a row of a batch, or fails on it. `row`: its number there.
    pub fn reject(&mut self, batch: &Batch, row: usize, reject: &Reject) {
        match reject.cause {
            Cause::Guest(fault) => {
                self.ledger.reject(batch, row, reject.cause, &format!("{fault}: {}", reject.reason));
            }
            cause => self.ledger.reject(batch, row, cause, &reject.reason),
        }
        if let Some(letters) = &mut self.letters {
            letters.reject(batch, row, reject);
        }
    }

    /// A row is late and nobody takes late rows. The ledger counts it elsewhere.
    pub fn late(&mut self, batch: &Batch, row: usize) {
        self.ledger.causes.add(Cause::Late);
        if let Some(letters) = &mut self.letters {
            letters.row(batch, row, Cause::Late, "the watermark has passed it");
        }
    }

    /// A window has no result.
    pub fn window(&mut self, refused: &RefusedWindow) {
        self.ledger.refuse_window(refused);
        if let Some(letters) = &mut self.letters {
            letters.window(refused);
        }
    }

    /// A timer was dropped.
    pub fn timer(&mut self, timer: &DroppedTimer) {
        self.ledger.refuse_timer(&timer.key, timer.time, timer.cause, &timer.reason);
        if let Some(letters) = &mut self.letters {
            letters.timer(&timer.key, timer.time, timer.cause, &timer.reason);
        }
    }

    /// The dead letters since the last call.
    pub fn take(&mut self) -> Vec<Batch> {
        self.letters.as_mut().map(|letters| letters.take(wall_clock())).unwrap_or_default()
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn wall_clock() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
