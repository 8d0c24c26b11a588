//! A job with every kind of state and what survives of it, and its answers by brute force.

use crate::parts::*;
use crate::vault::{Memory, Vault, checkpoints, start};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use wasmill_engine::{Checkpoints, Journal, NodeKind, Port, Running, SinkTerms};
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

/// A job over the same lists in every run, and what survives of it.
#[derive(Clone, Default)]
pub struct World {
    pub store: Arc<Memory>,
    pub tumbling: Vault,
    pub sliding: Vault,
    pub sessions: Vault,
    pub ordered: Vault,
    pub raw: Vault,
    /// The records as they were read.
    pub archive: Vault,
    pub lists: Vec<Vec<Event>>,
    pub pause: Duration,
}

pub const DISORDER: i64 = 300;

impl World {
    pub fn new(splits: u64, count: usize) -> Self {
        let lists = (0..splits).map(|at| events(at, count, DISORDER)).collect();
        Self { lists, pause: Duration::from_millis(1), ..Self::default() }
    }

    pub fn job(&self) -> Job {
        let mut job = Job::default();
        let source = job.source(Lists { pause: self.pause, ..Lists::new(self.lists.clone()) }, DISORDER, Mood::Well);
        let ms = Period::from_millis;
        let windows = [
            ("tumbling", WindowSpec::Tumbling { size: ms(1_000), offset: ms(0) }, &self.tumbling),
            ("sliding", WindowSpec::Sliding { size: ms(2_000), slide: ms(500), offset: ms(0) }, &self.sliding),
            ("sessions", WindowSpec::Session { gap: ms(150) }, &self.sessions),
        ];
        for (name, spec, vault) in windows {
            let count = job.count(name, source, spec);
            job.lock_up(&format!("{name}_out"), count, vault);
        }
        let number = NodeKind::Process { plugin: Arc::new(Number::default()), order: Order::EventTime };
        let number = job.node("number", &[(source, Port::Main)], number);
        job.lock_up("numbers", number, &self.ordered);
        job.lock_up("raw", source, &self.raw);
        job.node(
            "archive",
            &[(source, Port::Raw)],
            NodeKind::Sink { sink: Box::new(self.archive.clone()), terms: SinkTerms::default() },
        );
        job
    }

    pub async fn start(&self, workers: usize) -> wasmill_stream::Result<Running> {
        start(self.job(), workers, checkpoints(&self.store)).await
    }

    pub fn all(&self) -> Vec<Event> {
        self.lists.iter().flatten().cloned().collect()
    }

    /// Every sink has exactly what brute force says.
    pub fn check(&self) {
        let all = self.all();
        assert_eq!(self.tumbling.rows(), counts(all.clone(), 1_000));
        assert_eq!(self.raw.rows(), lines(&all));
        assert_eq!(self.archive.rows(), lines(&all));
        assert_eq!(self.ordered.rows(), numbered(all.clone()));
        assert_eq!(self.sliding.rows(), sliding_counts(&all, 2_000, 500));
        assert_eq!(self.sessions.rows(), session_counts(all, 150));
    }

    /// What is noted of the newest manifest, if that is the one.
    pub fn settled(&self) -> Option<Value> {
        let objects = self.store.objects();
        let settled: Value = serde_json::from_slice(objects.get("settled")?).expect("JSON");
        let newest = objects.keys().filter_map(|name| name.strip_prefix("manifest/")?.parse::<u64>().ok()).max();
        (settled["number"].as_u64() == newest).then_some(settled)
    }

    pub async fn start_with(&self, checkpoints: Checkpoints) -> wasmill_stream::Result<Running> {
        start(self.job(), 2, checkpoints).await
    }

    pub async fn newest(&self) -> wasmill_stream::checkpoint::Manifest {
        Journal::new(self.store.clone()).newest().await.expect("it is whole").expect("there is one")
    }
}

/// The records as they are.
pub fn lines(events: &[Event]) -> Vec<String> {
    let mut lines: Vec<String> = events.iter().map(|(time, key)| format!("{time} {key}")).collect();
    lines.sort();
    lines
}

/// Rows numbered per key in the order of time.
pub fn numbered(mut events: Vec<Event>) -> Vec<String> {
    events.sort();
    let mut numbers = std::collections::BTreeMap::new();
    let mut rows: Vec<String> = events
        .into_iter()
        .map(|(time, key)| {
            let number = numbers.entry(key.clone()).or_insert(0);
            *number += 1;
            format!("{key} {number} {time}")
        })
        .collect();
    rows.sort();
    rows
}

pub fn sliding_counts(events: &[Event], size: i64, slide: i64) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::new();
    for (time, key) in events {
        let last = time - time.rem_euclid(slide);
        (0..size / slide).map(|back| last - back * slide).for_each(|start| {
            *counts.entry((start, key.clone())).or_insert(0) += 1;
        });
    }
    let mut rows: Vec<_> = counts.into_iter().map(|((start, key), count)| format!("{start}: {key} {count}")).collect();
    rows.sort();
    rows
}

pub fn session_counts(mut events: Vec<Event>, gap: i64) -> Vec<String> {
    events.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
    let mut rows: Vec<String> = events
        .chunk_by(|a, b| a.1 == b.1 && b.0 - a.0 <= gap)
        .map(|session| format!("{}: {} {}", session[0].0, session[0].1, session.len()))
        .collect();
    rows.sort();
    rows
}
