//! The `replay` source: plays recorded files or generated events as a stream of N splits, as fast as it goes or in step
//! with their event time. A thread of its own reads and deals; the async side only waits and hands over, so that neither
//! disk nor decompression ever blocks the I/O runtime. It does not know what a record means beyond its time and key.
//!
//! Positions: with one split and no markers a record's position is its line, counted from 1 and on over all files.
//! Otherwise the records of each split, markers included, are numbered from 1.
//!
//! A replay that goes on reads its input from the start and drops what each split has had.

pub mod csv;
mod dealer;
pub mod files;
mod markers;
pub mod objects;
mod pace;
mod packing;
pub mod playback;
mod proof;
mod settings;
mod skip;
pub mod taxi;

use crate::lines::Run;
use async_trait::async_trait;
use dealer::{Cue, Dealer};
use markers::Markers;
use pace::Pace;
use proof::{FileProof, Input, Proof};
use skip::Skip;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::source::{CaughtUp, Intake, Source, SplitSender};
use wasmill_stream::{Error, ErrorKind, Positions, Result, SplitId};

pub use settings::check;

/// A wait that is shorter is no reason to call a split caught up.
const NOTICEABLE: Duration = Duration::from_millis(100);

/// Where records come from. Runs on the reader's thread and may block.
trait Feed {
    /// The next records; none at the end.
    fn read(&mut self) -> Result<Vec<Run>>;
}

/// A replay whose settings were checked.
struct Replay {
    name: String,
    what: What,
    splits: usize,
    /// Where the event time is; there if `speedup` or `markers` is.
    time: Option<FieldSpec>,
    /// `None`: as fast as it goes.
    speedup: Option<f64>,
    partition_by: Option<FieldSpec>,
    markers: Option<Markers>,
}

enum What {
    Files(files::Files),
    Taxi(taxi::Trips),
}

#[async_trait]
impl Source for Replay {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let resume = intake.resume().cloned();
        let before = Proof::of(resume.as_ref())?;
        before.as_ref().map_or(Ok(()), |before| before.check_splits(self.splits))?;
        let resume = resume.filter(|_| before.is_some());
        let skip = Skip::new(self.splits, resume.as_ref())?;
        let parts: Vec<_> = (0..self.splits).filter(|&part| !skip.is_done(part)).collect();
        let splits = parts.iter().map(|part| SplitId::new(&self.name, part)).collect();
        let mut senders: Vec<Option<SplitSender>> = (0..self.splits).map(|_| None).collect();
        let pace = self.speedup.map(Pace::new);
        let (proof, proven) = oneshot::channel();
        let (cues, queue) = mpsc::channel(2);
        let reader = thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || self.read(before, skip, proof, &cues))
            .map_err(|error| Error::unavailable("start a thread to read with").with_source(error))?;
        let proven = tokio::select! {
            proven = proven => proven,
            () = intake.stopped() => return Ok(()),
        };
        // Without a proof the reader has failed and says why below.
        if let Ok(proof) = proven {
            intake.note(serde_json::to_value(proof).map_err(|error| Error::internal(error.to_string()))?);
        }
        // Not before: every checkpoint with the splits has the note.
        for (part, sender) in parts.into_iter().zip(intake.open(splits).await?) {
            senders[part] = Some(sender);
        }
        match play(&senders, queue, pace, &intake).await {
            Ok(()) => {}
            // The reader ends at its next hand-over. Splits that were stopped are not done.
            Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
            Err(error) => return Err(error),
        }
        match reader.join() {
            Ok(result) => result?,
            Err(_) => return Err(Error::new(ErrorKind::Corrupt, "its reader panicked")),
        }
        for sender in senders.into_iter().flatten() {
            sender.done().await?;
        }
        Ok(())
    }
}

impl Replay {
    /// Reads and deals until the end or until nobody listens any more.
    fn read(
        self,
        before: Option<Proof>,
        mut skip: Skip,
        proof: oneshot::Sender<Proof>,
        queue: &Sender<Vec<Cue>>,
    ) -> Result<()> {
        let (splits, exact, dealing) = (self.splits, self.markers.is_some(), self.dealing());
        let slice = self.speedup.map(Pace::slice);
        let mut dealer = Dealer::new(splits, self.time.as_ref(), self.partition_by.as_ref(), slice, self.markers);
        let (mut feed, input, paths) = self.what.open()?;
        let now = Proof { splits, exact, dealing, input };
        if let Some(before) = before {
            now.follows(&before, &paths)?;
        }
        // Nobody listens any more if the job has stopped, which the queue will say too.
        let _ = proof.send(now);
        loop {
            let runs = feed.read()?;
            let ended = runs.is_empty();
            let mut cues = Vec::new();
            for run in runs {
                dealer.deal(run, &mut cues);
            }
            if ended {
                dealer.finish(&mut cues);
            }
            let cues = skip.filter(cues)?;
            if queue.blocking_send(cues).is_err() {
                return Ok(());
            }
            if ended {
                return skip.finish();
            }
        }
    }

    /// The settings that decide which record gets which position.
    fn dealing(&self) -> Vec<(String, String)> {
        let named = |name: &str, value: Option<String>| (name.to_owned(), value.unwrap_or_else(|| "absent".to_owned()));
        let mut settings = vec![named("markers", Some(self.markers.is_some().to_string()))];
        if self.splits > 1 {
            settings.push(named("partition_by", self.partition_by.as_ref().map(ToString::to_string)));
        }
        if let Some(markers) = &self.markers {
            settings.push(named("time", self.time.as_ref().map(ToString::to_string)));
            let end = match &self.what {
                What::Files(files) => ("limit", files.limit),
                What::Taxi(trips) => ("trips", trips.left()),
            };
            settings.push(named(end.0, end.1.map(|records| records.to_string())));
            settings.extend(markers.settings().map(|(name, value)| named(name, Some(value))));
            // Earlier versions wrote it behind the first record.
            settings.push(named("first_marker", Some("behind the third record".to_owned())));
        }
        settings
    }
}

impl What {
    /// Opens it, and says what it is.
    fn open(self) -> Result<(Box<dyn Feed>, Input, Vec<PathBuf>)> {
        match self {
            Self::Files(files) => {
                let feed = files.open()?;
                let paths = feed.paths();
                let prove = |path: &PathBuf| {
                    FileProof::of(path).map_err(|error| files::failed(path, packing::Packing::None, error))
                };
                let proofs = paths.iter().map(prove).collect::<Result<_>>()?;
                Ok((Box::new(feed), Input::Files(proofs), paths))
            }
            Self::Taxi(trips) => {
                let input = Input::Generated(trips.settings());
                Ok((Box::new(trips), input, Vec::new()))
            }
        }
    }
}

/// Hands over what the reader deals, in the order of the input: all splits share one budget, so a split that waited for
/// another would wait for ever.
async fn play(
    senders: &[Option<SplitSender>],
    mut queue: Receiver<Vec<Cue>>,
    mut pace: Option<Pace>,
    intake: &Intake,
) -> Result<()> {
    loop {
        let cues = tokio::select! {
            cues = queue.recv() => cues,
            () = intake.stopped() => return Err(stopped()),
        };
        let Some(cues) = cues else { return Ok(()) };
        for cue in cues {
            match (cue, &mut pace) {
                (Cue::Rows { split, first, values }, _) => {
                    // What a split that has ended would get is an error of the reader.
                    if let Some(sender) = &senders[split] {
                        sender.rows(values, Positions::Consecutive { first }).await?;
                    }
                }
                (Cue::Wait(time), Some(pace)) => wait(pace.instant(time), senders, intake).await?,
                (Cue::Wait(_), None) => {}
            }
        }
    }
}

async fn wait(due: Instant, senders: &[Option<SplitSender>], intake: &Intake) -> Result<()> {
    let now = Instant::now();
    if due <= now {
        return Ok(());
    }
    if due > now + NOTICEABLE {
        for sender in senders.iter().flatten() {
            sender.caught_up(CaughtUp::UntilNext).await?;
        }
    }
    tokio::select! {
        () = sleep_until(due) => Ok(()),
        () = intake.stopped() => Err(stopped()),
    }
}

fn stopped() -> Error {
    Error::closed("the job has stopped")
}
