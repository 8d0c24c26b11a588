//! Sending the records of dead letters once more through a job: the job's sources are replaced by the letters. Each
//! record goes back to its source and split and keeps its position, so that rows get the ids that they would have had.

use super::reader::Letter;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmill_engine::{Graph, Node, NodeKind, Port};
use wasmill_stream::binary::BinaryBuilder;
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::source::{Intake, Source, SplitSender};
use wasmill_stream::{Error, ExtendedSequence, Guarantee, Positions, Result, SplitId};

/// About how many bytes of records go in at once.
const CHUNK: usize = 256 << 10;

/// Where a record has to go.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    source: &'a str,
    part: &'a str,
    position: ExtendedSequence,
}

impl<'a> Origin<'a> {
    /// Where the record of a letter has to go. The error says, in words that follow a number of letters, why nowhere.
    pub fn of(letter: &'a DeadLetter) -> Result<Self, &'static str> {
        if letter.record.is_none() {
            return Err(match letter.split {
                None => "without a record: they are of a window or timer, behind an aggregation or process",
                Some(_) => "without the bytes of their record",
            });
        }
        let place = letter.split.as_deref().and_then(|split| split.split_once('/'));
        let position = letter.position.as_deref().and_then(ExtendedSequence::parse);
        let (Some((source, part)), Some(position)) = (place, position) else {
            return Err("whose split or position cannot be read");
        };
        Ok(Self { source, part, position })
    }
}

/// The records of a source: by split, then in the order of their positions, each once.
type Splits = BTreeMap<String, BTreeMap<ExtendedSequence, Vec<u8>>>;

/// The records that go in once more.
#[derive(Debug, Default)]
pub struct Replay {
    sources: BTreeMap<String, Splits>,
    /// Letters that cannot go in, by why.
    left_out: BTreeMap<String, u64>,
    /// Where the records died, by the names of nodes.
    places: BTreeSet<String>,
    records: usize,
    repeated: u64,
    sent: Arc<AtomicUsize>,
}

impl Replay {
    /// Adds a letter. A record that died in several steps goes in once.
    pub fn add(&mut self, letter: Letter) {
        let letter = letter.letter;
        let bytes = letter.record.as_ref().and_then(|record| record.bytes());
        match (Origin::of(&letter), bytes) {
            (Err(why), _) => *self.left_out.entry(why.to_owned()).or_default() += 1,
            (Ok(_), None) => *self.left_out.entry("whose record is not base64".to_owned()).or_default() += 1,
            (Ok(origin), Some(bytes)) => {
                let splits = self.sources.entry(origin.source.to_owned()).or_default();
                let before = splits.entry(origin.part.to_owned()).or_default().insert(origin.position, bytes.into());
                self.places.insert(letter.step.clone());
                self.records += usize::from(before.is_none());
                self.repeated += u64::from(before.is_some());
            }
        }
    }

    /// How many records go in.
    pub fn records(&self) -> usize {
        self.records
    }

    /// How many records have gone in: fewer if the job is stopped.
    pub fn sent(&self) -> usize {
        self.sent.load(Relaxed)
    }

    /// What makes this replay differ from what would have been.
    pub fn concerns(&self, graph: &Graph) -> Concerns {
        Concerns::new(graph, &self.places)
    }

    /// How many letters are about a record that another letter is about as well.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many letters cannot go in, each with why, in words that follow the number.
    pub fn left_out(&self) -> impl Iterator<Item = (u64, &str)> {
        self.left_out.iter().map(|(why, letters)| (*letters, why.as_str()))
    }

    /// Puts the records in the place of a job's sources. Records of sources that the job does not have are left out.
    pub fn feed(&mut self, graph: &mut Graph) {
        let mut sources = std::mem::take(&mut self.sources);
        // It has the records that letters tell of. It stands behind all others.
        graph.nodes.retain(|node| !is_archive(node));
        for node in &mut graph.nodes {
            if let NodeKind::Source { source, .. } = &mut node.kind {
                let splits = sources.remove(&node.name).unwrap_or_default();
                *source = Box::new(Letters { name: node.name.clone(), splits, sent: self.sent.clone() });
            }
        }
        for (name, splits) in sources {
            let records: usize = splits.values().map(BTreeMap::len).sum();
            self.records -= records;
            *self.left_out.entry(format!("of source `{name}`, which the job does not have")).or_default() +=
                records as u64;
        }
    }
}

/// What makes a replay differ from what would have been, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Steps with windows: these hold only what is replayed.
    pub windows: Vec<String>,
    /// Processes: their states begin empty.
    pub states: Vec<String>,
    /// Sinks that overwrite by id what windows and processes told before.
    pub overwritten: Vec<String>,
    /// Sinks without ids that have had rows of these records before: they lie on a way around the place where one died.
    pub doubled: Vec<String>,
}

impl Concerns {
    /// Those of a job, when records have died at these places.
    fn new(graph: &Graph, places: &BTreeSet<String>) -> Self {
        let mut concerns = Self::default();
        let gathers = |kind: &NodeKind| matches!(kind, NodeKind::Aggregate { .. } | NodeKind::Process { .. });
        let gathered = reached(graph, |node| gathers(&node.kind), |_| false);
        let around: Vec<_> = places
            .iter()
            .map(|place| {
                reached(graph, |node| matches!(node.kind, NodeKind::Source { .. }), |node| node.name == *place)
            })
            .collect();
        for (at, node) in graph.nodes.iter().enumerate().filter(|(_, node)| !is_archive(node)) {
            let name = || node.name.clone();
            match &node.kind {
                NodeKind::Aggregate { .. } => concerns.windows.push(name()),
                NodeKind::Process { .. } => concerns.states.push(name()),
                NodeKind::Sink { sink, .. } if sink.guarantee() == Guarantee::EffectivelyOnce => {
                    concerns.overwritten.extend(gathered[at].then(name));
                }
                NodeKind::Sink { .. } => concerns.doubled.extend(around.iter().any(|ways| ways[at]).then(name)),
                _ => {}
            }
        }
        concerns
    }
}

/// Whether a node keeps records as they are read.
fn is_archive(node: &Node) -> bool {
    node.inputs.iter().any(|input| input.port == Port::Raw)
}

/// Which nodes are reached from some, on ways that are not barred. Nodes stand behind their inputs.
fn reached(graph: &Graph, from: impl Fn(&Node) -> bool, is_barred: impl Fn(&Node) -> bool) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        let is_next = node.inputs.iter().any(|input| reached.get(input.node).is_some_and(|reached| *reached));
        reached[at] = (from(node) || is_next) && !is_barred(node);
    }
    reached
}

/// A source that reads letters.
struct Letters {
    name: String,
    splits: Splits,
    /// Counts the records that have gone in.
    sent: Arc<AtomicUsize>,
}

#[async_trait]
impl Source for Letters {
    async fn run(self: Box<Self>, intake: Intake) -> Result<()> {
        let ids = self.splits.keys().map(|part| SplitId::new(&self.name, part)).collect();
        let senders = intake.open(ids).await?;
        let mut open: Vec<_> = senders.into_iter().zip(self.splits.into_values().map(BTreeMap::into_iter)).collect();
        // In turns: a split that waits for others to come up in event time must not keep them from doing so.
        while !open.is_empty() {
            let mut still_open = Vec::new();
            for (sender, mut records) in open {
                match send(&sender, &mut records).await? {
                    0 => sender.done().await?,
                    sent => {
                        self.sent.fetch_add(sent, Relaxed);
                        still_open.push((sender, records));
                    }
                }
            }
            open = still_open;
        }
        Ok(())
    }
}

/// Sends some records of a split and says how many; none at its end.
async fn send(sender: &SplitSender, records: &mut impl Iterator<Item = (ExtendedSequence, Vec<u8>)>) -> Result<usize> {
    if sender.is_stopped() {
        return Err(Error::closed("the job has stopped"));
    }
    let (mut values, mut positions) = (BinaryBuilder::default(), Vec::new());
    while values.total_bytes() < CHUNK
        && let Some((position, record)) = records.next()
    {
        values.push(&record);
        positions.push(position);
    }
    let count = positions.len();
    if count > 0 {
        sender.rows(values.finish(), Positions::Extended(positions)).await?;
    }
    Ok(count)
}
