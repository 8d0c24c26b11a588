//! Whether a run may still publish.

use super::super::journal::{Fence, Journal};
use super::super::status::Status;
use crate::epoch::EpochClock;
use crate::verdict::Verdict;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wasmill_stream::{Error, ErrorKind};

/// How often a run looks whether another one has taken over, and whether a checkpoint is late.
const WATCH: Duration = Duration::from_secs(2);
/// How often a run does to which nothing comes: it has nothing to commit that another one could have committed.
const WATCH_AT_REST: Duration = Duration::from_secs(10);

/// Whether a run still is the job's.
#[derive(Clone)]
pub struct Standing {
    pub(super) journal: Journal,
    pub(super) fence: Fence,
    pub(super) status: Status,
}

impl Standing {
    /// The error of a run whose job another one has taken over. While the store does not answer, nobody can publish there.
    pub async fn lost(&self) -> Option<Error> {
        let number = self.status.look().last.unwrap_or(self.fence.number);
        let fence = Fence { number, ..self.fence.clone() };
        self.journal.check(&fence).await.err().filter(|error| error.kind() == ErrorKind::Denied)
    }
}

/// Looks now and then whether another run has taken over, and says once what holds up a checkpoint.
pub(super) async fn watch(standing: Standing, clock: Arc<EpochClock>, verdict: Arc<Verdict>) {
    let (mut stalled, mut looked) = (None, Instant::now());
    loop {
        sleep(WATCH).await;
        if clock.has_news() || looked.elapsed() >= WATCH_AT_REST {
            looked = Instant::now();
            if let Some(error) = standing.lost().await {
                return verdict.fail(error);
            }
        }
        let known = standing.status.look();
        if let Some(reason) = known.stalled.as_ref().filter(|reason| stalled.as_ref() != Some(*reason)) {
            tracing::warn!("stalled: {reason}");
        }
        stalled = known.stalled;
    }
}
