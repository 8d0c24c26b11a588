//! The thread that reads: finds time and key of every line, leaves out what cannot be sent, and waits when too much waits.

use super::event::{self, Event};
use super::tally::EXAMPLES;
use super::{AdaptTime, Playback};
use crate::lines::Run;
use crate::producer::{RECORD_BYTES, is_key};
use crate::replay::Feed;
use crate::replay::dealer::{Clock, times};
use crate::replay::files::{FileFeed, Files};
use crate::replay::objects;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use wasmill_stream::checkpoint::Digest;
use wasmill_stream::field::Decoder;
use wasmill_stream::{Cells, Column, Error, FaultKind, Result};

/// Blocks that were read and not taken.
const BLOCKS: usize = 2;
/// Room that a time stamp may need in a record.
const ROOM: usize = 1_024;

/// Events that follow each other.
#[derive(Debug, Default)]
pub struct Block {
    /// The events.
    pub events: Vec<Event>,
    /// How many lines between them are none.
    pub bad: u64,
    /// The first of those.
    pub examples: Vec<String>,
    /// Whether the input begins with it, for the first time or again.
    pub begins_pass: bool,
}

/// A reader under way.
pub struct Reading {
    /// What it reads. It ends at the end, and when this is dropped.
    pub blocks: Receiver<Block>,
    /// The thread.
    pub thread: JoinHandle<Result<()>>,
    /// How many bytes it will read; 0: nobody knows.
    pub bytes: u64,
    /// How many bytes it has read.
    pub taken: Arc<AtomicU64>,
}

/// Finds the input, and starts to read it.
pub async fn start(playback: &Playback) -> Result<Reading> {
    let taken = Arc::<AtomicU64>::default();
    let first = open(playback, taken.clone()).await?;
    let bytes = if playback.limit.is_some() { 0 } else { first.bytes().saturating_mul(playback.passes) };
    let (sender, blocks) = mpsc::channel(BLOCKS);
    let (counted, playback, runtime) = (taken.clone(), playback.clone(), Handle::current());
    let thread = std::thread::Builder::new()
        .name("replay".to_owned())
        .spawn(move || {
            let mut feed = Some(first);
            for _ in 0..playback.passes {
                let feed = match feed.take() {
                    Some(feed) => feed,
                    None => runtime.block_on(open(&playback, counted.clone()))?,
                };
                if !Reader::new(feed, &playback).read(&sender)? {
                    break;
                }
            }
            Ok(())
        })
        .map_err(|error| Error::unavailable("start a thread to read with").with_source(error))?;
    Ok(Reading { blocks, thread, bytes, taken })
}

async fn open(playback: &Playback, taken: Arc<AtomicU64>) -> Result<FileFeed> {
    let (mut paths, mut found) = (Vec::new(), Vec::new());
    for input in &playback.inputs {
        match input.starts_with("s3://") {
            true => found.extend(objects::find(input, &playback.s3()?).await?),
            false => paths.push(PathBuf::from(input)),
        }
    }
    let files = Files { paths, format: playback.format, columns: BTreeMap::new(), limit: playback.limit };
    files.open_with(found, taken)
}

/// Reads one pass.
struct Reader<'p> {
    feed: FileFeed,
    playback: &'p Playback,
    /// Of the time and then of the key, as a text and as a number.
    decoder: Option<Decoder>,
    clock: Clock,
    begins: bool,
}

impl<'p> Reader<'p> {
    fn new(feed: FileFeed, playback: &'p Playback) -> Self {
        let fields: Vec<_> = playback.time.iter().chain(playback.partition_key.iter().flatten()).cloned().collect();
        let decoder = (!fields.is_empty()).then(|| Decoder::new(&fields));
        Self { feed, playback, decoder, clock: Clock::default(), begins: true }
    }

    /// Reads to the end; `false`: nobody listens any more.
    fn read(&mut self, sender: &Sender<Block>) -> Result<bool> {
        loop {
            let runs = self.feed.read()?;
            if runs.is_empty() {
                return Ok(true);
            }
            let mut block = Block { begins_pass: std::mem::take(&mut self.begins), ..Block::default() };
            runs.into_iter().for_each(|run| self.take(&run, &mut block));
            if sender.blocking_send(block).is_err() {
                return Ok(false);
            }
        }
    }

    fn take(&mut self, run: &Run, block: &mut Block) {
        let columns = self.decoder.as_mut().map(|decoder| decoder.decode(&run.values)).unwrap_or_default();
        let (time, keys) = columns.split_at(usize::from(self.playback.time.is_some()).min(columns.len()));
        let times = time.first().map(times);
        for (row, line) in run.values.iter().enumerate() {
            let time = times.as_ref().and_then(|times| times.get(row).copied().flatten());
            if let (Some(seek), Some(time)) = (self.playback.seek, time)
                && time < seek
            {
                continue;
            }
            let room = if self.playback.add_timestamp.is_some() { ROOM } else { 0 };
            let key = self.key(keys, row, line);
            let problem = match (&key, columns.iter().find_map(|column| fault(column, row, FaultKind::Malformed))) {
                (_, Some(_)) => Some("it is no whole JSON object"),
                _ if times.is_some() && time.is_none() => Some("it has no event time in the field"),
                _ if self.cannot_adapt(line) => {
                    Some("its event time is in an array, where --adapt-time does not replace it")
                }
                (None, _) => Some("it has no partition key in the field, a text of at most 256 characters or a number"),
                (Some(key), _) if line.len() + key.len() + room > RECORD_BYTES => Some("it is larger than 1 MiB"),
                _ => None,
            };
            match (key, problem) {
                (Some(key), None) => {
                    let clock = time.and_then(|time| self.clock.advance(time));
                    block.events.push(Event { line: Bytes::copy_from_slice(line), key, time, clock });
                }
                (_, problem) => {
                    block.bad += 1;
                    if block.examples.len() < EXAMPLES {
                        let reason = problem.unwrap_or_default();
                        block.examples.push(self.describe(run.first + row as u64, reason, line));
                    }
                }
            }
        }
    }

    /// Whether the event time of a line is to be replaced, and cannot be.
    fn cannot_adapt(&self, line: &[u8]) -> bool {
        let field = self.playback.time.as_ref().filter(|_| self.playback.adapt_time != AdaptTime::Original);
        field.is_some_and(|field| event::place(line, field).is_none())
    }

    fn key(&self, keys: &[Column], row: usize, line: &[u8]) -> Option<Arc<str>> {
        if keys.is_empty() {
            return Some(Digest::of(line).to_string().into());
        }
        let text = keys.iter().find_map(|column| match &column.cells {
            _ if column.faults.binary_search_by_key(&(row as u32), |fault| fault.row).is_ok() => None,
            Cells::Text(cells) => std::str::from_utf8(cells.get(row)).ok().map(str::to_owned),
            Cells::Int(cells) => cells.get(row).map(i64::to_string),
            _ => None,
        });
        text.filter(|text| is_key(text)).map(Into::into)
    }

    fn describe(&self, line: u64, reason: &str, text: &[u8]) -> String {
        let shown: String = String::from_utf8_lossy(text).chars().take(80).collect();
        match self.feed.current() {
            Some((path, before)) => format!("{} line {}: {reason}: {shown}", path.display(), line - before),
            None => format!("line {line}: {reason}: {shown}"),
        }
    }
}

fn fault(column: &Column, row: usize, kind: FaultKind) -> Option<FaultKind> {
    let found = column.faults.binary_search_by_key(&(row as u32), |fault| fault.row).ok()?;
    column.faults.get(found).map(|fault| fault.kind).filter(|found| *found == kind)
}
