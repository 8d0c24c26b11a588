//! Documents that are refused because there is one with their id already. It is theirs, from before a restart or a lost answer;
//! that ids tell rows apart is trusted, but one in a thousand is looked at, and a difference is said where everybody can see it.

use super::server::Server;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmill_stream::ledger::StepLedger;

/// One in so many.
const SAMPLE: u64 = 1_000;

/// The conflicts of one sink.
#[derive(Debug)]
pub struct Collisions {
    ledger: Arc<StepLedger>,
    seen: AtomicU64,
    different: AtomicU64,
}

impl Collisions {
    /// None yet.
    pub fn new(ledger: Arc<StepLedger>) -> Self {
        Self { ledger, seen: AtomicU64::new(0), different: AtomicU64::new(0) }
    }

    /// Counts a conflict. Whether it is one to look at.
    pub fn is_sample(&self) -> bool {
        self.seen.fetch_add(1, Relaxed).is_multiple_of(SAMPLE)
    }

    /// Compares what is there with what was refused. What cannot be had now is not waited for.
    pub async fn compare(&self, server: &Server, samples: Vec<((String, String), &[u8])>) {
        let (places, ours): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
        let theirs = server.documents(&places).await.unwrap_or_default();
        for ((place, ours), theirs) in places.iter().zip(ours).zip(theirs) {
            let is_same = |theirs: &Value| serde_json::from_slice::<Value>(ours).is_ok_and(|ours| ours == *theirs);
            if theirs.as_ref().is_some_and(|theirs| !is_same(theirs)) {
                self.alarm(place);
            }
        }
    }

    fn alarm(&self, (index, id): &(String, String)) {
        let times = self.different.fetch_add(1, Relaxed) + 1;
        let remark = format!(
            "document {id} of {index} is not the row that has its id: {times} of {} conflicts that were looked at",
            self.seen.load(Relaxed).div_ceil(SAMPLE)
        );
        tracing::warn!("{remark}");
        self.ledger.remark(&format!("ids of {}", self.ledger.name), Some(remark));
    }
}
