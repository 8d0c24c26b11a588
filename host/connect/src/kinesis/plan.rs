//! What to open at a start: compares the shards that the stream has with what a checkpoint knows. Pure.

use super::connection::Shard;
use super::gap::Gap;
use super::note::{Note, Pinned};
use super::settings::{OnGap, Settings, Start};
use super::stream::{Description, Identity, Place};
use std::collections::{BTreeMap, BTreeSet};
use wasmill_stream::checkpoint::SplitMark;
use wasmill_stream::source::Resume;
use wasmill_stream::{Error, ExtendedSequence, Position, Result};

/// What to do at a start.
#[derive(Debug)]
pub struct Plan {
    /// Shards to open, and where each is read from.
    pub open: Vec<(Shard, Place)>,
    /// Shards that the stream has forgotten before they were finished. They end at once.
    pub gone: Vec<String>,
    /// Records that may be lost.
    pub gaps: Vec<Gap>,
    /// What the next run has to know.
    pub note: Note,
}

/// What is known when the source starts.
pub struct Known<'a> {
    /// The settings of the source.
    pub settings: &'a Settings,
    /// The stream as it is now.
    pub description: &'a Description,
    /// The checkpoint.
    pub resume: Option<&'a Resume>,
    /// The wall clock, in milliseconds.
    pub now: i64,
}

impl Known<'_> {
    /// The note of the run before. An error if it was about another stream, unless that is gone, and the job goes on without
    /// what it had.
    pub fn note(&self) -> Result<Option<Note>> {
        let Some(mut note) = Note::of(self.resume)? else { return Ok(None) };
        let goes_over = self.settings.on_gap == OnGap::Skip && note.stream.arn == self.description.identity.arn;
        if !goes_over {
            same_stream(&note.stream, &self.description.identity)?;
        }
        if note.until_tip != self.settings.until_tip {
            let (was, is) = if note.until_tip { ("with", "without") } else { ("without", "with") };
            return Err(Error::invalid(format!(
                "the checkpoint was made {was} until = \"tip\" and the job file is {is} it: shards that were left at their \
                 tip cannot be told from shards that ended; put it back, or give this source another name"
            )));
        }
        // Notes of earlier versions tell when reading began only if it began with what was the latest then.
        if let (None, Start::Latest, Some(start)) = (note.begun, self.settings.start, &note.start) {
            note.begun = Some(start.at);
        }
        Ok(Some(note))
    }

    /// What to do with these shards, `note` being what [`Known::note`] returned.
    pub fn plan(&self, listed: Vec<Shard>, note: Option<Note>) -> Result<Plan> {
        let ids: BTreeSet<String> = listed.iter().map(|shard| shard.id.clone()).collect();
        let (mut note, gaps) = match note {
            None => (self.first_note(&ids), Vec::new()),
            Some(note) if note.stream == self.description.identity => (note, Vec::new()),
            Some(note) => self.go_over(&note)?,
        };
        let marks = self.marks(&note);
        note.finished.extend(marks.iter().filter(|(_, mark)| mark.done).map(|(id, _)| (*id).to_owned()));
        note.finished.retain(|id| ids.contains(id));
        let mut plan = Plan { open: Vec::new(), gone: Vec::new(), gaps, note };
        for (id, mark) in marks.iter().filter(|(id, mark)| !mark.done && !ids.contains(**id)) {
            let position = sequence(mark)?;
            plan.gaps.extend(plan.note.gap(id, position, self.now, self.description.retention_millis()));
            plan.gone.push((*id).to_owned());
        }
        for shard in listed {
            if plan.note.finished.contains(&shard.id) {
                continue;
            }
            let mark = marks.get(shard.id.as_str()).copied();
            let pinned =
                plan.note.start.as_ref().filter(|start| start.shards.contains(&shard.id)).map(|start| start.at);
            let place = match (mark.map(sequence).transpose()?.flatten(), pinned) {
                (Some(position), _) => Place::At(position),
                (None, Some(at)) => Place::Since(at),
                (None, None) => Place::Oldest,
            };
            // What its parents still have is older, and is met first.
            let follows =
                shard.parents.iter().any(|parent| ids.contains(parent) && !plan.note.finished.contains(parent));
            let is_unread = mark.is_some() && place.position().is_none() && !follows;
            if is_unread {
                plan.gaps.extend(plan.note.gap(&shard.id, None, self.now, self.description.retention_millis()));
            }
            plan.open.push((shard, place));
        }
        plan.note.silent.retain(|id, _| ids.contains(id));
        plan.note.elsewhere.retain(|id, _| ids.contains(id));
        plan.note.since.retain(|id, _| ids.contains(id));
        Ok(plan)
    }

    /// What the checkpoint knows of the shards of the stream that a note is about.
    fn marks(&self, note: &Note) -> BTreeMap<&str, &SplitMark> {
        let splits = self.resume.iter().flat_map(|resume| &resume.splits);
        splits.filter_map(|(part, mark)| Some((note.shard(part)?, mark))).collect()
    }

    /// The stream of a note is gone, and another one has its name: the note to go on with, and what is lost.
    fn go_over(&self, old: &Note) -> Result<(Note, Vec<Gap>)> {
        let Description { identity, .. } = self.description;
        let kept_since = identity.created.max(self.now.saturating_sub(self.description.retention_millis()));
        let unfinished = self.marks(old).into_iter().filter(|(id, mark)| !mark.done && !old.finished.contains(*id));
        let gaps = unfinished.map(|(id, mark)| Ok(old.lost(id, sequence(mark)?, self.now, kept_since)));
        let gaps = gaps.collect::<Result<_>>()?;
        Ok((old.of_next(identity.clone(), self.now), gaps))
    }

    fn first_note(&self, shards: &BTreeSet<String>) -> Note {
        let at = match self.settings.start {
            Start::TrimHorizon => None,
            Start::Latest => Some(self.now),
            Start::At(time) => Some(time),
        };
        Note {
            stream: self.description.identity.clone(),
            generation: 0,
            until_tip: self.settings.until_tip,
            start: at.map(|at| Pinned { at, shards: shards.clone() }),
            begun: Some(self.now),
            since: BTreeMap::new(),
            finished: BTreeSet::new(),
            silent: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }
}

/// An error if a stream is not the one of which the positions are.
pub fn same_stream(was: &Identity, is: &Identity) -> Result<()> {
    if was.arn != is.arn {
        return Err(Error::invalid(format!(
            "the checkpoint is of the stream {}, the job file names {}: give this source another name to read that one",
            was.arn, is.arn
        )));
    }
    if was.created != is.created {
        let time = |millis| wasmill_stream::time::iso8601(millis);
        return Err(Error::invalid(format!(
            "the stream {} was deleted and created again: the checkpoint is of the one created at {}, this one was created \
             at {}; on_gap = \"skip\" goes on with this one from its start, without what is lost of the other",
            is.arn,
            time(was.created),
            time(is.created)
        )));
    }
    Ok(())
}

fn sequence(mark: &SplitMark) -> Result<Option<ExtendedSequence>> {
    match mark.position {
        None => Ok(None),
        Some(Position::Sequence(sequence)) => Ok(Some(sequence)),
        Some(Position::Number(number)) => Err(Error::invalid(format!(
            "the checkpoint has the position {number}, which is no sequence number: give this source another name"
        ))),
    }
}

#[cfg(test)]
mod tests;
