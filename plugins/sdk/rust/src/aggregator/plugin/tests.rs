use super::*;
use crate::{Cells, Column, Fields, Settings};

#[derive(Settings)]
struct Sums {}

#[derive(Fields)]
struct Amount {
    amount: i64,
}

#[derive(Default, Debug, PartialEq, crate::Accumulator)]
struct Sum {
    count: u32,
    sum: i64,
}

#[derive(serde::Serialize)]
struct Part {
    key: String,
    #[serde(serialize_with = "small")]
    nth: u32,
    end: Time,
    pane: Pane,
}

/// A number that JSON may not hold here.
fn small<S: serde::Serializer>(nth: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    if *nth > 3 { Err(serde::ser::Error::custom("too many")) } else { serializer.serialize_u32(*nth) }
}

impl Aggregator for Sums {
    type Row = Amount;
    type Accumulator = Sum;
    type Results = Result<Vec<Part>, Fault>;

    fn check(&self, row: &Amount) -> Result<(), Fault> {
        match row.amount {
            666 => Err(Failure::retry("666"))?,
            ..0 => Err("negative")?,
            _ => Ok(()),
        }
    }

    fn accumulate(&self, sum: &mut Sum, row: Amount) {
        sum.count += 1;
        sum.sum += row.amount;
    }

    fn merge(&self, into: &mut Sum, from: Sum) {
        into.count += from.count;
        into.sum += from.sum;
    }

    fn finish(&self, window: Window, key: Key<'_>, sum: Sum) -> Self::Results {
        if sum.count == 13 {
            Err(Failure::retry("13"))?;
        }

        let part = |nth| Part { key: key.text().into_owned(), nth, end: window.end, pane: window.pane };
        let parts = (0..sum.count).map(part).collect();
        if sum.sum < 0 { Err(format!("{} is negative", sum.sum))? } else { Ok(parts) }
    }

    fn migrate(&self, from_version: u32, accumulator: &[u8]) -> Result<Sum, Failure> {
        match (from_version, accumulator) {
            (0, [count]) => Ok(Sum { count: u32::from(*count), sum: 0 }),
            (0, _) => Err(Failure::fatal("no byte")),
            _ => Err(crate::accumulator::unknown_version(from_version, Self::STATE_VERSION)),
        }
    }
}

fn column(sums: &[(u32, i64)]) -> Binary {
    let mut column = Binary::default();
    for &(count, sum) in sums {
        Sum { count, sum }.encode(&mut column.bytes).expect("plain numbers");
        column.close();
    }
    column
}

fn amounts(amounts: Vec<i64>) -> Batch {
    let times = vec![0; amounts.len()];
    let fields = vec![Column { cells: Cells::S64s(amounts), missing: Vec::new() }];
    Batch { times, keys: None, values: None, fields }
}

/// Rows go to the accumulator of their group, an empty one is fresh, and a refused row changes nothing.
#[test]
fn rows_are_added_to_their_group() {
    let mut before = column(&[(1, 10)]);
    before.push(b"");
    let batch = amounts(vec![1, 2, -5, 4]);
    let after = OfRows(Sums {}).accumulate(&before, &[0, 1, 1, 0], &batch).expect("good accumulators");
    assert_eq!(after.accumulators, column(&[(3, 15), (1, 2)]));
    assert_eq!(after.rejects, [Reject { row: 2, reason: "negative".into() }]);
}

/// Accumulators are merged by group; a single one passes unchanged.
#[test]
fn groups_are_merged() {
    let merged = OfRows(Sums {}).merge(&column(&[(1, 1), (2, 20), (3, 300)]), &[1, 0, 1], 2);
    assert_eq!(merged, Ok(column(&[(2, 20), (4, 301)])));
}

fn fired(sums: &[(u32, i64)]) -> wire::Fired {
    let windows = sums.len();
    wire::Fired {
        starts: vec![0; windows],
        ends: vec![60_000; windows],
        panes: vec![wire::Pane::Late; windows],
        keys: (0..windows).map(|n| format!("k{n}")).collect(),
        accumulators: column(sums),
    }
}

/// None or several results name the accumulator that they came from; one each needs no names.
#[test]
fn results_know_their_origin() {
    let several = OfRows(Sums {}).finish(&fired(&[(2, 0), (0, 0), (1, 0)])).expect("good accumulators");
    assert_eq!(several.origins, Some(vec![0, 0, 2]));
    assert_eq!(several.values.len(), 3);
    assert_eq!(several.values.get(1), br#"{"key":"k0","nth":1,"end":"1970-01-01T00:01:00.000Z","pane":"late"}"#);
    let one_each = OfRows(Sums {}).finish(&fired(&[(1, 0), (1, 0)])).expect("good accumulators");
    assert_eq!((one_each.origins, one_each.values.len()), (None, 2));
}

/// Stored state of another version fails the call with the reason; nothing is guessed.
#[test]
fn foreign_accumulators_are_refused() {
    let foreign = ["12345"].into_iter().collect();
    let failure = OfRows(Sums {}).accumulate(&foreign, &[0], &amounts(vec![1])).expect_err("5 bytes");
    let misfit = |reason: &str| reason.contains("does not fit Sum") && reason.contains("5 bytes instead of 12");
    assert!(matches!(&failure, Failure::Fatal(reason) if misfit(reason)), "{failure:?}");
}

/// A result that cannot be is refused with its reason, and leaves the others as they are.
#[test]
fn accumulators_are_refused() {
    let finished = OfRows(Sums {}).finish(&fired(&[(1, 0), (2, -5), (1, 0)])).expect("one is refused");
    assert_eq!(finished.origins, Some(vec![0, 2]));
    assert_eq!(finished.values.len(), 2);
    assert_eq!(finished.rejects, [Reject { row: 1, reason: "-5 is negative".into() }]);
}

/// A result that cannot be written takes back those before it, of the same accumulator only.
#[test]
fn half_written_results_are_taken_back() {
    let finished = OfRows(Sums {}).finish(&fired(&[(1, 0), (5, 0), (2, 0)])).expect("one is refused");
    assert_eq!(finished.origins, Some(vec![0, 2, 2]));
    assert_eq!(finished.rejects, [Reject { row: 1, reason: "write a result: too many".into() }]);
    let last = br#"{"key":"k2","nth":1,"end":"1970-01-01T00:01:00.000Z","pane":"late"}"#;
    assert_eq!((finished.values.len(), finished.values.get(2)), (3, &last[..]));
}

/// A failure of a row or of a result is one of the call.
#[test]
fn failures_end_the_call() {
    let added = OfRows(Sums {}).accumulate(&column(&[(1, 0)]), &[0, 0], &amounts(vec![1, 666]));
    assert_eq!(added, Err(Failure::retry("666")));
    assert_eq!(OfRows(Sums {}).finish(&fired(&[(1, 0), (13, 0)])), Err(Failure::retry("13")));
}

/// Accumulators of a known version are rewritten one by one, fresh ones stay fresh; another version is fatal.
#[test]
fn old_accumulators_are_migrated() {
    let old: Binary = [&[3][..], &[], &[4]].into_iter().collect();
    let mut new = column(&[(3, 0)]);
    new.push(b"");
    column(&[(4, 0)]).iter().for_each(|last| new.push(last));
    assert_eq!(OfRows(Sums {}).migrate(0, &old), Ok(new));
    assert!(matches!(OfRows(Sums {}).migrate(7, &old), Err(Failure::Fatal(reason)) if reason.contains("version 7")));
}
