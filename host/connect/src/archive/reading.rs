//! An archive that is read back, file by file in their order. So the records of each split come in theirs. A split is announced
//! before the last of those that it goes on after has ended, and begins when their ends are settled, exactly as in the stream.

use super::catalog::{Before, Catalog, Entry, damaged, footer};
use super::order::Order;
use super::place::Place;
use super::rows::Records;
use super::settings::Settings;
use super::splits::{Splits, State};
use crate::saved;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::Instrument;
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::source::{Chunk, Intake, Source, SplitSender};
use wasmill_stream::{Error, ErrorKind, ExtendedSequence, Position, Positions, Result, Sequence, SplitId};

/// Records are handed on in pieces of this size.
const PIECE_BYTES: usize = 512 << 10;
/// And with so many records at most.
const PIECE_RECORDS: usize = 4_096;
/// Row groups that may wait while one is handed on.
const AHEAD: usize = 1;

/// An archive whose settings were checked.
pub struct Archive {
    /// The name of the source.
    pub name: String,
    /// What to read.
    pub settings: Settings,
}

/// What the next run has to know: what was there when reading began.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    place: String,
    source: String,
    from: i64,
    until: Option<i64>,
    newest: Option<Order>,
}

#[async_trait]
impl Source for Archive {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let read = async {
            let (mut reading, files) = Reading::begin(self.name, self.settings, &intake).await?;
            reading.run(files).await
        };
        let result = tokio::select! {
            result = read => result,
            () = intake.stopped() => return Ok(()),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
            result => result,
        }
    }
}

struct Reading<'i> {
    name: String,
    settings: Settings,
    place: Arc<Place>,
    intake: &'i Intake,
    splits: Splits<SplitSender>,
    /// Records that are not handed on yet, in the order in which their splits have come.
    pieces: Vec<Piece>,
    /// Records that were there twice.
    repeated: u64,
}

/// Records of a split.
#[derive(Default)]
struct Piece {
    part: String,
    values: BinaryBuilder,
    positions: Vec<Position>,
    arrivals: Vec<i64>,
}

/// What comes of the files.
enum Item {
    /// The records of a row group, and where their file stands.
    Records(Order, Records),
    /// The end of a file.
    End(Order),
}

impl<'i> Reading<'i> {
    async fn begin(name: String, settings: Settings, intake: &'i Intake) -> Result<(Self, Vec<Entry>)> {
        let place = Place::open(&settings.place).await?;
        let resume = intake.resume().cloned().unwrap_or_default();
        let was: Option<Note> = saved::note(intake.resume(), "an archive")?;
        let mut note = Note {
            place: place.name(""),
            source: settings.source.clone(),
            from: settings.from,
            until: settings.until,
            newest: was.as_ref().and_then(|was| was.newest),
        };
        if was.as_ref().is_some_and(|was| *was != note) {
            let what = format!("the checkpoint is not that of {} with this `source`, `from` and `until`", note.place);
            return Err(Error::invalid(what).hint("put them back as they were, or give this source another name"));
        }
        let before = Before { newest: note.newest, marks: &resume.splits };
        let Catalog { files, splits, newest } = Catalog::read(&place, &settings, &before, intake.ledger()).await?;
        note.newest = note.newest.or(newest);
        // In every checkpoint that has any of them; before the first one, another start may find more.
        intake.note(serde_json::to_value(&note).unwrap_or_default());
        tracing::info!(files = files.len(), splits = splits.len(), "reading {}", place.name(""));
        let splits = Splits::new(splits, &resume.splits);
        let first = splits.first(&resume.splits);
        let place = Arc::new(place);
        let mut reading = Self { name, settings, place, intake, splits, pieces: Vec::new(), repeated: 0 };
        let ids = first.iter().map(|part| reading.id(part)).collect();
        let senders = intake.open(ids).await?;
        reading.announced(first, senders);
        Ok((reading, files))
    }

    async fn run(&mut self, files: Vec<Entry>) -> Result<()> {
        let (sender, mut items) = mpsc::channel(AHEAD);
        let fetching = fetch(self.place.clone(), files, self.intake.ledger().clone(), sender);
        let mut fetching = tokio::task::JoinSet::from_iter([fetching.in_current_span()]);
        while let Some(item) = items.recv().await {
            match item {
                Item::Records(order, records) => self.take(order, &records).await?,
                Item::End(order) => {
                    for part in self.splits.over(order) {
                        self.end(&part).await?;
                    }
                }
            }
        }
        while let Some(fetched) = fetching.join_next().await {
            fetched.map_err(|error| Error::internal("read an archive").with_source(error))??;
        }
        // Those that were read by a run before, and have not ended in it; and theirs.
        loop {
            let open = self.splits.open();
            if open.is_empty() {
                break;
            }
            for part in open {
                self.end(&part).await?;
            }
        }
        if self.repeated > 0 {
            tracing::warn!("{} records were in the archive twice and were read once", self.repeated);
        }
        Ok(())
    }

    /// Hands on the records of a row group.
    async fn take(&mut self, order: Order, records: &Records) -> Result<()> {
        let mut start = 0;
        for run in records.splits.chunk_by(|one, next| one.data() == next.data()) {
            let rows = start..start + run.len();
            start = rows.end;
            let part = run.first().and_then(|split| std::str::from_utf8(split.data()).ok()).unwrap_or_default();
            self.run_of(part, rows, order, records).await?;
        }
        let pieces = std::mem::take(&mut self.pieces);
        for piece in pieces {
            self.send(piece).await?;
        }
        Ok(())
    }

    /// Hands on records of one split that follow each other, or has them wait for others.
    async fn run_of(&mut self, part: &str, rows: Range<usize>, order: Order, records: &Records) -> Result<()> {
        let Settings { from, until, .. } = self.settings;
        let is_asked_for = |arrived: i64| from <= arrived && until.is_none_or(|until| arrived < until);
        for row in rows {
            let (arrived, position) = (records.arrived[row], records.positions[row]);
            if !is_asked_for(arrived) {
                continue;
            }
            match self.splits.get(part).map(|split| &split.state) {
                Some(State::Reads(_)) => {}
                Some(State::Waits(_) | State::Unknown) => self.start(part, order).await?,
                Some(State::Ended) | None => return Ok(()),
            }
            let Some(split) = self.splits.get(part) else { return Ok(()) };
            let was_seen = split.seen.is_some_and(|seen| covers(seen, position));
            if was_seen && matches!(position, Position::Number(_)) {
                return Err(began_anew(self.place.name(""), part, position));
            }
            split.seen = split.seen.max(Some(position));
            self.repeated += u64::from(was_seen);
            if split.after.is_none_or(|after| !covers(after, position)) {
                split.after = Some(position);
                let is_last = split.last == (order, position);
                self.push(part, records.data[row].data(), position, arrived).await?;
                if is_last {
                    return self.end(part).await;
                }
            }
        }
        Ok(())
    }

    /// Puts a record to the others of its split, and hands them on if they are a piece.
    async fn push(&mut self, part: &str, data: &[u8], position: Position, arrived: i64) -> Result<()> {
        let at = self.pieces.iter().rposition(|piece| piece.part == part);
        if let Some(at) = at
            && !self.pieces[at].takes(data, position)
        {
            let piece = Piece { part: part.to_owned(), ..Piece::default() };
            let full = std::mem::replace(&mut self.pieces[at], piece);
            self.send(full).await?;
        }
        if at.is_none() {
            self.pieces.push(Piece { part: part.to_owned(), ..Piece::default() });
        }
        let at = at.unwrap_or(self.pieces.len().saturating_sub(1));
        if let Some(piece) = self.pieces.get_mut(at) {
            piece.values.push(data);
            piece.positions.push(position);
            piece.arrivals.push(arrived);
        }
        Ok(())
    }

    async fn send(&mut self, piece: Piece) -> Result<()> {
        let Some(State::Reads(sender)) = self.splits.get(&piece.part).map(|split| &split.state) else { return Ok(()) };
        let (values, positions) = (piece.values.finish(), positions(piece.positions));
        // Whatever asked when they arrived in the stream is to see the same.
        sender.chunk(Chunk { values, positions, arrivals: Some(piece.arrivals) }).await
    }

    /// The first record of a split has come: those that it goes on after come to their ends before.
    async fn start(&mut self, part: &str, order: Order) -> Result<()> {
        // Whatever was there before it goes before it.
        let pieces = std::mem::take(&mut self.pieces);
        for piece in pieces {
            self.send(piece).await?;
        }
        let Some(split) = self.splits.get(part) else { return Ok(()) };
        let (parents, is_child) = (split.parents.clone(), split.is_child);
        if let State::Unknown = split.state {
            self.announce(vec![part.to_owned()]).await?;
        }
        let mut watermarks = Vec::new();
        for parent in &parents {
            // All that there is of it has come by.
            if self.splits.get(parent).is_some_and(|parent| parent.last.0 <= order) {
                Box::pin(self.end(parent)).await?;
            }
            let has_ended = matches!(self.splits.get(parent).map(|parent| &parent.state), Some(State::Ended));
            watermarks.push(match self.intake.resume_split(parent) {
                Some(mark) if mark.done => mark.watermark,
                _ if has_ended => self.intake.settled(&self.id(parent)).await?,
                // Its records and those of its child are mixed: there is no order between them.
                _ => None,
            });
        }
        let inherited = watermarks.into_iter().min().flatten().filter(|_| is_child);
        let Some(split) = self.splits.get(part) else { return Ok(()) };
        match std::mem::replace(&mut split.state, State::Ended) {
            State::Waits(sender) => {
                if let Some(watermark) = inherited {
                    sender.inherit(watermark).await?;
                }
                split.state = State::Reads(sender);
            }
            other => split.state = other,
        }
        Ok(())
    }

    /// A split has no more records: announces those that go on after it, then says that it is done.
    async fn end(&mut self, part: &str) -> Result<()> {
        if let Some(at) = self.pieces.iter().position(|piece| piece.part == part) {
            let piece = self.pieces.remove(at);
            self.send(piece).await?;
        }
        let is_open = |state: &State<_>| matches!(state, State::Waits(_) | State::Reads(_));
        if !self.splits.get(part).is_some_and(|split| is_open(&split.state)) {
            return Ok(());
        }
        self.announce(self.splits.unknown_children(part)).await?;
        let Some(split) = self.splits.get(part) else { return Ok(()) };
        match std::mem::replace(&mut split.state, State::Ended) {
            State::Waits(sender) | State::Reads(sender) => sender.done().await,
            State::Unknown | State::Ended => Ok(()),
        }
    }

    async fn announce(&mut self, parts: Vec<String>) -> Result<()> {
        if parts.is_empty() {
            return Ok(());
        }
        let senders = self.intake.open_more(parts.iter().map(|part| self.id(part)).collect()).await?;
        self.announced(parts, senders);
        Ok(())
    }

    fn announced(&mut self, parts: Vec<String>, senders: Vec<SplitSender>) {
        for (part, sender) in parts.into_iter().zip(senders) {
            if let Some(split) = self.splits.get(&part) {
                split.state = State::Waits(sender);
            }
        }
    }

    fn id(&self, part: &str) -> SplitId {
        SplitId::new(&self.name, part)
    }
}

impl Piece {
    /// Whether another record may come to it.
    fn takes(&self, data: &[u8], position: Position) -> bool {
        let follows = match (self.positions.last(), position) {
            (Some(Position::Number(last)), Position::Number(next)) => last.checked_add(1) == Some(next),
            _ => true,
        };
        follows
            && self.positions.len() < PIECE_RECORDS
            && (self.positions.is_empty() || self.values.total_bytes() + data.len() <= PIECE_BYTES)
    }
}

/// Whether somebody who has all up to a position has that one too.
fn covers(after: Position, position: Position) -> bool {
    match (after, position) {
        (Position::Sequence(after), Position::Sequence(position)) => after.covers(&position),
        (after, position) => position <= after,
    }
}

fn positions(all: Vec<Position>) -> Positions {
    if let Some(Position::Number(first)) = all.first() {
        return Positions::Consecutive { first: *first };
    }
    let places = || {
        all.iter().filter_map(|position| match position {
            Position::Sequence(place) => Some(*place),
            Position::Number(_) => None,
        })
    };
    match places().all(|place| place.sub.is_none()) {
        true => Positions::Sequences(places().map(|place| place.sequence).collect::<Vec<Sequence>>()),
        false => Positions::Extended(places().collect::<Vec<ExtendedSequence>>()),
    }
}

fn began_anew(place: String, part: &str, position: Position) -> Error {
    let message = format!("{place}: split {part} has record {position} more than once: its numbers began anew");
    Error::invalid(message).hint(
        "it was archived by several runs of a job without checkpoints, or of one that reads a pipe; `from` and `until` choose \
         the records of one of them",
    )
}

/// Reads row groups ahead of whoever hands them on.
async fn fetch(place: Arc<Place>, files: Vec<Entry>, ledger: Arc<StepLedger>, to: mpsc::Sender<Item>) -> Result<()> {
    for Entry { found, order } in files {
        let layout = Arc::new(footer(&place, &found, &ledger).await?);
        for group in 0..layout.groups() {
            let damaged = |message: String| damaged(&place, &found, &format!("row group {group}: {message}"));
            let range = layout.range(group, found.bytes).map_err(damaged)?;
            let (start, layout) = (range.start, layout.clone());
            let bytes = place.read(&found.name, range, &ledger).await?;
            let read = tokio::task::spawn_blocking(move || layout.records(group, start, bytes)).await;
            let records = read.map_err(|_| damaged("it cannot be read".to_owned()))?.map_err(damaged)?;
            if to.send(Item::Records(order, records)).await.is_err() {
                return Ok(());
            }
        }
        if to.send(Item::End(order)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
