//! Records that the stream has dropped before they were read: what proves that none are lost, and what becomes of the job if
//! they may be.

use super::connection::Shard;
use super::gap::Gap;
use super::settings::OnGap;
use super::shard::{Cursor, ShardReader, Shared};
use std::sync::atomic::Ordering::Relaxed;
use wasmill_stream::{Error, ErrorKind, ExtendedSequence, Result, Sequence};

impl ShardReader {
    /// The record behind which to go on is not kept any more. An error if records may be lost with it, or if it was one of
    /// another stream. `next`: the first one that is kept, and when it arrived; `arrived`: when the one that is missed did.
    pub(super) async fn missed(
        &self,
        known: ExtendedSequence,
        next: Option<(Sequence, Option<i64>)>,
        arrived: Option<i64>,
    ) -> Result<()> {
        let shared = &self.shared;
        let described = shared.stream.describe_again(&shared.description.identity).await?;
        let (now, retention) = (shared.stream.now(), described.retention_millis());
        let gap = shared.notebook.look(|note| note.gap(&self.shard, Some(known), now, retention));
        let Some(gap) = gap else { return Ok(()) };
        shared.judge(Gap {
            before: next.map(|(next, _)| next),
            from_time: arrived.or(gap.from_time),
            to_time: next.and_then(|(_, arrived)| arrived).or(gap.to_time),
            ..gap
        })
    }

    /// The server does not know the shard. If the stream is there, it has forgotten the shard, with all records behind the
    /// place where reading was. Returns those that it has.
    pub(super) async fn gone(&self, error: Error, cursor: &Cursor) -> Result<Vec<Shard>> {
        let shared = &self.shared;
        let described = shared.stream.describe_again(&shared.description.identity).await?;
        let shards = shared.stream.shards().await?;
        if shards.iter().any(|shard| shard.id == self.shard) {
            let message = format!("{}: {} is listed, but cannot be read", shared.stream, self.shard);
            return Err(Error::unavailable(message).with_source(error));
        }
        let (after, now, retention) = (cursor.place.position(), shared.stream.now(), described.retention_millis());
        if let Some(gap) = shared.notebook.look(|note| note.gap(&self.shard, after, now, retention)) {
            shared.judge(Gap { from_time: cursor.arrived.or(gap.from_time), ..gap })?;
        }
        tracing::info!(shard = self.shard, "{}: a shard is gone", shared.stream);
        Ok(shards)
    }
}

impl Shared {
    /// Whether some reader has found that the stream is gone.
    pub fn is_known_to_be_lost(&self) -> bool {
        self.is_lost.load(Relaxed)
    }

    /// Whether a failure means that the stream is gone, in a job that goes on with the next one of its name. An error if nobody
    /// can say.
    pub async fn is_lost(&self, failure: &Error) -> Result<bool> {
        if self.is_known_to_be_lost() {
            return Ok(true);
        }
        if failure.kind() != ErrorKind::Invalid || self.settings.on_gap == OnGap::Fail {
            return Ok(false);
        }
        match self.stream.describe_again(&self.description.identity).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Invalid => {
                if !self.is_lost.swap(true, Relaxed) {
                    tracing::warn!("going on with the next stream: {}", error.report());
                }
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// What becomes of a job that may have lost records.
    pub fn judge(&self, gap: Gap) -> Result<()> {
        let (stream, hours) = (&self.stream, self.description.retention_hours);
        if self.settings.on_gap == OnGap::Fail {
            return Err(Error::invalid(format!(
                "{stream}: {gap}: the job was away, or behind, for longer than the {hours} h that the stream keeps \
                 records (on_gap = \"skip\" goes on without them)"
            )));
        }
        tracing::warn!(retention_hours = hours, "{stream}: going on without records: {gap}");
        self.notebook.gap(gap);
        Ok(())
    }
}
