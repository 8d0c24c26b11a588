//! Versions on trial in a job that runs: shadows, which are only compared, and canaries, which answer for some keys.

use crate::conformance::{answers, assert_same, guests_in, input, job, sorted, written};
use crate::harness::builds::{another, patched};
use crate::harness::cells::{self, result};
use crate::harness::live::{course, history, listens, obeyed};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::stream::Stream;
use crate::harness::versions::version;
use crate::harness::{data, report};
use crate::oracle::windows::{Answer, Row, tumbling};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// What a shadow of a step has been found to be, once it has seen so many rows and some answers: how many of these were compared, how many
/// differ, and the whole report.
fn compared(dir: &std::path::Path, step: &str, rows: usize) -> (usize, usize, String) {
    until(&format!("{rows} rows of {step}"), || {
        let said = obeyed(dir, &["swap", "job.toml", step]);
        let line = said.lines().nth(1).unwrap_or_else(|| panic!("no report in {said}"));
        let numbers: Vec<usize> =
            line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
        let [seen, compared, differing] = numbers[..] else { panic!("no numbers in {line}") };
        (seen >= rows && compared > 0).then_some((compared, differing, said))
    })
}

/// Shadows of a transform that calls a member otherwise, of an aggregator that is the same, and of a process that refuses with
/// another word → exactly the planted differences are counted and shown side by side, and every output is that of the job
/// without shadows, byte for byte.
#[test]
fn shadows_find_planted_differences() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let (path, text) = (dir.join("in.jsonl"), input());
    fs::write(&path, &text).expect("it can be written");
    let good = guests_in("rust", dir).expect("Rust is here");
    let expected = answers(&path, &good);
    let [transform, aggregator, process] = good.each_ref().map(|path| fs::read(path).expect("it was built"));
    let shadows = [
        ("parse", patched(&transform, "cents", "money")),
        ("count", another(&aggregator, 1)),
        ("track", patched(&process, "unlucky", "unhappy")),
    ];
    fs::write(dir.join("job.toml"), job("type = \"stdin\"", &good)).expect("it can be written");
    let mut stream = Stream::run(dir, &["--set", "out=."]);
    listens(dir, "parse");
    for (step, shadow) in &shadows {
        fs::write(dir.join("shadow.wasm"), shadow).expect("it can be written");
        let said = obeyed(dir, &["swap", "job.toml", step, "shadow.wasm", "--shadow", "10m"]);
        assert!(said.contains("as a shadow for 10 min"), "{said}");
    }
    stream.put(text.lines().map(str::to_owned));
    let rows = data::json_lines(&text);
    let planted = rows.iter().filter(|row| has_cents(row)).count();
    let (seen, differing, said) = compared(dir, "parse", rows.len());
    assert_eq!((seen, differing), (rows.len(), planted), "{said}");
    assert_shown(&said, "\"cents\":", "\"money\":");
    // Rows of the last minute wait for their time in `track`, and windows of it are open.
    let (_, differing, said) = compared(dir, "count", planted / 2);
    assert_eq!(differing, 0, "{said}");
    let (_, differing, said) = compared(dir, "track", planted / 2);
    assert!(differing > 0, "{said}");
    assert_shown(&said, "refused: unlucky", "refused: unhappy");
    for (step, _) in &shadows {
        obeyed(dir, &["swap", "job.toml", step, "--abort"]);
        let events = history(dir, step);
        assert_eq!(course(&events), ["shadow", "aborted"], "{events:?}");
    }
    report(&format!(
        "{} rows through three shadows, of which two differ: in {planted} and {differing} rows",
        rows.len()
    ));
    stream.end(&["rows", "parse"]);
    for ((name, found), (_, expected)) in written(dir).iter().zip(&expected) {
        assert_same(name, &sorted(found), &sorted(expected));
    }
}

/// Whether the conformance transform makes a row of it that has cents.
fn has_cents(row: &Value) -> bool {
    let drops = row["id"].as_i64().is_none_or(|id| id % 7 == 0);
    !drops && row["name"].is_string() && row["amount"].as_f64().is_some_and(|amount| amount >= 0.0)
}

/// Asserts that a report shows ten differences, all of them of this sort.
fn assert_shown(report: &str, was: &str, is: &str) {
    let lines = |whose: &str| report.lines().filter_map(|line| line.strip_prefix(whose)).collect::<Vec<_>>();
    let (before, now) = (lines("    before "), lines("    now    "));
    assert!(before.len() >= 10 && before.iter().all(|line| line.contains(was)), "{report}");
    let renamed: Vec<String> = before.iter().map(|line| line.replace(was, is)).collect();
    assert_eq!(now, renamed, "{report}");
}

/// A shadow whose time is over, and one that traps → each goes by itself, the history says why, and rows go on as before.
#[test]
fn shadows_end_by_themselves() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let good = fs::read(component("hostile/transform")).expect("it was built");
    fs::write(dir.join("p.wasm"), &good).expect("it can be written");
    fs::write(dir.join("again.wasm"), another(&good, 1)).expect("it can be written");
    let bad = crate::harness::builds::stamped(&good, r#"{"do":"trap","every":1}"#);
    fs::write(dir.join("traps.wasm"), bad).expect("it can be written");
    fs::write(dir.join("job.toml"), crate::harness::stream::job(&[("same", "p.wasm")])).expect("it can be written");
    let mut stream = Stream::run(dir, &[]);
    listens(dir, "same");
    for (shadow, time, words) in [("again.wasm", "1ms", "1 ms are over"), ("traps.wasm", "10m", "unreachable")] {
        obeyed(dir, &["swap", "job.toml", "same", shadow, "--shadow", time]);
        let events = until("the end of a shadow", || {
            stream.feed(1);
            Some(history(dir, "same")).filter(|events| course(events).last() == Some(&"aborted"))
        });
        let why = events.last().and_then(|event| event["why"].as_str()).expect("a reason");
        assert!(why.contains(words), "{why}");
    }
    let said = obeyed(dir, &["swap", "job.toml", "same"]);
    assert!(said.contains("hostile-transform 0.1.0 (") && said.contains("nothing is on trial"), "{said}");
    stream.end(&["rows", "same"]);
}

const START: i64 = 1_356_998_400_000;
const WINDOW: i64 = 600_000;
const KEYS: i64 = 200;

/// A row a second, of one key after the other: three of each key in a window.
fn row(id: i64) -> Row {
    Row { key: format!("{}|5", id % KEYS), time: START + id * 1_000, amount: id % 90 }
}

/// The keys of a window whose result is of version 2 or later, as it says itself.
fn newer(rows: &[Value], window: i64) -> BTreeSet<String> {
    let of = |row: &&Value| result(row).0.0 == START + window * WINDOW && row["versions"].is_array();
    rows.iter().filter(of).map(|row| result(row).0.2).collect()
}

/// A canary for 30 % of the keys over two windows, then promoted; a canary of the next version, then called off → the same
/// keys are answered by it in both windows and no others, after the promotion all are, after the other one none by that; counts and
/// averages are right throughout, and the balance tells the costs of each version.
#[test]
fn canaries_answer_for_their_keys() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let window = "window = { tumbling = \"10m\" }";
    let job = cells::job("type = \"stdin\"", "disorder = \"1s\"", window, "type = \"stdout\"");
    fs::write(dir.join("job.toml"), job).expect("it can be written");
    let mut stream = Stream::run(dir, &["--set", "out=."]);
    let mut rows = Vec::new();
    let mut until_window = |stream: &mut Stream, windows: i64| {
        // A hundred rows more than that, so that the next window is open.
        stream.put((stream.fed()..windows * 600 + 100).map(|id| cells::line(&row(id))));
        let missing = (windows * KEYS) as usize - rows.len();
        rows.extend(stream.take(missing));
        rows.clone()
    };
    let canary = |number: u32| {
        let said = obeyed(dir, &["swap", "job.toml", "averages", &version(number), "--canary", "30%"]);
        assert!(said.contains("as a canary for 30.0 % of the keys"), "{said}");
    };
    listens(dir, "averages");
    assert!(newer(&until_window(&mut stream, 1), 0).is_empty());
    canary(2);
    let now = until_window(&mut stream, 3);
    let chosen = newer(&now, 1);
    assert_eq!(newer(&now, 2), chosen, "the same keys in each window");
    assert!((20..100).contains(&chosen.len()), "30 % of {KEYS} keys are {}", chosen.len());
    let said = obeyed(dir, &["swap", "job.toml", "averages", "--promote"]);
    assert!(said.contains("cell-average-2 0.1.0 (") && said.contains(") stays"), "{said}");
    let now = until_window(&mut stream, 4);
    assert_eq!(newer(&now, 3).len(), KEYS as usize, "all keys");
    canary(3);
    let now = until_window(&mut stream, 5);
    let of_three = |row: &&Value| row.get("greatest").is_some();
    let third: BTreeSet<String> = now.iter().filter(of_three).map(|row| result(row).0.2).collect();
    assert_eq!(third, chosen, "the same share is the same keys");
    obeyed(dir, &["swap", "job.toml", "averages", "--abort"]);
    let now = until_window(&mut stream, 7);
    let after = now.iter().filter(|row| result(row).0.0 >= START + 5 * WINDOW);
    assert_eq!(after.filter(of_three).count(), 0, "called off");
    assert_eq!(course(&history(dir, "averages")), ["canary", "promoted", "canary", "aborted"]);
    let all: Vec<Value> = now.into_iter().chain(stream.rest()).collect();
    let answer: Answer = all.iter().map(result).collect();
    let fed: Vec<Row> = (0..stream.fed()).map(row).collect();
    assert_eq!((answer.len(), answer), (all.len(), tumbling(&fed, WINDOW)));
    report(&format!("{} of {KEYS} keys were answered by the canary", chosen.len()));
    let said = stream.end(&["rows", "cells", "averages"]);
    for version in ["cell-average", "cell-average-2", "cell-average-3"] {
        let cost = said.lines().find_map(|line| line.strip_prefix(&format!("averages: {version} 0.1.0 (")));
        let calls = cost.and_then(|cost| cost.split_whitespace().nth(1)?.replace(',', "").parse::<u64>().ok());
        assert!(calls.is_some_and(|calls| calls > 0), "what {version} has cost: {said}");
    }
}
