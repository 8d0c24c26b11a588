//! The `replay` source: plays recorded files or generated events as a stream of N splits, as fast as it goes or in step
//! with their event time. A thread of its own reads and deals; the async side only waits and hands over, so that neither
//! disk nor decompression ever blocks the I/O runtime. It does not know what a record means beyond its time and key.
//!
//! Positions: with one split and no markers a record's position is its line, counted from 1 and on over all files.
//! Otherwise the records of each split, markers included, are numbered from 1.

mod csv;
mod dealer;
mod files;
mod markers;
mod pace;
mod settings;
pub mod taxi;

use crate::lines::Run;
use async_trait::async_trait;
use dealer::{Cue, Dealer};
use markers::Markers;
use pace::Pace;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};
use wasmill_stream::field::FieldSpec;
use wasmill_stream::source::{Intake, Source, SplitSender};
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
        let splits = (0..self.splits).map(|part| SplitId::new(&self.name, part)).collect();
        let senders = intake.open(splits).await?;
        let pace = self.speedup.map(Pace::new);
        let (cues, queue) = mpsc::channel(2);
        let reader = thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || self.read(&cues))
            .map_err(|error| Error::unavailable("start a thread to read with").with_source(error))?;
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
        for sender in senders {
            sender.done().await?;
        }
        Ok(())
    }
}

impl Replay {
    /// Reads and deals until the end or until nobody listens any more.
    fn read(self, queue: &Sender<Vec<Cue>>) -> Result<()> {
        let slice = self.speedup.map(Pace::slice);
        let mut dealer = Dealer::new(self.splits, self.time.as_ref(), self.partition_by.as_ref(), slice, self.markers);
        let mut feed: Box<dyn Feed> = match self.what {
            What::Files(files) => Box::new(files.open()?),
            What::Taxi(trips) => Box::new(trips),
        };
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
            if queue.blocking_send(cues).is_err() || ended {
                return Ok(());
            }
        }
    }
}

/// Hands over what the reader deals, in the order of the input: all splits share one budget, so a split that waited for
/// another would wait for ever.
async fn play(
    senders: &[SplitSender],
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
                    senders[split].rows(values, Positions::Consecutive { first }).await?;
                }
                (Cue::Wait(time), Some(pace)) => wait(pace.instant(time), senders, intake).await?,
                (Cue::Wait(_), None) => {}
            }
        }
    }
}

async fn wait(due: Instant, senders: &[SplitSender], intake: &Intake) -> Result<()> {
    let now = Instant::now();
    if due <= now {
        return Ok(());
    }
    if due > now + NOTICEABLE {
        for sender in senders {
            sender.caught_up().await?;
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
