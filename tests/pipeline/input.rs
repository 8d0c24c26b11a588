//! What the job reads, and what must come of it, found by brute force.

use super::outlet::{Stream, alert_fact};
use crate::harness::cells;
use crate::harness::chance::Chance;
use crate::oracle::deviation;
use crate::oracle::windows::{self, Row};
use serde_json::Value;
use std::cell::OnceCell;

/// How many splits the source deals its records to.
pub const SPLITS: usize = 4;
/// How far rows may be out of order, ms.
pub const DISORDER: i64 = BLOCK as i64 * STEP;
/// After so much silence the process forgets a key, ms.
pub const IDLE: i64 = 30_000;

/// Rows within a block come in any order.
const BLOCK: usize = 100;
/// From one row to the next, ms.
const STEP: i64 = 100;
/// One record of so many is bad.
const BAD: usize = 500;
/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;

/// The records of a file.
pub struct Input {
    records: Vec<Record>,
    /// What the rows of each stream must say, once somebody has asked.
    facts: [OnceCell<Vec<String>>; 3],
}

enum Record {
    Row(Row),
    /// A record that the node refuses for this cause.
    Bad {
        text: String,
        node: &'static str,
        cause: &'static str,
    },
}

impl Input {
    /// So many records, always the same.
    pub fn new(count: usize) -> Self {
        let mut chance = Chance::seeded(7);
        let mut order: Vec<usize> = (0..count).collect();
        for block in order.chunks_mut(BLOCK) {
            (1..block.len()).for_each(|at| block.swap(at, chance.below(at + 1)));
        }
        let records = order.into_iter().enumerate().map(|(at, slot)| match at % BAD {
            0 => bad(at / BAD, slot),
            _ => Record::Row(row(slot, &mut chance)),
        });
        Self { records: records.collect(), facts: Default::default() }
    }

    /// The records of a file that is there. What is no row of the job is bad.
    pub fn read(text: &str) -> Self {
        let record = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            let node = if value["t"].is_i64() { "cells" } else { "rows" };
            match cells::row(&value) {
                Some(row) => Record::Row(row),
                None => Record::Bad { text: line.to_owned(), node, cause: "undecodable" },
            }
        };
        Self { records: text.lines().map(record).collect(), facts: Default::default() }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The file.
    pub fn text(&self) -> String {
        self.records.iter().map(|record| record.text() + "\n").collect()
    }

    /// How much faster than its event time the input is played to give so many records per second.
    pub fn speedup(&self, rate: usize) -> f64 {
        rate as f64 * STEP as f64 / 1_000.0
    }

    fn rows(&self) -> Vec<Row> {
        let row = |record: &Record| if let Record::Row(row) = record { Some(row.clone()) } else { None };
        self.records.iter().filter_map(row).collect()
    }

    /// What the rows of a stream must say, sorted.
    pub fn facts(&self, stream: Stream) -> &[String] {
        self.facts[stream as usize].get_or_init(|| {
            let mut facts = self.find(stream);
            facts.sort_unstable();
            facts
        })
    }

    fn find(&self, stream: Stream) -> Vec<String> {
        match stream {
            Stream::Raw => self.raw().map(|(_, text)| text).collect(),
            Stream::Averages => windows::tumbling(&self.rows(), 60_000).iter().map(|row| format!("{row:?}")).collect(),
            Stream::Alerts => {
                let alerts = deviation::alerts(&self.rows(), SPLITS, IDLE, 10, 3.0);
                alerts.iter().map(alert_fact).collect()
            }
        }
    }

    /// Ids and what the documents must say.
    pub fn documents(&self, stream: Stream) -> Vec<String> {
        match stream {
            Stream::Raw => {
                let id = |at: usize| format!("rows|rows/{}|{}", at % SPLITS, at / SPLITS + 1);
                self.raw().map(|(at, text)| format!("{} → {text}", id(at))).collect()
            }
            Stream::Averages => {
                let answer = windows::tumbling(&self.rows(), 60_000);
                let line = |row: (&(i64, i64, String), &(i64, i64))| {
                    let (start, end, key) = row.0;
                    format!("averages|{start}|{end}|{key} → {row:?}")
                };
                answer.iter().map(line).collect()
            }
            Stream::Alerts => Vec::new(),
        }
    }

    /// Records that get past the source, with their numbers in the file from 0.
    fn raw(&self) -> impl Iterator<Item = (usize, String)> {
        let passes = |record: &Record| !matches!(record, Record::Bad { node: "rows", .. });
        self.records
            .iter()
            .enumerate()
            .filter(move |(_, record)| passes(record))
            .map(|(at, record)| (at, record.text()))
    }

    /// What the dead letters must say.
    pub fn letters(&self) -> Vec<String> {
        let letter = |(at, record): (usize, &Record)| match record {
            Record::Row(_) => None,
            Record::Bad { text, node, cause } => {
                Some(format!("{cause} {node} rows/{} {} {text}", at % SPLITS, at / SPLITS + 1))
            }
        };
        self.records.iter().enumerate().filter_map(letter).collect()
    }
}

/// What dead letters say.
pub fn letters(letters: &[Value]) -> Vec<String> {
    let line = |letter: &Value| {
        let text = |name: &str| letter[name].as_str().unwrap_or("nothing").to_owned();
        let [cause, step, split, position, record] = ["cause", "step", "split", "position", "record"].map(text);
        format!("{cause} {step} {split} {position} {record}")
    };
    letters.iter().map(line).collect()
}

impl Record {
    fn text(&self) -> String {
        match self {
            Self::Row(row) => cells::line(row),
            Self::Bad { text, .. } => text.clone(),
        }
    }
}

/// Thirty busy keys and one that falls silent now and then; every quarter of an hour they are others, and the old ones are
/// forgotten. Some amounts are far off. Times are all different.
fn row(slot: usize, chance: &mut Chance) -> Row {
    let era = slot / 9_000;
    let rare = slot % 2_000 < 300 && slot.is_multiple_of(10);
    let key = if rare { format!("77|{era}") } else { format!("{}|{era}", chance.below(30)) };
    let amount = if chance.below(40) == 0 { 900 + chance.below(100) } else { chance.below(100) };
    Row { key, time: START + slot as i64 * STEP, amount: amount as i64 }
}

fn bad(number: usize, slot: usize) -> Record {
    let time = START + slot as i64 * STEP;
    let (text, node, cause) = match number % 3 {
        0 => (format!("{{\"t\": {time}, \"number\": {number}"), "rows", "undecodable"),
        1 => (format!("{{\"number\": {number}, \"total_amount\": 1}}"), "rows", "undecodable"),
        _ => {
            (format!("{{\"t\": {time}, \"number\": {number}, \"pickup_longitude\": \"west\"}}"), "cells", "undecodable")
        }
    };
    Record::Bad { text, node, cause }
}
