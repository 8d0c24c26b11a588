use super::*;
use crate::bindings::exports::wasmill::plugin::processing::TimersResult;
use crate::bindings::wasmill::plugin::types::{self, Reject as WireReject, SideRows};
use wasmill_stream::GuestFault;
use wasmill_stream::plugin::{Reject, Side, Timers, View};
use wasmill_stream::units::ByteCount;

/// Three input rows, of which a plugin that writes values returns the first and the last, and the last one to its side
/// output as well.
fn output() -> transformer::Output {
    transformer::Output {
        main: types::Rows {
            origins: Some(vec![0, 2]),
            times: Some(vec![1, 2]),
            keys: Some(column(&["a", "b"])),
            values: Some(column(&["v", "w"])),
        },
        sides: vec![side(0, Some(vec![2]))],
        rejects: vec![reject(1)],
    }
}

fn side(side: u32, origins: Option<Vec<u32>>) -> SideRows {
    SideRows { side, rows: types::Rows { origins, times: None, keys: None, values: None } }
}

fn column(items: &[&str]) -> BinaryResult {
    let (mut ends, mut bytes) = (Vec::new(), Vec::new());
    for item in items {
        bytes.extend_from_slice(item.as_bytes());
        ends.push(bytes.len() as u32);
    }
    BinaryResult { ends, bytes }
}

fn reject(row: u32) -> WireReject {
    WireReject { row, reason: "no".to_owned() }
}

fn needs() -> Needs {
    let sides = vec![
        Side { name: "kept".to_owned(), writes_values: false },
        Side { name: "made".to_owned(), writes_values: true },
    ];
    Needs { writes_values: true, sides, ..Needs::default() }
}

fn check(output: transformer::Output) -> Result<Transformed, Failure> {
    transformed(output, 3, &needs(), &Limits::default())
}

/// The failure must break the contract, and say so in these words.
fn assert_broken<T: std::fmt::Debug>(result: Result<T, Failure>, expected: &str) {
    let failure = result.expect_err(expected);
    assert_eq!(failure.fault, GuestFault::Contract);
    assert!(failure.words.contains(expected), "{:?} should say {expected:?}", failure.words);
}

/// What a correct plugin returns comes out as it is.
#[test]
fn a_correct_answer_passes() {
    let answer = check(output()).expect("a correct answer");
    assert_eq!(answer.main.origins, Some(vec![0, 2]));
    assert_eq!(answer.main.times, Some(vec![1, 2]));
    assert_eq!(answer.main.keys, Some(["a", "b"].into_iter().collect()));
    assert_eq!(answer.main.values, Some(["v", "w"].into_iter().collect()));
    assert_eq!((answer.sides.len(), answer.sides[0].0), (1, 0));
    assert_eq!(answer.sides[0].1.origins, Some(vec![2]));
    assert_eq!(answer.rejects, [Reject::new(1, "no")]);
}

/// Every way to break the contract of `transform` is a failure that names the column and the offending value.
#[test]
fn broken_answers_are_refused() {
    type Break = fn(&mut transformer::Output);
    let cases: [(Break, &str); 21] = [
        (|out| out.main.times = Some(vec![1]), "`times` has 1 entries, expected 2"),
        (|out| out.main.times = Some(vec![1, i64::MAX]), "`times` holds 9223372036854775807 at row 1"),
        (|out| out.main.times = Some(vec![i64::MIN, 1]), "`times` holds -9223372036854775808 at row 0"),
        (|out| out.main.keys = Some(column(&["a", "b", "c"])), "`keys` has 3 entries, expected 2"),
        (|out| out.main.values = Some(column(&[])), "`values` has 0 entries, expected 2"),
        (|out| out.main.values = None, "`values` is left out"),
        (
            |out| out.main.keys = Some(BinaryResult { ends: vec![2, 1], bytes: vec![0, 0] }),
            "`keys`: end 1 of item 1 is not between 2 and the 2 bytes",
        ),
        (
            |out| out.main.values = Some(BinaryResult { ends: vec![0, 9], bytes: vec![0, 0] }),
            "`values`: end 9 of item 1 is not between 0 and the 2 bytes",
        ),
        (|out| out.main.origins = Some(vec![2, 0]), "`origins` must ascend, but 0 follows 2 at row 1"),
        (|out| out.main.origins = Some(vec![0, 3]), "`origins` names row 3, but the input has 3 rows"),
        (|out| out.rejects = vec![reject(3)], "`rejects` names row 3, but the input has 3 rows"),
        (|out| out.rejects = vec![reject(1), reject(1)], "`rejects` names row 1 twice"),
        (|out| out.rejects = vec![reject(2)], "row 2 is both in `rejects` and in `origins`"),
        (
            |out| {
                out.main.origins = None;
                out.main.times = None;
                out.main.keys = None;
                out.main.values = Some(column(&["", "", ""]));
            },
            "row 1 is both in `rejects` and in `origins`",
        ),
        (|out| out.sides[0].side = 2, "`sides` names output 2, but it declared 2"),
        (|out| out.sides.push(side(0, Some(Vec::new()))), "`sides` holds output 0 (`kept`) twice"),
        (
            |out| out.sides[0].rows.values = Some(column(&[""])),
            "did not declare to write values, in side output `kept`",
        ),
        (|out| out.sides[0].side = 1, "`values` is left out, in side output `made`"),
        (|out| out.sides[0].rows.times = Some(Vec::new()), "`times` has 0 entries, expected 1, in side output `kept`"),
        (|out| out.sides[0].rows.origins = Some(vec![1]), "row 1 is both in `rejects` and in `origins`"),
        (|out| out.sides[0].rows.origins = None, "row 1 is both in `rejects` and in `origins`"),
    ];
    for (break_it, expected) in cases {
        let mut broken = output();
        break_it(&mut broken);
        assert_broken(check(broken), expected);
    }
}

/// A row may come out several times; more rows than the limit, over all outputs, are refused.
#[test]
fn origins_may_repeat_up_to_the_limit() {
    let limits = Limits { rows: 40, ..Limits::default() };
    let many = |main, sides| transformer::Output {
        main: types::Rows { origins: Some(vec![1; main]), times: None, keys: None, values: None },
        sides: vec![side(0, Some(vec![0; sides]))],
        rejects: Vec::new(),
    };
    let needs = Needs { writes_values: false, ..needs() };
    let rows = transformed(many(30, 10), 2, &needs, &limits).expect("repeats are allowed");
    assert_eq!(rows.main.origins, Some(vec![1; 30]));
    let failure = transformed(many(30, 11), 2, &needs, &limits).expect_err("above the limit");
    assert_eq!(failure.fault, GuestFault::Output);
    assert!(failure.words.starts_with("returned 41 rows for 2, at most 40"), "{}", failure.words);
    assert!(transformed(many(30, 11), 3, &needs, &limits).is_ok(), "a call may return 16 times what it was given");
}

/// A plugin that did not declare to write values may not return any.
#[test]
fn undeclared_values_are_refused() {
    let needs = Needs { writes_values: false, ..needs() };
    assert_broken(transformed(output(), 3, &needs, &Limits::default()), "it did not declare to write values");
}

/// An aggregator that loses or invents accumulators or results is refused.
#[test]
fn accumulators_are_counted() {
    let limits = Limits::default();
    let answer = |items: &[&str]| aggregation::Accumulated { accumulators: column(items), rejects: vec![reject(4)] };
    assert!(accumulated(answer(&["a", "b"]), 5, 2, &limits).is_ok());
    assert_broken(accumulated(answer(&["a"]), 5, 2, &limits), "`accumulators` has 1 entries, expected 2");
    assert_broken(accumulated(answer(&["a", "b"]), 4, 2, &limits), "`rejects` names row 4");

    let results = |origins: Option<Vec<u32>>, rejects: &[u32]| aggregation::Finished {
        origins,
        values: column(&["x", "y"]),
        rejects: rejects.iter().map(|&row| reject(row)).collect(),
    };
    assert!(finished(results(None, &[]), 2, &limits).is_ok());
    assert_broken(finished(results(None, &[]), 3, &limits), "`values` has 2 entries, expected 3");
    let answer = finished(results(Some(vec![2, 2]), &[0]), 3, &limits).expect("two results of one accumulator");
    assert_eq!(answer.rejects, [Reject::new(0, "no")]);
    assert_broken(finished(results(Some(vec![2, 3]), &[]), 3, &limits), "`origins` names row 3");
    assert_broken(finished(results(Some(vec![1, 2]), &[2]), 3, &limits), "row 2 is both in");
    assert_broken(finished(results(None, &[1]), 2, &limits), "row 1 is both in");
    assert_broken(finished(results(Some(vec![0, 1]), &[3]), 3, &limits), "`rejects` names row 3");
}

/// An accumulator or state may be as large as the limit, and not a byte more.
#[test]
fn states_are_bounded() {
    let limits = Limits { state: ByteCount::new(3), ..Limits::default() };
    assert!(states("states", column(&["abc", ""]), 2, &limits).is_ok());
    let failure = states("states", column(&["", "abcd"]), 2, &limits).expect_err("four bytes");
    assert_eq!(failure.fault, GuestFault::Output);
    assert_eq!(failure.words, "returned 4 bytes as number 1 of `states`, at most 3 B are possible");
}

/// Two rows of three keys; a row comes out, then what timers of two keys gave, in no order.
fn turned() -> processing::Output {
    processing::Output {
        states: column(&["", "s", "t"]),
        timers: TimersResult { groups: vec![0], times: vec![11] },
        main: types::Rows {
            origins: Some(vec![4, 1, 2]),
            times: Some(vec![1, 2, 3]),
            keys: None,
            values: Some(column(&["v", "w", "x"])),
        },
        sides: vec![side(0, Some(vec![1]))],
        rejects: vec![reject(0)],
    }
}

fn check_turn(output: processing::Output) -> Result<Processed, Failure> {
    let keys: Binary = ["a", "b", "c"].into_iter().collect();
    let turn = Turn {
        keys: &keys,
        states: &keys,
        groups: &[0, 2],
        batch: View { times: &[1, 2], keys: None, values: None, fields: Vec::new() },
        timers: &Timers::default(),
        watermark: 10,
        ordered: false,
    };
    processed(output, &turn, &needs(), &Limits::default())
}

/// Origins of a process name rows and keys whose timers fired, in any order.
#[test]
fn a_correct_turn_passes() {
    let answer = check_turn(turned()).expect("a correct answer");
    assert_eq!(answer.main.origins, Some(vec![4, 1, 2]));
    assert_eq!(answer.states, ["", "s", "t"].into_iter().collect());
    assert_eq!(answer.timers.iter().collect::<Vec<_>>(), [(0, 11)]);
    assert_eq!((answer.rejects, answer.sides.len()), (vec![Reject::new(0, "no")], 1));
}

/// Every way to break the contract of `process` beyond those of `transform` is a failure.
#[test]
fn broken_turns_are_refused() {
    type Break = fn(&mut processing::Output);
    let cases: [(Break, &str); 8] = [
        (|out| out.states = column(&["s"]), "`states` has 1 entries, expected 3"),
        (|out| out.timers.times = vec![10], "later than the watermark 10"),
        (|out| out.main.origins = Some(vec![5, 1, 1]), "`origins` names row 5, but the input has 2 rows and 3 keys"),
        (|out| out.main.times = None, "row 0 comes from a timer of key 2, but `times` is left out"),
        (
            |out| out.sides = vec![side(0, Some(vec![1, 3]))],
            "row 1 comes from a timer of key 1, but `times` is left out, in side output `kept`",
        ),
        (
            |out| {
                out.sides = vec![side(0, Some(vec![3]))];
                out.sides[0].rows.times = Some(vec![1]);
            },
            "comes from a timer of key 1, but it did not declare to write values, in side output `kept`",
        ),
        (|out| out.rejects = vec![reject(1)], "row 1 is both in `rejects` and in `origins`"),
        (|out| out.rejects = vec![reject(2)], "`rejects` names row 2, but the input has 2 rows"),
    ];
    for (break_it, expected) in cases {
        let mut broken = turned();
        break_it(&mut broken);
        assert_broken(check_turn(broken), expected);
    }
}
