//! What windows promise, scenario by scenario. `properties` compares them with brute force on random streams.

mod faults;
mod ids;
mod oracle;
mod order;
mod properties;
mod sessions;
mod sliding;
mod tumbling;
mod unmerged;

use super::{RefusedWindow, Taken, WindowSpec, Windows};
use crate::plugin::{Aggregate, View};
use crate::units::Period;
use crate::{Binary, Cells, Column, Firing, Pane, key};
pub(super) use ids::Ids;

const fn ms(millis: i64) -> Period {
    Period::from_millis(millis)
}

fn tumbling(size: i64) -> WindowSpec {
    WindowSpec::Tumbling { size: ms(size), offset: ms(0) }
}

/// A row of a test: time, key, and an id that tells which rows a result was made of.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    time: i64,
    key: String,
    id: u32,
    /// Whether the logic refuses it.
    bad: bool,
}

fn row(time: i64, key: &str, id: u32) -> Row {
    Row { time, key: key.to_owned(), id, bad: false }
}

fn bad(time: i64, key: &str, id: u32) -> Row {
    Row { bad: true, ..row(time, key, id) }
}

/// One result row: the window, the key, and the ids that the result was made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fire {
    end: i64,
    start: i64,
    key: String,
    pane: Pane,
    ids: Vec<u32>,
}

fn fire(start: i64, end: i64, key: &str, pane: Pane, ids: &[u32]) -> Fire {
    Fire { end, start, key: key.to_owned(), pane, ids: ids.to_vec() }
}

/// Windows under test with the logic that records row ids.
struct Bench<L = Ids> {
    windows: Windows,
    logic: L,
}

impl Bench {
    fn new(spec: WindowSpec, allowed_lateness: i64) -> Self {
        spec.check().expect("a valid window");
        Self { windows: Windows::new(spec, ms(allowed_lateness)), logic: Ids::default() }
    }
}

impl<L: Aggregate> Bench<L> {
    /// Adds one batch and returns what became of it.
    fn take(&mut self, rows: &[Row]) -> Taken {
        let keys: Binary = rows.iter().map(|row| &row.key).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.time).collect();
        let values: Binary = rows.iter().map(|row| row.id.to_le_bytes()).collect();
        let bad = Column { cells: Cells::Bool(rows.iter().map(|row| row.bad).collect()), faults: Vec::new() };
        let view = View { times: &times, keys: Some(&keys), values: Some(&values), fields: vec![&bad] };
        self.windows.accumulate(&mut self.logic, &keys, &key::hashes(&keys), &view).expect("logic that does not fail")
    }

    /// Adds one batch and returns the ids of its late and of its refused rows.
    fn add(&mut self, rows: &[Row]) -> (Vec<u32>, Vec<u32>) {
        let taken = self.take(rows);
        let id = |at: u32| rows[at as usize].id;
        (taken.late.into_iter().map(id).collect(), taken.rejects.iter().map(|reject| id(reject.row)).collect())
    }

    /// Adds one batch all of whose rows are in some window.
    fn add_all(&mut self, rows: &[Row]) {
        assert_eq!(self.add(rows), (vec![], vec![]));
    }

    /// Moves the watermark and returns the results in their order.
    fn advance(&mut self, watermark: i64) -> Vec<Fire> {
        self.close(watermark).0
    }

    /// The same with the windows that have no result, and how many windows fired.
    fn close(&mut self, watermark: i64) -> (Vec<Fire>, Vec<RefusedWindow>, usize) {
        let advanced = self.windows.advance(watermark, &mut self.logic).expect("logic that does not fail");
        let mut fires = Vec::new();
        for batch in advanced.results {
            assert!(batch.lineage.is_none() && batch.step.is_empty() && batch.fields.is_empty());
            let keys = batch.keys.expect("results have keys");
            let firings = batch.firings.expect("results have windows");
            assert_eq!((keys.len(), firings.len(), batch.values.len()), (batch.times.len(), keys.len(), keys.len()));
            for (at, Firing { start, end, pane }) in firings.into_iter().enumerate() {
                assert_eq!(batch.times[at], end - 1);
                let key = String::from_utf8_lossy(keys.get(at));
                fires.push(fire(start, end, &key, pane, &ids::parse(batch.values.get(at))));
            }
        }
        (fires, advanced.refused, advanced.fired)
    }
}
