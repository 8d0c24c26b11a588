//! `wasmill dead-letter`: what the sink `[dead_letter]` of a job has written: counted, shown, and sent once more.

use super::drive::drive;
use super::{Exit, JobArguments, job, stdout};
use crate::dead_letters::{Concerns, Digest, Filter, Leaf, Replay, Witness, files, for_each};
use crate::driver::{Manner, View};
use crate::progress::Snapshot;
use crate::terminal::Terminal;
use std::path::PathBuf;
use std::time::Duration;
use wasmill_engine::DeadLetters;
use wasmill_stream::{Error, ErrorKind, Result};

/// List, show or replay dead letters.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Count letters by cause, step and reason
    List(List),
    /// Print letters with everything that is known
    Show(Show),
    /// Send the records of letters once more through a job, in the place of its sources
    Replay(ReplayArguments),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    letters: LetterArguments,
    /// At most so many groups
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    letters: LetterArguments,
    /// At most so many letters
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// Leave out so many before
    #[arg(long, default_value_t = 0)]
    offset: usize,
}

#[derive(Debug, clap::Args)]
struct ReplayArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    letters: LetterArguments,
    /// Replay although results of whole windows will be overwritten by those of the replayed rows alone
    #[arg(long)]
    yes: bool,
}

/// Which letters.
#[derive(Debug, clap::Args)]
struct LetterArguments {
    /// Files that a `file` sink has written, .jsonl or .jsonl.gz, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
}

/// Does it.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Exit> {
    match &arguments.command {
        Command::List(arguments) => list(arguments),
        Command::Show(arguments) => show(arguments),
        Command::Replay(arguments) => replay(arguments, terminal),
    }
}

fn list(arguments: &List) -> Result<Exit> {
    let LetterArguments { files: paths, filter } = &arguments.letters;
    let mut digest = Digest::default();
    for_each(&files(paths)?, |letter| {
        if filter.takes(&letter.letter) {
            digest.add(&letter.letter);
        }
        Ok(())
    })?;
    stdout::print(digest.table(arguments.limit))?;
    Ok(Exit::Done)
}

fn show(arguments: &Show) -> Result<Exit> {
    let LetterArguments { files: paths, filter } = &arguments.letters;
    let (mut seen, end) = (0, arguments.offset.saturating_add(arguments.limit));
    for_each(&files(paths)?, |letter| {
        if filter.takes(&letter.letter) {
            if (arguments.offset..end).contains(&seen) {
                stdout::line(Leaf(&letter))?;
            }
            seen += 1;
        }
        Ok(())
    })?;
    let shown = end.min(seen).saturating_sub(arguments.offset);
    let hint = if seen > end { format!("; --offset {end} shows the next") } else { String::new() };
    stdout::line(format_args!("{shown} of {seen} letters{hint}"))?;
    Ok(Exit::Done)
}

fn replay(arguments: &ReplayArguments, terminal: &Terminal) -> Result<Exit> {
    let LetterArguments { files: paths, filter } = &arguments.letters;
    let mut replay = Replay::default();
    // All are read before the job starts: it may write its letters to the same folder.
    for_each(&files(paths)?, |letter| {
        if filter.takes(&letter.letter) {
            replay.add(letter);
        }
        Ok(())
    })?;
    let Some(mut job) = job::examine(&arguments.job, true, terminal)?.job else { return Ok(Exit::Invalid) };
    warn(&replay.concerns(&job.graph), arguments.yes, terminal)?;
    replay.feed(&mut job.graph);
    for (letters, why) in replay.left_out() {
        terminal.note(&format!("not replayed: {letters} letters {why}"));
    }
    if replay.repeated() > 0 {
        let repeated = replay.repeated();
        terminal.note(&format!("{repeated} letters are about a record of another letter, which goes in once"));
    }
    let records = replay.records();
    if records == 0 {
        return Err(Error::invalid("none of the letters can be replayed"));
    }
    terminal.note(&job.outline.to_string());
    let witness = Witness::default();
    let is_watched = job.graph.dead_letters.is_some();
    job.graph.dead_letters =
        job.graph.dead_letters.map(|letters| DeadLetters { sink: witness.watch(letters.sink), ..letters });
    // Letters are no part of the stream: the job's own positions stay as they are.
    job.checkpoint = None;
    let exit = drive(job, Manner::default(), || Lines(terminal.clone()), terminal)?;
    if exit == Exit::Done {
        let (sent, died) = (replay.sent(), witness.records());
        let not_sent = if sent < records { format!(" of {records}") } else { String::new() };
        let outcome = if is_watched {
            format!(": {} went through, {died} died again", sent - died.min(sent))
        } else {
            "; without [dead_letter] in the job, its balance says what became of them".to_owned()
        };
        stdout::line(format_args!("replayed {sent}{not_sent} records{outcome}"))?;
        if witness.others() > 0 {
            stdout::line(format_args!("{} windows or timers died as well", witness.others()))?;
        }
    }
    Ok(exit)
}

/// Says how the replay differs from what would have been, and refuses what would destroy results.
fn warn(concerns: &Concerns, yes: bool, terminal: &Terminal) -> Result<()> {
    let Concerns { windows, states, overwritten, doubled } = concerns;
    let list = |names: &[String]| names.join(", ");
    if !windows.is_empty() {
        let names = list(windows);
        terminal
            .note(&format!("warning: the windows of {names} hold only the replayed rows; their results are partial"));
    }
    if !states.is_empty() {
        let names = list(states);
        terminal.note(&format!("warning: the states of {names} begin empty; what they tell may differ"));
    }
    if !doubled.is_empty() {
        let names = list(doubled);
        terminal.note(&format!(
            "warning: {names} cannot overwrite: rows of these records that they had by another way are written twice"
        ));
    }
    if overwritten.is_empty() || yes {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!(
            "{} would overwrite earlier results with partial ones, made of the replayed rows alone; replay with a job \
             that writes elsewhere, or add --yes",
            list(overwritten)
        ),
    ))
}

/// Progress as lines.
struct Lines(Terminal);

impl View for Lines {
    fn interval(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn show(&mut self, now: &Snapshot) {
        self.0.note(&now.to_string());
    }
}
