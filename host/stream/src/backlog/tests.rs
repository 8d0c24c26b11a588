//! Rows that wait, in any batches and any arrival.

use super::*;
use crate::checkpoint::Changes;
use crate::field::Decoder;
use crate::{Binary, ExtendedSequence, Lineage, SplitId};
use proptest::prelude::*;

fn batch(split: u32, first: u64, times: &[i64]) -> Batch {
    let lineage = Lineage {
        split: SplitId::new("s", split),
        positions: Arc::new(Positions::Consecutive { first }),
        records: None,
        bytes: None,
    };
    let values: Binary = (0..times.len()).map(|row| format!("{split}/{}", first + row as u64)).collect();
    Batch { times: times.to_vec(), values, lineage: Some(lineage), ..Batch::default() }
}

proptest! {
    /// Rows of two splits in any batches and any arrival → released in the order of time, split and position, each
    /// once, none early, whatever the steps of the watermark and the size of parts.
    #[test]
    fn rows_come_in_order(
        times in proptest::collection::vec(proptest::collection::vec(0i64..50, 0..40), 2),
        cut in 1usize..7,
        swap: bool,
        crash: bool,
        steps in proptest::collection::vec(0i64..60, 0..5),
        size in 1usize..10,
    ) {
        let mut expected = Vec::new();
        let mut arriving = Vec::new();
        for (split, times) in (0u32..).zip(&times) {
            for (at, part) in times.chunks(cut).enumerate() {
                arriving.push(batch(split, (at * cut) as u64, part));
            }
            expected.extend(times.iter().enumerate().map(|(at, time)| (*time, split, at)));
        }
        if swap {
            arriving.reverse();
        }
        expected.sort_unstable();
        let mut backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
        for batch in arriving {
            let rows: Vec<u32> = (0..batch.len() as u32).collect();
            backlog.hold(&batch, &rows);
        }
        let mut found = Vec::new();
        let (mut watermark, mut released) = (0, i64::MIN);
        let mut log = Changes::default();
        for step in steps.into_iter().chain([i64::MAX]) {
            watermark = step.max(watermark);
            if crash {
                // Two workers take over, each with the rows of one parity of times.
                backlog.changes(&format!("{}", found.len()), &mut log).expect("plain data");
                backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
                for parity in [0, 1] {
                    for change in log.iter() {
                        let value = change.value.expect("nothing is removed");
                        let keep = |batch: &Batch, row: usize| batch.times[row].rem_euclid(2) == parity;
                        backlog.load(value, released, keep, |_| None).expect("it was noted");
                    }
                }
                released = watermark;
            }
            for part in backlog.release(watermark, size) {
                prop_assert!(part.batch.times.iter().all(|time| *time < watermark));
                prop_assert_eq!(part.batch.len(), part.origins.len());
                for (row, (origin, at)) in part.origins.iter().enumerate() {
                    prop_assert_eq!(part.batch.values.get(row), origin.values.get(*at as usize));
                }
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                found.extend(part.batch.times.iter().copied().zip(part.batch.values.iter().map(text)));
            }
        }
        prop_assert!(backlog.is_empty());
        let expected: Vec<_> = expected.iter().map(|(time, split, at)| (*time, format!("{split}/{at}"))).collect();
        // Rows of one time are in one part only if that part began with them; the order is the same either way.
        prop_assert_eq!(found, expected);
    }
}

/// Rows of one time, some of them Kinesis records and some user records in one, in whatever order they are held → released
/// in the order of the shard.
#[test]
fn user_records_and_others_come_in_order() {
    let place = |text: &str| ExtendedSequence::parse(text).expect(text);
    let batch = |positions: Positions, values: &[&str]| Batch {
        times: vec![5; values.len()],
        values: values.iter().collect(),
        lineage: Some(Lineage {
            split: SplitId::new("s", 0),
            positions: Arc::new(positions),
            records: None,
            bytes: None,
        }),
        ..Batch::default()
    };
    let packed = batch(Positions::Extended(["8:9", "8:10"].map(place).to_vec()), &["b", "c"]);
    let others = batch(Positions::Sequences(["7", "10"].map(|text| place(text).sequence).to_vec()), &["a", "d"]);
    for batches in [[&packed, &others], [&others, &packed]] {
        let mut backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
        batches.into_iter().for_each(|batch| backlog.hold(batch, &[0, 1]));
        let released = backlog.release(6, 10);
        assert_eq!(released[0].batch.values, ["a", "b", "c", "d"].into_iter().collect());
    }
}

/// Rows kept for one set of fields, gone on with for another → fields are found by their specs or decoded from the values,
/// rows without them are handed out, and what cannot be had any more is an error that names it.
#[test]
fn other_fields_are_wanted() {
    let spec = |text: &str| text.parse::<FieldSpec>().expect("a field");
    let values: Binary = ["{\"a\":1,\"b\":2}", "{\"a\":3}"].into_iter().collect();
    let before = [spec("/a: s64"), spec("/c: s64?")];
    let noted = |values: Binary, wanted: Wanted| {
        let fields = Decoder::new(&before).decode(&["{\"a\":1}", "{\"a\":3}"].into_iter().collect());
        let mut backlog = Backlog::new(wanted);
        backlog.hold(&Batch { times: vec![5, 6], values, fields, ..Batch::default() }, &[0, 1]);
        let mut log = Changes::default();
        backlog.changes("w", &mut log).expect("plain data");
        log
    };
    let load = |log: &Changes, wanted: Wanted| {
        let mut backlog = Backlog::new(wanted);
        for change in log.iter() {
            let value = change.value.expect("it is there");
            let admit = |batch: &Batch| {
                let fields = backlog_fields(batch);
                (fields > 1).then(|| vec![0])
            };
            assert_eq!(backlog.load(value, i64::MIN, |_, _| true, admit)?, 2);
        }
        Ok::<_, Error>(backlog.release(i64::MAX, 10))
    };
    fn backlog_fields(batch: &Batch) -> usize {
        batch.fields.len()
    }
    let with_values = noted(values, Wanted { fields: before.to_vec(), values: true });
    let wanted = Wanted { fields: vec![spec("/b: s64"), spec("/a: s64")], values: false };
    let released = load(&with_values, wanted).expect("b is decoded, a is known");
    let batch = &released[0].batch;
    assert_eq!((batch.len(), batch.values.len()), (1, 0), "one row was handed out, and nobody reads values");
    let cells: Vec<_> = batch.fields.iter().map(|column| column.cells.clone()).collect();
    assert_eq!(cells, [crate::Cells::Int(vec![2]), crate::Cells::Int(vec![1])]);

    let without = noted(Binary::default(), Wanted { fields: before.to_vec(), values: false });
    let error = |wanted: Wanted| load(&without, wanted).expect_err("it is gone").to_string();
    assert!(error(Wanted { fields: vec![spec("/b: s64")], values: false }).contains("the field `/b: s64`"));
    assert!(error(Wanted { fields: Vec::new(), values: true }).contains("their values"));
    assert_eq!(load(&without, Wanted { fields: vec![spec("/a: s64")], values: false }).expect("known").len(), 1);
}

/// Rows with and without keys, with and without values, that are released together → each keeps its own.
#[test]
fn columns_that_some_lack() {
    let mut backlog = Backlog::new(Wanted { values: true, ..Wanted::default() });
    let keys = Some(["k"].into_iter().collect());
    backlog.hold(&Batch { times: vec![1], values: ["v"].into_iter().collect(), ..Batch::default() }, &[0]);
    backlog.hold(&Batch { times: vec![2], keys, ..Batch::default() }, &[0]);
    let bytes = backlog.bytes();
    let released = backlog.release(3, 10);
    let batch = &released[0].batch;
    assert_eq!((batch.key(0), batch.key(1)), (Some(&b""[..]), Some(&b"k"[..])));
    assert_eq!((batch.values.get(0), batch.values.get(1)), (&b"v"[..], &b""[..]));
    assert!(bytes > 0 && backlog.bytes() == 0);
}
