//! Records that the stream has dropped before they were read: what proves that none are lost, and what becomes of the job if
//! they may be.

use super::note::Gap;
use super::settings::OnGap;
use super::shard::{ShardReader, Shared};
use super::stream::{Place, Shard};
use super::wall_clock;
use wasmill_stream::{Error, ExtendedSequence, Result, Sequence};

impl ShardReader {
    /// The record behind which to go on is not kept any more. An error if records may be lost with it, or if it was one of
    /// another stream.
    pub(super) async fn missed(&self, known: ExtendedSequence, next: Option<Sequence>) -> Result<()> {
        let shared = &self.shared;
        let now = shared.stream.describe_again(&shared.description.identity).await?;
        let (time, retention) = (wall_clock(), now.retention_millis());
        if shared.notebook.look(|note| note.is_whole(&self.shard, Some(known), time, retention)) {
            return Ok(());
        }
        let gap = Gap { shard: self.shard.clone(), after: Some(known), before: next, noticed_at: time };
        shared.judge(gap)
    }

    /// The server does not know the shard. If the stream is there, it has forgotten the shard, with all records behind the
    /// place where reading was. Returns those that it has.
    pub(super) async fn gone(&self, error: Error, place: Place) -> Result<Vec<Shard>> {
        let shared = &self.shared;
        let now = shared.stream.describe_again(&shared.description.identity).await?;
        let shards = shared.stream.shards().await?;
        if shards.iter().any(|shard| shard.id == self.shard) {
            let message = format!("{}: {} is listed, but cannot be read", shared.stream, self.shard);
            return Err(Error::unavailable(message).with_source(error));
        }
        let (after, time, retention) = (place.position(), wall_clock(), now.retention_millis());
        if !shared.notebook.look(|note| note.is_whole(&self.shard, after, time, retention)) {
            shared.judge(Gap { shard: self.shard.clone(), after, before: None, noticed_at: time })?;
        }
        tracing::info!(shard = self.shard, "{}: a shard is gone", shared.stream);
        Ok(shards)
    }
}

impl Shared {
    /// What becomes of a job that may have lost records.
    pub fn judge(&self, gap: Gap) -> Result<()> {
        let (stream, shard, hours) = (&self.stream, &gap.shard, self.description.retention_hours);
        let from = gap.after.map_or("the start".to_owned(), |after| after.to_string());
        let to = gap.before.map_or("the oldest that is kept".to_owned(), |before| before.to_string());
        if self.settings.on_gap == OnGap::Fail {
            return Err(Error::invalid(format!(
                "{stream}: {shard}: records between {from} and {to} may be lost: the job was away, or behind, for longer \
                 than the {hours} h that the stream keeps records (on_gap = \"skip\" goes on without them)"
            )));
        }
        tracing::warn!(
            shard,
            from,
            to,
            retention_hours = hours,
            "{stream}: records may be lost, going on without them"
        );
        self.notebook.gap(gap);
        Ok(())
    }
}
