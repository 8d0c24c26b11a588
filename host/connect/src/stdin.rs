//! The `stdin` source: the lines of standard input as one split. It reads on a thread that nobody waits for, since a read
//! of a terminal or pipe cannot be broken off.
//!
//! A pipe cannot be read again. A job that goes on from a checkpoint takes whatever standard input it has now for the rest of
//! the stream, numbers its lines on from the last one of the checkpoint so that no position means two lines, and says so:
//! lines that were read after the checkpoint are lost unless whoever writes them sends them again.

use crate::lines::{Fill, LineReader, Run};
use async_trait::async_trait;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::source::{CaughtUp, Intake, Source, SplitSender};
use wasmill_stream::{Error, ErrorKind, Position, Positions, Result, SplitId};

/// How long the input must be silent for the split to be caught up.
const SILENCE: Duration = Duration::from_millis(100);

/// The name of the one split.
const PART: &str = "0";

/// It has no settings.
pub fn check(name: &str, _section: &mut Section<'_>, _problems: &mut Problems) -> Option<Box<dyn Source>> {
    Some(Box::new(lines_of(name, io::stdin())))
}

/// A source called `name` of the lines of a pipe, a terminal or anything else that is read as it comes.
pub fn lines_of<R: Read + Send + 'static>(name: &str, input: R) -> impl Source + use<R> {
    Lines { name: name.to_owned(), input }
}

struct Lines<R> {
    name: String,
    input: R,
}

#[async_trait]
impl<R: Read + Send + 'static> Source for Lines<R> {
    fn rereads(&self) -> bool {
        false
    }

    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let Self { name, input } = *self;
        let before = last_line(&intake)?;
        let Some(before) = before else {
            tracing::warn!("standard input had ended before the checkpoint: what comes now is not read");
            return intake.open(Vec::new()).await.map(drop);
        };
        let Some(split) = intake.open(vec![SplitId::new(&name, PART)]).await?.pop() else { return Ok(()) };
        let (runs, mut queue) = mpsc::channel(2);
        let reader = thread::Builder::new().name("stdin".to_owned()).spawn(move || read(input, &runs));
        reader.map_err(|error| Error::unavailable("start a thread to read with").with_source(error))?;
        loop {
            tokio::select! {
                runs = queue.recv() => match runs {
                    Some(Ok(runs)) if runs.is_empty() => return split.done().await,
                    Some(Ok(runs)) => hand_over(runs, before, &split).await?,
                    Some(Err(error)) => {
                        return Err(Error::invalid("read its input").with_source(error));
                    }
                    None => return Err(Error::new(ErrorKind::Corrupt, "its reader panicked")),
                },
                () = tokio::time::sleep(SILENCE) => split.caught_up(CaughtUp::UntilNext).await?,
                () = intake.stopped() => return Ok(()),
            }
        }
    }
}

/// The last line of which a checkpoint knows, 0 without one; `None` if the input had ended.
fn last_line(intake: &Intake) -> Result<Option<u64>> {
    if intake.resume().is_none() {
        return Ok(Some(0));
    }
    let mark = intake.resume_split(PART).unwrap_or_default();
    let line = match mark.position {
        None => 0,
        Some(Position::Number(line)) => line,
        Some(Position::Sequence(sequence)) => {
            let what = format!("the checkpoint has the position {sequence}, which is no line of standard input");
            return Err(Error::invalid(what).hint("give this source another name"));
        }
    };
    if !mark.done {
        tracing::warn!(
            line,
            "standard input cannot be read again: it is taken to go on behind this line; lines that were read after the \
             checkpoint are lost unless they come again"
        );
    }
    Ok((!mark.done).then_some(line))
}

async fn hand_over(runs: Vec<Run>, before: u64, split: &SplitSender) -> Result<()> {
    for run in runs {
        split.rows(run.values, Positions::Consecutive { first: before + run.first }).await?;
    }
    Ok(())
}

/// Hands over lines, and at last none, until the end or until nobody listens any more.
fn read(input: impl Read, queue: &Sender<io::Result<Vec<Run>>>) {
    let mut lines = LineReader::new(input, Fill::Prompt);
    loop {
        let runs = lines.read();
        let ended = !matches!(&runs, Ok(runs) if !runs.is_empty());
        if queue.blocking_send(runs).is_err() || ended {
            return;
        }
    }
}
