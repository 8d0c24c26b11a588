use super::*;

/// Three input rows, of which a plugin that writes values returns the first and the last.
fn output() -> transformer::Output {
    transformer::Output {
        origins: Some(vec![0, 2]),
        times: Some(vec![1, 2]),
        keys: Some(column(&["a", "b"])),
        values: Some(column(&["v", "w"])),
        rejects: vec![reject(1)],
    }
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

fn check(output: transformer::Output) -> Result<Transformed, String> {
    let needs = Needs { writes_values: true, ..Needs::default() };
    transformed(output, 3, &needs, &Limits::default())
}

/// What a correct plugin returns comes out as it is.
#[test]
fn a_correct_answer_passes() {
    let rows = check(output()).expect("a correct answer");
    assert_eq!(rows.origins, Some(vec![0, 2]));
    assert_eq!(rows.times, Some(vec![1, 2]));
    assert_eq!(rows.keys, Some(["a", "b"].into_iter().collect()));
    assert_eq!(rows.values, Some(["v", "w"].into_iter().collect()));
    assert_eq!(rows.rejects, [Reject { row: 1, reason: "no".to_owned() }]);
}

/// Every way to break the contract of `transform` is an error that names the column and the offending value.
#[test]
fn broken_answers_are_refused() {
    type Break = fn(&mut transformer::Output);
    let cases: [(Break, &str); 14] = [
        (|out| out.times = Some(vec![1]), "`times` has 1 entries, expected 2"),
        (|out| out.times = Some(vec![1, i64::MAX]), "`times` holds 9223372036854775807 at row 1"),
        (|out| out.times = Some(vec![i64::MIN, 1]), "`times` holds -9223372036854775808 at row 0"),
        (|out| out.keys = Some(column(&["a", "b", "c"])), "`keys` has 3 entries, expected 2"),
        (|out| out.values = Some(column(&[])), "`values` has 0 entries, expected 2"),
        (|out| out.values = None, "`values` is left out"),
        (
            |out| out.keys = Some(BinaryResult { ends: vec![2, 1], bytes: vec![0, 0] }),
            "`keys`: end 1 of item 1 is not between 2 and the 2 bytes",
        ),
        (
            |out| out.values = Some(BinaryResult { ends: vec![0, 9], bytes: vec![0, 0] }),
            "`values`: end 9 of item 1 is not between 0 and the 2 bytes",
        ),
        (|out| out.origins = Some(vec![2, 0]), "`origins` must ascend, but 0 follows 2 at row 1"),
        (|out| out.origins = Some(vec![0, 3]), "`origins` names row 3, but the input has 3 rows"),
        (|out| out.rejects = vec![reject(3)], "`rejects` names row 3, but the input has 3 rows"),
        (|out| out.rejects = vec![reject(1), reject(1)], "`rejects` names row 1 twice"),
        (|out| out.rejects = vec![reject(2)], "row 2 is both in `rejects` and in `origins`"),
        (
            |out| {
                out.origins = None;
                out.times = None;
                out.keys = None;
                out.values = Some(column(&["", "", ""]));
            },
            "row 1 is both in `rejects` and in `origins`",
        ),
    ];
    for (break_it, expected) in cases {
        let mut broken = output();
        break_it(&mut broken);
        let words = check(broken).expect_err(expected);
        assert!(words.contains(expected), "{words:?} should say {expected:?}");
    }
}

/// A row may come out several times; more rows than the limit are refused.
#[test]
fn origins_may_repeat_up_to_the_limit() {
    let limits = Limits { rows: 3, ..Limits::default() };
    let many = |origins: Vec<u32>| transformer::Output {
        origins: Some(origins),
        times: None,
        keys: None,
        values: None,
        rejects: Vec::new(),
    };
    let needs = Needs::default();
    let rows = transformed(many(vec![1, 1, 1]), 2, &needs, &limits).expect("repeats are allowed");
    assert_eq!(rows.origins, Some(vec![1, 1, 1]));
    let words = transformed(many(vec![1, 1, 1, 1]), 2, &needs, &limits).expect_err("above the limit");
    assert!(words.starts_with("4 rows are returned, at most 3"), "{words}");
}

/// A plugin that did not declare to write values may not return any.
#[test]
fn undeclared_values_are_refused() {
    let words = transformed(output(), 3, &Needs::default(), &Limits::default()).expect_err("undeclared");
    assert!(words.contains("it did not declare to write values"), "{words}");
}

/// An aggregator that loses or invents accumulators or results is refused.
#[test]
fn accumulators_are_counted() {
    let answer = |items: &[&str]| aggregation::Accumulated { accumulators: column(items), rejects: vec![reject(4)] };
    assert!(accumulated(answer(&["a", "b"]), 5, 2).is_ok());
    let words = accumulated(answer(&["a"]), 5, 2).expect_err("one accumulator is lost");
    assert_eq!(words, "`accumulators` has 1 entries, expected 2");
    let words = accumulated(answer(&["a", "b"]), 4, 2).expect_err("there is no row 4");
    assert!(words.contains("`rejects` names row 4"), "{words}");
    assert!(merged(column(&["a"]), 1).is_ok());
    assert!(merged(column(&["a"]), 2).is_err());

    let limits = Limits::default();
    let results = |origins: Option<Vec<u32>>| aggregation::Finished { origins, values: column(&["x", "y"]) };
    assert!(finished(results(None), 2, &limits).is_ok());
    assert!(finished(results(None), 3, &limits).is_err());
    assert!(finished(results(Some(vec![2, 2])), 3, &limits).is_ok());
    assert!(finished(results(Some(vec![2, 3])), 3, &limits).is_err());
}
