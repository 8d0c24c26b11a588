//! The `stdin` source: the lines of standard input as one split. It reads on a thread that nobody waits for, since a read
//! of a terminal or pipe cannot be broken off.

use crate::lines::{Fill, LineReader, Run};
use async_trait::async_trait;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};
use wasmill_stream::config::{Problems, Section};
use wasmill_stream::source::{Intake, Source, SplitSender};
use wasmill_stream::{Error, ErrorKind, Positions, Result, SplitId};

/// How long the input must be silent for the split to be caught up.
const SILENCE: Duration = Duration::from_millis(100);

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
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let Self { name, input } = *self;
        let Some(split) = intake.open(vec![SplitId::new(&name, 0)]).await?.pop() else { return Ok(()) };
        let (runs, mut queue) = mpsc::channel(2);
        let reader = thread::Builder::new().name("stdin".to_owned()).spawn(move || read(input, &runs));
        reader.map_err(|error| Error::unavailable("start a thread to read with").with_source(error))?;
        loop {
            tokio::select! {
                runs = queue.recv() => match runs {
                    Some(Ok(runs)) if runs.is_empty() => return split.done().await,
                    Some(Ok(runs)) => hand_over(runs, &split).await?,
                    Some(Err(error)) => {
                        return Err(Error::invalid("read its input").with_source(error));
                    }
                    None => return Err(Error::new(ErrorKind::Corrupt, "its reader panicked")),
                },
                () = tokio::time::sleep(SILENCE) => split.caught_up().await?,
                () = intake.stopped() => return Ok(()),
            }
        }
    }
}

async fn hand_over(runs: Vec<Run>, split: &SplitSender) -> Result<()> {
    for run in runs {
        split.rows(run.values, Positions::Consecutive { first: run.first }).await?;
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
