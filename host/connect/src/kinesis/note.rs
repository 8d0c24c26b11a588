//! What the source leaves for the run that goes on after it: which stream it read, where it began, which shards are behind
//! it, and what proves that nothing was missed. It is part of every checkpoint, but not cut at an epoch as positions are:
//! nothing in it may claim that a record was taken in.

use super::connection::Shard;
use super::gap::Gap;
use super::stream::Identity;
use crate::saved;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use wasmill_stream::source::{Intake, Resume};
use wasmill_stream::{ExtendedSequence, Result, SplitId};

/// Gaps that are kept: enough for an audit, and no more than a checkpoint can carry.
const MAX_GAPS: usize = 100;

/// The note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The stream that was read.
    pub stream: Identity,
    /// How many streams of this name were read before it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// Whether a shard that was read to its tip counts as finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_tip: bool,
    /// Where reading began, if that was a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Pinned>,
    /// When the first run began, in milliseconds. Notes of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<i64>,
    /// Shards that appeared since: all their records arrived after this time, in milliseconds. Those whose parents have not
    /// ended may be missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub since: BTreeMap<String, i64>,
    /// Shards that a run before this one has finished, as long as the stream lists them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub finished: BTreeSet<String>,
    /// Shards that had nothing more to give at some time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub silent: BTreeMap<String, Silence>,
    /// How many user records were left out because they belong to other shards, by shard. What is read again after a crash
    /// counts again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<String, u64>,
    /// Lost records, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The time at which a source began, and the shards that were there then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Shards that appear later are read from their first record.
    pub shards: BTreeSet<String>,
}

/// Behind a record, a shard had nothing at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// The record; `None`: the place where reading began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ExtendedSequence>,
    /// When, in milliseconds.
    pub at: i64,
}

impl Note {
    /// The note of the run before, if there was one that came so far.
    pub fn of(resume: Option<&Resume>) -> Result<Option<Self>> {
        saved::note(resume, "a Kinesis stream")
    }

    /// What the split of a shard is called. Streams of one name give their shards the same ids.
    pub fn part(&self, shard: &str) -> String {
        match self.generation {
            0 => shard.to_owned(),
            generation => format!("{shard}@{generation}"),
        }
    }

    /// The split of a shard of this source, which knows its parents.
    pub fn split(&self, source: &str, shard: &Shard) -> SplitId {
        SplitId::behind(source, self.part(&shard.id), shard.parents.iter().map(|parent| self.part(parent)).collect())
    }

    /// The shard of a split; `None`: it is one of another stream.
    pub fn shard<'a>(&self, part: &'a str) -> Option<&'a str> {
        match part.split_once('@') {
            None => Some(part).filter(|_| self.generation == 0),
            Some((shard, generation)) => (generation.parse() == Ok(self.generation)).then_some(shard),
        }
    }

    /// Whether all records behind a position are still kept for sure, although the record at that position may not be.
    pub fn is_whole(&self, shard: &str, position: Option<ExtendedSequence>, now: i64, retention: i64) -> bool {
        // What was behind the position then has come later, so it is kept until then plus the retention. Clocks differ,
        // and the service says of no record when exactly it goes.
        let margin = (retention / 10).min(3_600_000);
        let silence = self.silent.get(shard).filter(|silence| silence.after <= position);
        let is_kept = |time: i64| now.saturating_sub(time) < retention - margin;
        silence.is_some_and(|silence| is_kept(silence.at))
            || (position.is_none() && self.since(shard).is_none_or(is_kept))
    }

    /// The records that may be lost behind a position; `None` if it [is whole](Note::is_whole).
    pub fn gap(&self, shard: &str, after: Option<ExtendedSequence>, now: i64, retention: i64) -> Option<Gap> {
        if self.is_whole(shard, after, now, retention) {
            return None;
        }
        let from_time = self.read_until(shard, after);
        let to_time = Some(now.saturating_sub(retention)).max(from_time);
        Some(Gap { shard: shard.to_owned(), stream: None, after, before: None, from_time, to_time, noticed_at: now })
    }

    /// What is lost of a shard with its stream. `kept_since`: what the next stream has arrived later.
    pub fn lost(&self, shard: &str, after: Option<ExtendedSequence>, now: i64, kept_since: i64) -> Gap {
        let from_time = self.read_until(shard, after);
        let (stream, to_time) = (Some(self.stream.clone()), Some(kept_since).max(from_time));
        Gap { shard: shard.to_owned(), stream, after, before: None, from_time, to_time, noticed_at: now }
    }

    /// The note of the stream that has taken the place of this one. It is read from its first record.
    pub fn of_next(&self, stream: Identity, now: i64) -> Self {
        Self {
            stream,
            generation: self.generation.saturating_add(1),
            until_tip: self.until_tip,
            start: None,
            begun: Some(now),
            since: BTreeMap::new(),
            finished: BTreeSet::new(),
            silent: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            gaps: self.gaps.clone(),
        }
    }

    /// What is not read of a shard arrived after this time, as far as anybody has noted.
    fn read_until(&self, shard: &str, after: Option<ExtendedSequence>) -> Option<i64> {
        let silent = self.silent.get(shard).filter(|silence| silence.after <= after).map(|silence| silence.at);
        let start = self.start.as_ref().filter(|start| start.shards.contains(shard)).map(|start| start.at);
        silent.max(start).max(self.since.get(shard).copied())
    }

    /// What a shard has that is wanted arrived after this time. `None`: nobody knows.
    fn since(&self, shard: &str) -> Option<i64> {
        self.since.get(shard).copied().or(self.begun)
    }
}

/// The note of this run, shared by the readers of all shards.
pub struct Notebook {
    intake: Arc<Intake>,
    note: Mutex<Note>,
}

impl Notebook {
    /// Leaves a first note.
    pub fn new(intake: Arc<Intake>, note: Note) -> Self {
        let notebook = Self { intake, note: Mutex::new(note) };
        notebook.change(|_| ());
        notebook
    }

    /// A look at it.
    pub fn look<T>(&self, at: impl FnOnce(&Note) -> T) -> T {
        at(&self.note.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A shard had nothing more to give.
    pub fn silent(&self, shard: &str, silence: Silence) {
        self.change(|note| {
            note.silent.insert(shard.to_owned(), silence);
        });
    }

    /// User records of a shard were left out because they belong to others.
    pub fn elsewhere(&self, shard: &str, records: u64) {
        self.change(|note| *note.elsewhere.entry(shard.to_owned()).or_default() += records);
    }

    /// A shard is read to its end. What its children have came after its last record, and after any silence of it.
    pub fn ended<'a>(&self, shard: &str, arrived: Option<i64>, children: impl Iterator<Item = &'a str>) {
        self.change(|note| {
            let silent = note.silent.get(shard).map(|silence| silence.at);
            let Some(after) = arrived.max(silent).max(note.since.get(shard).copied()) else { return };
            for child in children {
                let since = note.since.entry(child.to_owned()).or_insert(after);
                *since = after.max(*since);
            }
        });
    }

    /// What the split of a shard is called.
    pub fn part(&self, shard: &str) -> String {
        self.look(|note| note.part(shard))
    }

    /// The split of a shard.
    pub fn split(&self, source: &str, shard: &Shard) -> SplitId {
        self.look(|note| note.split(source, shard))
    }

    /// Another stream is read from now on. What is lost of this one is noted already.
    pub fn go_over(&self, next: Note) {
        self.change(|note| {
            let gaps = std::mem::take(&mut note.gaps);
            *note = Note { gaps, ..next };
        });
    }

    /// Records may be lost.
    pub fn gap(&self, gap: Gap) {
        self.intake.gap(gap.to_string());
        self.change(|note| {
            let surplus = (note.gaps.len() + 1).saturating_sub(MAX_GAPS);
            note.gaps.drain(..surplus);
            note.gaps.push(gap);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Note)) {
        let mut note = self.note.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut note);
        // Texts, numbers and maps of texts are JSON in any case.
        self.intake.note(serde_json::to_value(&*note).unwrap_or_default());
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
