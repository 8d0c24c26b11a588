//! Logic that breaks its contract or fails: the error says how, and no state has changed.

use super::*;
use crate::plugin::{Accumulated, Aggregate, Finished, Fired, Merged, Reject};
use crate::{Error, ErrorKind, GuestFault, Result};

/// Logic whose every answer is given by the test.
#[derive(Default)]
struct Scripted {
    accumulated: Option<Accumulated>,
    merged: Option<Merged>,
    finished: Option<Finished>,
}

impl Aggregate for Scripted {
    fn accumulate(&mut self, _: &Binary, _: &[u32], _: &View<'_>) -> Result<Accumulated> {
        self.accumulated.clone().ok_or_else(|| Error::guest(GuestFault::Trap, "trap"))
    }
    fn merge(&mut self, _: &Binary, _: &[u32], _: u32) -> Result<Merged> {
        self.merged.clone().ok_or_else(|| Error::guest(GuestFault::Trap, "trap"))
    }
    fn finish(&mut self, _: &Fired<'_>) -> Result<Finished> {
        self.finished.clone().ok_or_else(|| Error::guest(GuestFault::Trap, "trap"))
    }
}

fn accumulate(windows: &mut Windows, logic: &mut dyn Aggregate, times: &[i64]) -> Result<Taken> {
    let keys: Binary = times.iter().map(|_| "a").collect();
    let view = View { times, keys: Some(&keys), values: None, fields: Vec::new() };
    windows.accumulate(logic, &keys, &key::hashes(&keys), &view)
}

fn binary(items: &[&str]) -> Binary {
    items.iter().collect()
}

fn kinds() -> [WindowSpec; 3] {
    [
        tumbling(10),
        WindowSpec::Sliding { size: ms(10), slide: ms(4), offset: ms(0) },
        WindowSpec::Session { gap: ms(10) },
    ]
}

#[track_caller]
fn assert_guest<T: std::fmt::Debug>(result: Result<T>, expected: &str) {
    let error = result.expect_err("a broken contract");
    assert!(matches!(error.kind(), ErrorKind::Guest(_)), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

/// Wrong numbers of accumulators and refusals of rows that do not exist → guest errors that name the numbers.
#[test]
fn bad_answers_to_accumulate() {
    let refuse = |row| Reject::new(row, "no");
    let cases = [
        (binary(&[]), vec![], "returned 0 accumulators where 1 were expected"),
        (binary(&["x", "y"]), vec![], "returned 2 accumulators where 1 were expected"),
        (binary(&["x"]), vec![refuse(1), refuse(2)], "refused row 2, but the batch has 2 rows"),
    ];
    for spec in kinds() {
        for (accumulators, rejects, expected) in cases.clone() {
            let mut windows = Windows::new(spec, ms(0));
            let mut logic =
                Scripted { accumulated: Some(Accumulated { accumulators, rejects }), ..Scripted::default() };
            assert_guest(accumulate(&mut windows, &mut logic, &[0, 1]), expected);
            assert_eq!(windows.open(), 0);
        }
    }
}

/// A row refused for two reasons → counted once.
#[test]
fn double_refusals_count_once() {
    let refuse = Reject::new;
    let rejects = vec![refuse(1, "first"), refuse(0, "other"), refuse(1, "second")];
    let accumulated = Some(Accumulated { accumulators: binary(&[""]), rejects });
    let mut logic = Scripted { accumulated, ..Scripted::default() };
    for spec in kinds() {
        let taken = accumulate(&mut Windows::new(spec, ms(0)), &mut logic, &[0, 0]).expect("valid answer");
        assert_eq!(taken.rejects, [refuse(0, "other"), refuse(1, "first")]);
    }
}

/// Wrong numbers of results and origins that do not exist or descend → guest errors that name the numbers.
#[test]
fn bad_answers_to_finish_and_merge() {
    let accumulated = Some(Accumulated { accumulators: binary(&["x"]), rejects: Vec::new() });
    let cases = [
        (None, binary(&["x", "y"]), "returned 2 results for 1 accumulators"),
        (Some(vec![0]), binary(&[]), "returned 0 results, but 1 origins"),
        (Some(vec![1]), binary(&["x"]), "returned origin 1, but was given 1 accumulators"),
        (Some(vec![1, 0]), binary(&["x", "y"]), "returned origin 1 before origin 0"),
    ];
    for spec in [kinds()[0], kinds()[2]] {
        for (origins, values, expected) in cases.clone() {
            let finished = Some(Finished { origins, values, rejects: Vec::new() });
            let mut logic =
                Scripted { accumulated: accumulated.clone(), finished, merged: Some(binary(&["m", "n"]).into()) };
            let mut windows = Windows::new(spec, ms(0));
            accumulate(&mut windows, &mut logic, &[0]).expect("valid answer");
            assert_guest(windows.advance(i64::MAX, &mut logic), expected);
            // Nothing was lost: a better answer gives the results.
            logic.finished =
                Some(Finished { origins: Some(vec![0, 0]), values: binary(&["r", "s"]), rejects: Vec::new() });
            let batches = windows.advance(10, &mut logic).expect("valid answer").results;
            assert!(batches.iter().all(|batch| batch.keys == Some(binary(&["a", "a"]))));
            assert!(!batches.is_empty());
        }
    }
    for (spec, second) in [(kinds()[1], 2), (kinds()[2], 20)] {
        let merged = Some(binary(&["m", "n"]).into());
        let mut logic = Scripted { accumulated: accumulated.clone(), merged, finished: None };
        let mut windows = Windows::new(spec, ms(0));
        accumulate(&mut windows, &mut logic, &[0]).expect("valid answer");
        accumulate(&mut windows, &mut logic, &[second]).expect("valid answer");
        let answer = match spec {
            WindowSpec::Session { .. } => accumulate(&mut windows, &mut logic, &[10]).map(|_| ()),
            _ => windows.advance(10, &mut logic).map(|_| ()),
        };
        assert_guest(answer, "merge returned 2 accumulators where");
        assert_eq!(windows.open(), 2);
    }
}

/// A call that fails → the windows are as before it, and the same call succeeds with the rows counted once.
#[test]
fn failures_change_nothing() {
    let mut failing = Scripted::default();
    for spec in kinds() {
        let mut bench = Bench::new(spec, 1000);
        bench.add_all(&[row(0, "a", 1)]);
        assert_guest(accumulate(&mut bench.windows, &mut failing, &[3, 40]), "trap");
        assert_eq!(bench.windows.open(), 1);
        bench.add_all(&[row(3, "a", 2), row(40, "b", 3)]);
        assert_guest(bench.windows.advance(13, &mut failing), "trap");
        let fires = bench.advance(13);
        assert!(fires.iter().any(|f| f.ids == [1, 2]), "{fires:?}");
        bench.add_all(&[row(2, "a", 4)]);
        assert_guest(bench.windows.advance(14, &mut failing), "trap");
        let fires = bench.advance(14);
        assert!(fires.iter().any(|f| f.pane == Pane::Late && f.ids == [1, 2, 4]), "{fires:?}");
        assert_eq!(bench.advance(15), []);
    }
}

/// Rows, keys and hashes of different numbers → refused before any of them is looked at.
#[test]
fn columns_of_different_length() {
    let keys = binary(&["a"]);
    let view = View { times: &[1, 2], keys: Some(&keys), values: None, fields: Vec::new() };
    let result = Windows::new(tumbling(10), ms(0)).accumulate(&mut Ids::default(), &keys, &[1], &view);
    assert_eq!(result.expect_err("two rows, one key").to_string(), "2 rows came with 1 keys and 1 hashes");
}

/// Logic that returns accumulators of a megabyte.
#[derive(Default)]
struct Large {
    calls: Vec<usize>,
}

impl Aggregate for Large {
    fn accumulate(&mut self, accumulators: &Binary, groups: &[u32], batch: &View<'_>) -> Result<Accumulated> {
        self.calls.push(accumulators.len());
        let keys = batch.keys.expect("keys");
        let mut next = vec![Vec::new(); accumulators.len()];
        for (at, &group) in groups.iter().enumerate() {
            next[group as usize] = keys.get(at).repeat(1 << 20);
        }
        let odd = (0..groups.len()).filter(|&at| batch.times[at] == 1);
        let rejects = odd.map(|at| Reject::new(at as u32, "")).collect();
        Ok(Accumulated { accumulators: next.into_iter().collect(), rejects })
    }
    fn merge(&mut self, _: &Binary, _: &[u32], _: u32) -> Result<Merged> {
        Err(Error::guest(GuestFault::Trap, "nothing to merge"))
    }
    fn finish(&mut self, fired: &Fired<'_>) -> Result<Finished> {
        self.calls.push(fired.accumulators.len());
        let firsts: Binary = fired.accumulators.iter().map(|accumulator| &accumulator[..1]).collect();
        assert_eq!(&firsts, fired.keys);
        Ok(Finished { values: firsts, ..Finished::default() })
    }
}

/// Accumulators that together are too large for one call → several calls, with the rows and refusals of each in their place.
#[test]
fn large_accumulators_are_passed_in_parts() {
    let mut logic = Large::default();
    let mut windows = Windows::new(tumbling(10), ms(0));
    let keys: Binary = (0..80).map(|row| [b'a' + row % 40]).collect();
    let hashes = key::hashes(&keys);
    for time in [0, 1] {
        let times: Vec<i64> = (0..80).map(|row| if row == 77 { time } else { 0 }).collect();
        let view = View { times: &times, keys: Some(&keys), values: None, fields: Vec::new() };
        let taken = windows.accumulate(&mut logic, &keys, &hashes, &view).expect("valid answers");
        assert_eq!(taken.rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), vec![77; time as usize]);
    }
    windows.advance(i64::MAX, &mut logic).expect("valid answers");
    assert_eq!(logic.calls, [40, 16, 16, 8, 16, 16, 8]);
}
