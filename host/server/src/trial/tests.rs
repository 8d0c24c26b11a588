use super::*;
use row::Row;

const TEXT: &str = r#"# Two rows, one of them wrong.
{"time": "1970-01-01T00:00:00Z", "key": "a", "value": {"n": 1}}
{"out": {"key": "a", "value": {"n": 2}}}
{"watermark": "end"}
"#;

fn case() -> Case {
    Case::read(Path::new("cases/wrong.jsonl"), TEXT).expect("a case")
}

fn outcome(case: &Case, found: Vec<Vec<Output>>) -> Outcome {
    let judged = case
        .blocks
        .iter()
        .zip(&found)
        .find_map(|(block, found)| Some(Failure::Mismatch(block.line, Box::new(verdict::judge(block, found)?))));
    Outcome { found, failure: judged, waiting: Some("1 row still waits".to_owned()), counts: GuestCounts::default() }
}

fn out(value: &str) -> Output {
    let row = Row { key: Some(b"a".to_vec()), value: Some(value.as_bytes().to_vec()), ..Row::default() };
    Output::new(output::Way::Main, row)
}

/// A row that is not the expected one → its place in the file, both rows, and the members that differ; a hint at what
/// waits.
#[test]
fn report_shows_the_difference() {
    let case = case();
    let outcome = outcome(&case, vec![vec![out("{\"n\":3}")], Vec::new()]);
    let report = Report { case: &case, outcome: &outcome, updated: false, paint: Paint::NONE }.to_string();
    let expected = r#"FAILED  wrong                    1 in     1 out   0.00 ms of CPU, 0.0 MiB, 0 calls
  Two rows, one of them wrong.
  cases/wrong.jsonl:2: behind this row, row 1 of `out` is not the expected one
    - expected  {"out": {"key": "a", "value": {"n": 2}}}
    + found     {"out": {"key": "a", "value": {"n":3}}}
      value.n: expected 2, found 3
  note: 1 row still waits; a last line {"watermark": "end"} lets everything out
"#;
    assert_eq!(report, expected);
}

/// An update → what has come out stands where the expectation stood, and the case then passes.
#[test]
fn updates_pass_afterwards() {
    let case = case();
    let found = vec![vec![out("{\"n\":3}")], vec![out("{}")]];
    let text = outcome(&case, found.clone()).updated(&case).expect("a text");
    let updated = Case::read(&case.path, &text).expect("a case");
    assert!(outcome(&updated, found).passed(), "{text}");
    assert!(!outcome(&updated, vec![vec![out("{\"n\":3}")], Vec::new()]).passed());
}

/// A call that has failed → its line and its words, and nothing to update with.
#[test]
fn failed_calls() {
    let case = case();
    let error = Error::invalid("plugin p: transform trapped");
    let failed = Outcome {
        found: Vec::new(),
        failure: Some(Failure::Call(2, error)),
        waiting: None,
        counts: GuestCounts::default(),
    };
    assert_eq!(failed.updated(&case), None);
    let report = Report { case: &case, outcome: &failed, updated: false, paint: Paint::NONE }.to_string();
    assert!(report.contains("cases/wrong.jsonl:2: plugin p: transform trapped\n"), "{report}");
}

/// Cases are found by name; a name that is not there is answered with those that are.
#[test]
fn cases_are_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let find = |only| find(folder.path(), only).map_err(|error| error.report());
    assert!(find(None).expect_err("no cases").contains("a case is a file NAME.jsonl"));
    for name in ["b.jsonl", "a.jsonl", "notes.txt"] {
        std::fs::write(folder.path().join(name), "").expect("a file");
    }
    let names = |files: Vec<PathBuf>| -> Vec<_> {
        files.iter().filter_map(|file| file.file_stem().map(ToOwned::to_owned)).collect()
    };
    assert_eq!(find(None).map(names), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(find(Some("b")).map(names), Ok(vec!["b".into()]));
    assert!(find(Some("c")).expect_err("no such case").ends_with("there are: a, b"));
}
