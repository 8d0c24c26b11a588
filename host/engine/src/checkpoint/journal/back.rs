//! The way back: an older manifest is put in force by publishing it again under a new number.

use super::super::settled::Settled;
use super::{Fence, Journal, now};
use wasmill_stream::checkpoint::{Created, Kind, Manifest, Withdrawn};
use wasmill_stream::{Error, ErrorKind, Result};

impl Journal {
    /// What sinks have to take back so that a job can go back to a checkpoint as if nothing had come after it; `None` if that
    /// is not one to which it can be rewound any more.
    pub async fn withdrawn(&self, old: &Manifest) -> Result<Option<Withdrawn>> {
        let Some(newest) = self.newest().await? else { return Ok(None) };
        let is_point = newest.points.iter().any(|point| point.number == old.number);
        // It was said before, and no run has done it yet.
        let is_pending = newest.withdrawal.is_some_and(|withdrawal| withdrawal.after == old.number);
        if !is_point && !is_pending {
            return Ok(None);
        }
        for number in old.number + 1..=newest.number {
            if self.manifest(number).await?.is_none() {
                let message = format!("checkpoint {number} in {} is missing", self.place());
                return Err(Error::new(ErrorKind::Corrupt, message)
                    .hint("it says what sinks have written since the checkpoint to go back to"));
            }
        }
        Ok(Some(Withdrawn { after: old.number, until: newest.number }))
    }

    /// Has the next run go on from an older manifest. `fence`: found out before anything was decided.
    pub async fn go_back(&self, old: &Manifest, fence: Fence, withdrawal: Option<Withdrawn>) -> Result<()> {
        let (number, run) = (fence.number.max(old.number + 1), fence.run.max(old.run + 1));
        let mut manifest =
            Manifest { number, run, kind: Kind::Restore, at: now(), writer: fence.writer, withdrawal, ..old.clone() };
        manifest.points.retain(|point| withdrawal.is_some() && point.number < old.number);
        if let Some(Withdrawn { until, .. }) = withdrawal {
            self.mark_committed(&mut manifest, old.number, until).await?;
        }
        match self.begin(&manifest).await? {
            Created::New => Ok(()),
            Created::Taken => Err(Error::unavailable("the job has published another checkpoint meanwhile: try again")),
        }
    }

    /// Marks the sinks that have made visible what a checkpoint names: all, if another one came after it. A manifest that only
    /// repeats it does not tell.
    async fn mark_committed(&self, manifest: &mut Manifest, number: u64, until: u64) -> Result<()> {
        let mut last = Manifest { number, ..manifest.clone() };
        for number in number..=until {
            let Some(later) = self.manifest(number).await? else { continue };
            if number > last.number && !later.kind.repeats() {
                manifest.sinks.values_mut().for_each(|mark| mark.committed = true);
                return Ok(());
            }
            last = later;
        }
        Settled::mark(self.store(), &mut last).await?;
        for (name, mark) in &mut manifest.sinks {
            mark.committed = last.sinks.get(name).is_some_and(|mark| mark.committed);
        }
        Ok(())
    }
}
