//! What a stream is when reading begins, and what becomes of a job whose stream is deleted: with `on_gap = "skip"` it goes on
//! with the next stream of the same name.

use super::connection::Shard;
use super::lineage::Lineage;
use super::plan::{Known, Plan};
use super::reading::Reading;
use super::settings::{OnGap, Settings};
use super::shard::Shared;
use super::stream::{Described, Description, Stream};
use crate::retry::{Backoff, Patience};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmill_stream::checkpoint::SplitMark;
use wasmill_stream::source::{Resume, SplitSender};
use wasmill_stream::{Error, ExtendedSequence, Position, Result};

/// What is left of a shard whose stream is gone.
pub struct Lost {
    /// Its id.
    pub shard: String,
    /// The way of its records, which holds the watermark until the next stream has splits.
    pub sender: SplitSender,
    /// The last record that was handed on.
    pub after: Option<ExtendedSequence>,
    /// When that arrived, by the server's clock, if it was read in this run.
    pub arrived: Option<i64>,
}

/// Looks at the stream and decides what to do. A job that may go on with the next stream of the name waits for it; `waits` hears
/// why.
pub async fn look(
    stream: &Stream,
    settings: &Settings,
    resume: Option<&Resume>,
    waits: impl Fn(&Error),
) -> Result<(Description, Plan)> {
    let mut backoff = Backoff::new(settings.connection.patience);
    let mut absence = Backoff::new(Patience::ENDLESS);
    let has_read = resume.is_some_and(|resume| !resume.note.is_null());
    let description = loop {
        match stream.describe().await {
            Ok(Described::Stream(description)) => break description,
            Ok(Described::Missing(error)) if has_read && settings.on_gap == OnGap::Skip => {
                let what = format!("{stream} was deleted: waiting for the one that takes its place");
                let error = Error::unavailable(what).with_source(error);
                waits(&error);
                absence.wait(error).await?;
            }
            Ok(Described::Missing(error)) => return Err(error),
            Err(error) => backoff.wait(error).await?,
        }
    };
    // Before the list is asked for: a shard that appears later must not count as one that was there.
    let now = stream.now();
    let known = Known { settings, description: &description, resume, now };
    let note = known.note().map_err(|error| error.context(stream))?;
    let shards = loop {
        match stream.shards().await {
            Ok(shards) if !shards.is_empty() => break shards,
            Ok(_) => backoff.wait(Error::unavailable(format!("{stream} has no shards yet"))).await?,
            Err(error) => backoff.wait(error).await?,
        }
    };
    let plan = known.plan(shards, note).map_err(|error| error.context(stream))?;
    Ok((description, plan))
}

impl Reading {
    /// All readers have heard that the stream is gone: goes on with the next one, from its first record.
    pub(super) async fn go_over(&mut self) -> Result<()> {
        let mut lost = std::mem::take(&mut self.lost);
        lost.extend(self.lineage.take_waiting().into_iter().map(|(shard, (sender, place))| {
            // Their turn has never come.
            Lost { shard: shard.id, sender, after: place.position(), arrived: None }
        }));
        let resume = self.remains(&lost);
        let (stream, settings) = (self.shared.stream.clone(), self.shared.settings.clone());
        let held_up = |error: &Error| lost.iter().for_each(|lost| lost.sender.held_up(error));
        let mut backoff = Backoff::new(Patience::ENDLESS);
        let (description, plan) = loop {
            match look(&stream, &settings, Some(&resume), held_up).await {
                Ok(found) => break found,
                Err(error) => {
                    held_up(&error);
                    backoff.wait(error).await?;
                }
            }
        };
        let notebook = self.shared.notebook.clone();
        let mut senders: BTreeMap<_, _> =
            lost.into_iter().map(|lost| (lost.sender.split().clone(), lost.sender)).collect();
        let split = |shard: &Shard| plan.note.split(&self.name, shard);
        // Before the old splits are done: in between nothing would hold the watermark. After a false alarm they are the same.
        let new = plan.open.iter().map(|(shard, _)| split(shard)).filter(|split| !senders.contains_key(split));
        let opened = self.intake.open_more(new.collect()).await?;
        senders.extend(opened.into_iter().map(|sender| (sender.split().clone(), sender)));
        let shared = Shared::begin(stream, description, settings, notebook.clone()).await;
        let mut lineage = Lineage::new(plan.note.finished.iter().cloned().chain(plan.gone).collect());
        for (shard, place) in plan.open {
            let Some(sender) = senders.remove(&split(&shard)) else { continue };
            sender.remark(shared.refusal());
            lineage.announce(shard, (sender, place));
        }
        // A checkpoint that has the gaps and not the next stream says them twice, which is better than not at all.
        plan.gaps.into_iter().try_for_each(|gap| shared.judge(gap))?;
        notebook.go_over(plan.note);
        for sender in senders.into_values() {
            sender.done().await?;
        }
        (self.shared, self.lineage, self.is_described) = (Arc::new(shared), lineage, true);
        self.watermarks.clear();
        Ok(())
    }

    /// What a checkpoint would know now.
    fn remains(&self, lost: &[Lost]) -> Resume {
        let mut note = self.shared.notebook.look(Clone::clone);
        let mark = |after: Option<ExtendedSequence>, done| SplitMark {
            position: after.map(Position::Sequence),
            watermark: None,
            done,
        };
        let lost_marks = lost.iter().map(|lost| (note.part(&lost.shard), mark(lost.after, false)));
        let ended = self.lineage.ended_shards().map(|shard| (note.part(shard), mark(None, true)));
        let splits = ended.chain(lost_marks).collect();
        for lost in lost {
            let arrived = lost.arrived.map(|arrived| (lost.shard.clone(), arrived));
            note.since.extend(arrived);
        }
        Resume { note: serde_json::to_value(note).unwrap_or_default(), splits }
    }
}
