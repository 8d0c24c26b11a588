use super::*;
use crate::{Cells, Column, Fields};

#[derive(serde::Deserialize)]
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
    nth: u32,
    end: Time,
    pane: Pane,
}

impl Aggregator for Sums {
    type Row = Amount;
    type Accumulator = Sum;
    type Results = Vec<Part>;

    fn check(&self, row: &Amount) -> Result<(), Reject> {
        if row.amount < 0 { Err(Reject::new("negative")) } else { Ok(()) }
    }

    fn accumulate(&self, sum: &mut Sum, row: Amount) {
        sum.count += 1;
        sum.sum += row.amount;
    }

    fn merge(&self, into: &mut Sum, from: Sum) {
        into.count += from.count;
        into.sum += from.sum;
    }

    fn finish(&self, window: Window, key: Key<'_>, sum: Sum) -> Vec<Part> {
        let part = |nth| Part { key: key.text().into_owned(), nth, end: window.end, pane: window.pane };
        (0..sum.count).map(part).collect()
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
    let error = OfRows(Sums {}).accumulate(&foreign, &[0], &amounts(vec![1])).expect_err("5 bytes");
    assert!(error.contains("does not fit Sum") && error.contains("5 bytes instead of 12"), "{error}");
}
