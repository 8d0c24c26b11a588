//! Makes connectors from job-file settings, and listens to a source as the engine would: one queue per worker, a budget of
//! bytes, a wish to stop. It processes nothing.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use toml::de::DeTable;
use wasmill_connect::checkpoint_store::{self, StorePlace};
use wasmill_connect::{ARCHIVES, SINKS, SOURCES};
use wasmill_stream::access::{Access, Role};
use wasmill_stream::config::{Parameters, Problem, Problems, Section};
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::Sink;
use wasmill_stream::source::{
    CaughtUp, Chunk, Delivery, Ends, HoldUps, Intake, Resume, Source, SourceNote, SplitEvent, WorkerQueue,
};
use wasmill_stream::{ExtendedSequence, Position, Positions, Result, SplitId};

/// Longer than anything takes, so that a hang becomes a failure.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The value of `${SECRET}` in settings.
pub const SECRET: &str = "hunter2";

/// A source called `in` of this kind, or every problem with its settings.
pub fn source(kind: &str, settings: &str) -> Result<Box<dyn Source>, Vec<Problem>> {
    let kind = SOURCES.iter().find(|source| source.name == kind).expect("a listed kind of source");
    checked("source in", settings, &parameters, |section, problems| (kind.check)("in", section, problems))
}

/// A sink called `out` of this kind, or every problem with its settings.
pub fn sink(kind: &str, settings: &str) -> Result<Box<dyn Sink>, Vec<Problem>> {
    let kind = SINKS.iter().find(|sink| sink.name == kind).expect("a listed kind of sink");
    checked("sink out", settings, &parameters, |section, problems| (kind.check)("out", section, problems))
}

/// The same in a job with the rights of a role, whose credentials are lent at this address.
pub fn sink_of_role(kind: &str, settings: &str, lent_at: &str) -> Result<Box<dyn Sink>, Vec<Problem>> {
    let kind = SINKS.iter().find(|sink| sink.name == kind).expect("a listed kind of sink");
    let role = Role {
        arn: "arn:aws:iam::123456789012:role/suite".to_owned(),
        session: "suite".to_owned(),
        external_id: None,
        policy: None,
        lent_at: Some(lent_at.to_owned()),
    };
    checked("sink out", settings, &OfRole(role), |section, problems| (kind.check)("out", section, problems))
}

/// What is around a job with the rights of a role.
#[derive(Debug)]
struct OfRole(Role);

impl Access for OfRole {
    fn role(&self) -> Option<Role> {
        Some(self.0.clone())
    }
}

impl Parameters for OfRole {
    fn get(&self, name: &str) -> Option<String> {
        parameters(name)
    }

    fn access(&self) -> &dyn Access {
        self
    }
}

fn parameters(name: &str) -> Option<String> {
    (name == "SECRET").then(|| SECRET.to_owned())
}

/// An archive of this kind, or every problem with its settings.
pub fn archive(kind: &str, settings: &str) -> Result<Box<dyn Sink>, Vec<Problem>> {
    let kind = ARCHIVES.iter().find(|sink| sink.name == kind).expect("a listed kind of archive");
    checked("archive", settings, &parameters, |section, problems| (kind.check)("archive", section, problems))
}

/// A place for checkpoints, or every problem with its settings.
pub fn store_place(settings: &str) -> Result<StorePlace, Vec<Problem>> {
    checked("checkpoint", settings, &parameters, |section, problems| {
        checkpoint_store::check(section, "checkpoints", problems)
    })
}

fn checked<T>(
    title: &str,
    settings: &str,
    parameters: &dyn Parameters,
    check: impl FnOnce(&mut Section<'_>, &mut Problems) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let table = DeTable::parse(settings).expect("valid TOML");
    let place = table.span();
    let mut section = Section::new(title, place, table.into_inner(), parameters);
    let mut problems = Problems::default();
    let made = check(&mut section, &mut problems);
    let own_problems = !problems.is_empty();
    section.finish(&mut problems);
    assert_eq!(made.is_none(), own_problems, "a check returns nothing if and only if it has found a problem");
    match made {
        Some(made) if problems.is_empty() => Ok(made),
        _ => Err(problems.into_sorted()),
    }
}

/// Where a record stood in its split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line or record number.
    Number(u64),
    /// A Kinesis sequence number, and a sub-sequence number where there is one.
    Sequence(ExtendedSequence),
}

impl Place {
    /// As the host writes it.
    pub fn position(self) -> Position {
        match self {
            Self::Number(number) => Position::Number(number),
            Self::Sequence(sequence) => Position::Sequence(sequence),
        }
    }
}

/// What one split has said.
#[derive(Debug, Default)]
pub struct Heard {
    /// Its records and where they stood.
    pub records: Vec<(Place, String)>,
    /// How often it had nothing to read.
    pub caught_up: usize,
    /// What it knew when it last said so.
    pub knows: Option<CaughtUp>,
    /// The watermark of the splits after which it goes on.
    pub inherited: Option<i64>,
    /// Whether it has ended.
    pub done: bool,
}

impl Heard {
    /// The records without their places.
    pub fn values(&self) -> Vec<&str> {
        self.records.iter().map(|(_, value)| value.as_str()).collect()
    }
}

/// A source that runs, and what has been heard of it so far.
pub struct Listener {
    running: JoinHandle<Result<()>>,
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
    note: SourceNote,
    ends: Ends,
    keeps_checkpoints: bool,
    /// What it counts and remarks.
    pub ledger: Arc<StepLedger>,
    /// What keeps it from reading.
    pub hold_ups: HoldUps,
    /// The checkpoint it goes on from.
    resume: Option<Resume>,
    /// What each split has said.
    pub splits: BTreeMap<SplitId, Heard>,
    /// The splits that have ended, the first to end first.
    pub ended: Vec<SplitId>,
    /// All records in the order in which they were heard.
    pub records: Vec<String>,
    /// Records that are never finished with, as in a job whose sinks hang.
    held: Option<Vec<Chunk>>,
}

struct Worker {
    queue: mpsc::Receiver<Delivery>,
    opened: bool,
}

impl Listener {
    /// Starts a source for so many workers.
    pub fn start(source: Box<dyn Source>, workers: usize, budget_bytes: u32) -> Self {
        Self::go_on(source, workers, budget_bytes, None)
    }

    /// Starts a source that goes on from a checkpoint.
    pub fn go_on(source: Box<dyn Source>, workers: usize, budget_bytes: u32, resume: Option<Resume>) -> Self {
        Self::begin(source, workers, budget_bytes, resume, false)
    }

    /// Starts a source in a job with checkpoints: [`Listener::publish`] makes one.
    pub fn with_checkpoints(
        source: Box<dyn Source>,
        workers: usize,
        budget_bytes: u32,
        resume: Option<Resume>,
    ) -> Self {
        Self::begin(source, workers, budget_bytes, resume, true)
    }

    fn begin(
        source: Box<dyn Source>,
        workers: usize,
        budget_bytes: u32,
        resume: Option<Resume>,
        keeps_checkpoints: bool,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mut queues, mut listening) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (sender, queue) = mpsc::channel(16);
            queues.push(WorkerQueue { sender, wake: Arc::new(|| ()) });
            listening.push(Worker { queue, opened: false });
        }
        let intake = Intake::new(queues, budget_bytes, stopped).resuming(resume.clone());
        let (ends, ledger) = (Ends::default(), Arc::new(StepLedger::default()));
        let intake = intake.keeping_checkpoints(keeps_checkpoints).settling(ends.clone()).counting(ledger.clone());
        let (note, hold_ups) = (intake.notes(), intake.hold_ups());
        let running = tokio::spawn(source.run(intake));
        let (splits, ended, records) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self {
            running,
            workers: listening,
            stop,
            note,
            ends,
            keeps_checkpoints,
            ledger,
            hold_ups,
            resume,
            splits,
            ended,
            records,
            held: None,
        }
    }

    /// The checkpoint that an engine would make now: of what was heard, and of what the checkpoint before knew.
    pub fn checkpoint(&self) -> Resume {
        let before = self.resume.clone().unwrap_or_default();
        let mut splits = before.splits;
        for (split, heard) in &self.splits {
            let mark = splits.entry(split.part().to_owned()).or_default();
            mark.done |= heard.done;
            mark.position = heard.records.last().map(|(place, _)| place.position()).or(mark.position);
        }
        Resume { note: self.note.get(), splits }
    }

    /// Publishes a checkpoint that was made earlier, with the note as it is now.
    pub fn publish(&self, checkpoint: &Resume) {
        self.note.kept(self.note.edition().1);
        let ended = checkpoint.splits.iter().filter(|(_, mark)| mark.done);
        self.ends.settle(ended.map(|(part, mark)| (SplitId::new("in", part), mark.watermark)));
    }

    /// From now on, no record is ever finished with, so that the source has to wait once the budget is used up.
    pub fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Asks the source to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Listens until `enough`, or until the source has returned and all that it sent is heard.
    pub async fn listen_until(&mut self, mut enough: impl FnMut(&BTreeMap<SplitId, Heard>) -> bool) {
        let listen = async { while !enough(&self.splits) && self.hear_next(0).await {} };
        tokio::time::timeout(PATIENCE, listen).await.expect("the source says something in time");
    }

    /// Listens for as long as something outside is so, although nothing may be heard any more.
    pub async fn listen_while(&mut self, is_so: impl Fn(&Self) -> bool) {
        let listen = async {
            while is_so(self) {
                tokio::select! {
                    _ = self.try_hear_next(0) => {}
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, listen).await.expect("it changes in time");
    }

    /// Hears the next message, that for the first worker behind `first` if there are several. `false` at the end.
    pub async fn hear_next(&mut self, first: usize) -> bool {
        let next = self.try_hear_next(first);
        tokio::time::timeout(PATIENCE, next).await.expect("the source says something in time")
    }

    /// The same, however long it takes.
    pub async fn try_hear_next(&mut self, first: usize) -> bool {
        match poll_fn(|context| next(&mut self.workers, first, context)).await {
            Some((worker, delivery)) => {
                self.hear(worker, delivery);
                true
            }
            None => false,
        }
    }

    /// Resolves when the source waits for a checkpoint that holds the end of a split.
    pub fn awaited(&self) -> impl Future<Output = ()> + use<> {
        let ends = self.ends.clone();
        async move { ends.awaited().await }
    }

    /// Ends the source as a crash does.
    pub fn kill(self) {
        self.running.abort();
    }

    /// Listens to the end and returns what the source returned.
    pub async fn finish(&mut self) -> Result<()> {
        self.listen_until(|_| false).await;
        let returned = tokio::time::timeout(PATIENCE, &mut self.running).await.expect("the source returns in time");
        returned.expect("the source does not panic")
    }

    /// Notes what a worker got, and that it came in an order that the engine can rely on.
    fn hear(&mut self, worker: usize, delivery: Delivery) {
        match delivery {
            Delivery::Open(splits) => {
                let again = std::mem::replace(&mut self.workers[worker].opened, true);
                assert!(!again || !splits.is_empty(), "worker {worker} is told of more only if there is more");
                for split in splits {
                    let before = self.resume.as_ref().and_then(|resume| resume.splits.get(split.part()));
                    assert!(!before.is_some_and(|mark| mark.done), "{split} has ended before");
                    assert!(self.splits.insert(split.clone(), Heard::default()).is_none(), "{split} is opened once");
                }
            }
            Delivery::Event(split, event) => {
                let heard = self.splits.get_mut(&split).expect("a split is opened before it speaks");
                assert!(!heard.done, "{split} says nothing after its end");
                match event {
                    SplitEvent::Inherits(watermark) => {
                        assert!(heard.records.is_empty(), "{split} inherits before its first record");
                        heard.inherited = Some(watermark);
                    }
                    SplitEvent::CaughtUp(caught_up) => {
                        heard.caught_up += 1;
                        heard.knows = Some(caught_up);
                    }
                    SplitEvent::Done => {
                        heard.done = true;
                        self.ended.push(split.clone());
                        // What was heard is as good as taken by all sinks.
                        if !self.keeps_checkpoints {
                            self.ends.settle([(split, None)]);
                        }
                    }
                    SplitEvent::Rows(chunk) => {
                        heard.take(&split, &chunk);
                        self.records
                            .extend(chunk.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()));
                        if let Some(held) = &mut self.held {
                            held.push(chunk);
                        }
                    }
                }
            }
            Delivery::Closed => panic!("only the engine says that a source is closed"),
        }
    }
}

impl Heard {
    fn take(&mut self, split: &SplitId, chunk: &Chunk) {
        assert!(!chunk.values.is_empty(), "{split} sends no empty chunks");
        for (row, value) in chunk.values.iter().enumerate() {
            let place = match &chunk.positions {
                Positions::Consecutive { first } => Place::Number(first + row as u64),
                Positions::Sequences(all) => Place::Sequence((*all.get(row).expect("one position per record")).into()),
                Positions::Extended(all) => Place::Sequence(*all.get(row).expect("one position per record")),
            };
            if let Some((last, _)) = self.records.last() {
                assert!(*last < place, "positions of {split} ascend: {last:?} is not before {place:?}");
            }
            self.records.push((place, String::from_utf8_lossy(value).into_owned()));
        }
    }
}

/// The next message to any worker from `first` on, then to those before it; `None` when the source has let go of all queues.
fn next(workers: &mut [Worker], first: usize, context: &mut Context<'_>) -> Poll<Option<(usize, Delivery)>> {
    let mut open = false;
    let count = workers.len();
    for at in (0..count).map(|at| (first + at) % count) {
        match workers[at].queue.poll_recv(context) {
            Poll::Ready(Some(delivery)) => return Poll::Ready(Some((at, delivery))),
            Poll::Ready(None) => {}
            Poll::Pending => open = true,
        }
    }
    if open { Poll::Pending } else { Poll::Ready(None) }
}
