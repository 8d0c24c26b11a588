//! Native parts for small jobs, and what puts them together.

mod keep;
mod lists;
mod plugins;

pub use keep::*;
pub use lists::*;
pub use plugins::*;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{Graph, Input, Node, NodeKind, Options, Port, SinkTerms, Tolerance};
use wasmill_stream::Result;
use wasmill_stream::ledger::Ledger;
use wasmill_stream::plugin::SharedTransform;
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::watermark::{EventTime, Strategy, WatermarkSpec};
use wasmill_stream::window::WindowSpec;

/// Puts a graph together.
#[derive(Default)]
pub struct Job {
    nodes: Vec<Node>,
}

impl Job {
    pub fn node(&mut self, name: &str, inputs: &[(usize, Port)], kind: NodeKind) -> usize {
        let inputs = inputs.iter().map(|&(node, port)| Input { node, port }).collect();
        self.nodes.push(Node { name: name.into(), inputs, kind, tolerance: Tolerance::default() });
        self.nodes.len() - 1
    }

    pub fn source(&mut self, lists: Lists, disorder: i64, mood: Mood) -> usize {
        self.source_named("list", lists, disorder, mood)
    }

    pub fn source_named(&mut self, name: &str, lists: Lists, disorder: i64, mood: Mood) -> usize {
        let watermark = WatermarkSpec {
            strategy: Strategy::BoundedDisorder(Period::from_millis(disorder)),
            ..WatermarkSpec::default()
        };
        let decoder = Some(Parse::new(mood) as SharedTransform);
        self.node(name, &[], NodeKind::Source { source: Box::new(lists), decoder, time: EventTime::Plugin, watermark })
    }

    pub fn count(&mut self, name: &str, input: usize, windows: WindowSpec) -> usize {
        let plugin = Arc::new(Count::default());
        let allowed_lateness = Period::default();
        self.node(name, &[(input, Port::Main)], NodeKind::Aggregate { plugin, windows, allowed_lateness })
    }

    pub fn keep(&mut self, name: &str, inputs: &[(usize, Port)]) -> Taken {
        let taken = Taken::default();
        let sink = Box::new(Keep { taken: taken.clone(), ..Keep::default() });
        self.node(name, inputs, NodeKind::Sink { sink, terms: SinkTerms::default() });
        taken
    }

    pub async fn run(self, workers: usize) -> Result<Ledger> {
        wasmill_engine::start(self.graph(), options(workers)).await?.wait().await
    }

    pub fn graph(self) -> Graph {
        Graph { nodes: self.nodes, dead_letters: None, successors: Vec::new() }
    }
}

pub fn options(workers: usize) -> Options {
    let (epoch, in_flight) = (Duration::from_millis(5), ByteCount::new(64 << 10));
    Options { workers, epoch, in_flight, ..Options::default() }
}

/// Nothing is in flight, and every row is accounted for.
pub fn assert_balance(ledger: &Ledger) {
    for step in &ledger.steps {
        assert_eq!(step.counts().in_flight(), 0, "{}: {}", step.name, step.counts());
    }
}

/// Events that are out of order by at most `disorder`, over a few keys.
pub fn events(seed: u64, count: usize, disorder: i64) -> Vec<Event> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..count as i64)
        .map(|i| (i * 10 + 100_000 - (next() as i64 % (disorder + 1)), format!("k{}", next() % 23)))
        .collect()
}

/// Counts per (window start, key), worked out row by row.
pub fn counts(events: impl IntoIterator<Item = Event>, size: i64) -> Vec<String> {
    let mut counts = BTreeMap::new();
    for (time, key) in events {
        *counts.entry((time - time.rem_euclid(size), key)).or_insert(0) += 1;
    }
    let mut rows: Vec<_> = counts.into_iter().map(|((start, key), count)| format!("{start}: {key} {count}")).collect();
    rows.sort();
    rows
}

/// Looks again and again until there is something to see.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = async {
        loop {
            match look() {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(300), watch).await.unwrap_or_else(|_| panic!("never seen: {what}"))
}
