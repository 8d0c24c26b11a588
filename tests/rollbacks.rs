//! Versions that fail as soon as they meet a row, put into a job that runs: each is rolled back, and no row is lost. There are
//! no dead letters in the job, so a single row that nobody can answer for would end it.

use crate::harness::builds::stamped;
use crate::harness::live::{at, course, history, listens, obeyed, refused};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::unwrapped;
use crate::harness::stream::Stream;
use crate::harness::{cells, data, report, root};
use crate::oracle::windows::{Row, tumbling};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A step, its world, what the version does there (settings of a hostile plugin), and words of the reason.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: [Case; 13] = [
    ("rows_in", "transform", r#"{"do":"trap","every":1}"#, "unreachable"),
    ("rows_in", "transform", r#"{"do":"loop","every":1}"#, "CPU"),
    ("rows_in", "transform", r#"{"do":"memory","every":1}"#, "memory"),
    ("rows_in", "transform", r#"{"answer":"unknown-row","every":1}"#, "`origins` names row"),
    ("rows_in", "transform", r#"{"do":"slow","every":1,"amount":20000}"#, "20 times the"),
    ("counts", "aggregator", r#"{"do":"trap","every":1}"#, "unreachable"),
    ("counts", "aggregator", r#"{"do":"loop","every":1}"#, "CPU"),
    ("counts", "aggregator", r#"{"do":"memory","every":1}"#, "memory"),
    ("counts", "aggregator", r#"{"answer":"loop-in-finish"}"#, "CPU"),
    ("passed", "process", r#"{"do":"trap","every":1}"#, "unreachable"),
    ("passed", "process", r#"{"do":"loop","every":1}"#, "CPU"),
    ("passed", "process", r#"{"do":"memory","every":1}"#, "memory"),
    ("passed", "process", r#"{"answer":"past-timer","every":1}"#, "later than the watermark"),
];

/// Rows that go in while a test waits for something.
const CHUNK: i64 = 200;
/// What the version before has shown of itself when the first one comes: enough to compare with.
const BEFORE: i64 = 2_000;
const START: i64 = 1_356_998_400_000;
const MINUTE: i64 = 60_000;

/// Rows of four keys, ten a second, numbered from 1.
fn row(id: i64) -> Row {
    Row { key: format!("{}|1", id * id % 7), time: START + id * 100, amount: id % 100 }
}

fn line(id: i64) -> String {
    let mut value: Value = serde_json::from_str(&cells::line(&row(id))).expect("JSON");
    value["id"] = id.into();
    value.to_string()
}

/// Three hostile plugins that do nothing bad, with a window and an order. `bounds`: of the table `[swap]`.
fn job(bounds: &str) -> String {
    let hostile = |world: &str| root().join("plugins/hostile").join(world).display().to_string();
    let [transform, aggregator, process] = ["transform", "aggregator", "process"].map(hostile);
    format!(
        r#"
        [swap]
        probation = "10m"
        {bounds}
        [source.rows]
        type = "stdin"
        event_time = "/t: time(unix-ms)"
        watermark = {{ disorder = "0s" }}
        [step.rows_in]
        input = "rows"
        plugin = "{transform}"
        [step.cells]
        input = "rows_in"
        plugin = "{}"
        [step.counts]
        input = "cells"
        plugin = "{aggregator}"
        window = {{ tumbling = "1m" }}
        [step.passed]
        input = "cells"
        plugin = "{process}"
        order = "event-time"
        [sink.windows]
        input = "counts"
        type = "file"
        path = "counts.jsonl"
        [sink.rows_out]
        input = "passed"
        type = "file"
        path = "passed.jsonl"
        "#,
        component("cell-key").display()
    )
}

/// Lets one version after the other in, and returns how long the slowest took to be out again, in milliseconds.
fn all_rolled_back(stream: &mut Stream, dir: &Path, cases: &[Case]) -> i64 {
    let mut slowest = 0;
    for case in cases {
        let took = rolled_back(stream, dir, *case);
        report(&format!("{} {}: rolled back after {took} ms", case.0, case.2));
        slowest = slowest.max(took);
    }
    slowest
}

/// Lets a version in, feeds rows until it is out again, and returns how long that took, in milliseconds.
fn rolled_back(stream: &mut Stream, dir: &Path, (step, world, deed, words): Case) -> i64 {
    make_bad(dir, world, deed);
    let before = history(dir, step).len();
    let said = obeyed(dir, &["swap", "job.toml", step, "bad.wasm", "--why", deed]);
    assert!(said.contains("on probation for 10 min"), "{said}");
    let events = until(&format!("{step}: {deed} to be rolled back"), || {
        feed(stream);
        Some(history(dir, step)).filter(|events| events.len() > before + 1)
    });
    let events = &events[before..];
    assert_eq!(course(events), ["swapped", "rolled-back"], "{step}: {deed}: {events:?}");
    let [swapped, back] = [&events[0], &events[1]];
    assert_eq!((&swapped["why"], &swapped["version"]), (&json!(deed), &back["version"]));
    let why = back["why"].as_str().expect("a reason");
    assert!(back["by"] == "wasmill" && why.contains(words), "{step}: {deed}: {back}");
    let outcome = back["outcome"].as_str().expect("words");
    assert!(outcome.contains("put back in place of") && outcome.contains(" rows seen, "), "{back}");
    at(back) - at(swapped)
}

/// Puts more rows in.
fn feed(stream: &mut Stream) {
    let first = stream.fed() + 1;
    stream.put((first..first + CHUNK).map(line));
}

/// A version of a hostile plugin that does this, as `bad.wasm`.
fn make_bad(dir: &Path, world: &str, deed: &str) {
    let good = fs::read(component(&format!("hostile/{world}"))).expect("it was built");
    fs::write(dir.join("bad.wasm"), stamped(&good, deed)).expect("it can be written");
}

/// Versions of a transform, an aggregator and a process that trap, loop, take all memory, answer nonsense or are too slow, one
/// after the other → each is rolled back by itself with the reason in the history; every row comes out once, and every count
/// is that of the good version alone.
#[test]
fn versions_that_fail_on_their_first_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    fs::write(dir.join("job.toml"), job("cpu = 20.0")).expect("it can be written");
    let mut stream = Stream::run(dir, &[]);
    listens(dir, "counts");
    stream.put((1..=BEFORE).map(line));
    let slowest = all_rolled_back(&mut stream, dir, &CASES);
    let fed = stream.fed();
    stream.end(&["rows", "rows_in", "cells", "counts", "passed"]);
    let lines = |name: &str| data::json_lines(&fs::read_to_string(dir.join(name)).expect("the sink wrote it"));
    let ids = passed(dir);
    assert!(ids.iter().copied().eq(1..=fed), "{} rows of {fed}", ids.len());
    let mut counts: Vec<(i64, String, i64)> = lines("counts.jsonl").iter().map(count).collect();
    counts.sort();
    let rows: Vec<Row> = (1..=fed).map(row).collect();
    let expected: Vec<_> =
        tumbling(&rows, MINUTE).into_iter().map(|((start, _, key), (count, _))| (start, key, count)).collect();
    assert_eq!(counts, expected);
    report(&format!("{} bad versions, the slowest rolled back after {slowest} ms; {fed} rows, none lost", CASES.len()));
}

/// Versions that trap or never return in a call without rows → refused before they take over, with the reason in the history;
/// no row is lost.
#[test]
fn versions_that_fail_without_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    fs::write(dir.join("job.toml"), job("")).expect("it can be written");
    let mut stream = Stream::run(dir, &[]);
    listens(dir, "counts");
    for (step, world) in [("rows_in", "transform"), ("counts", "aggregator"), ("passed", "process")] {
        for (deed, words) in [("trap", "unreachable"), ("loop", "CPU")] {
            feed(&mut stream);
            make_bad(dir, world, &format!(r#"{{"do":"{deed}-without-rows"}}"#));
            let reason = unwrapped(&refused(dir, &["swap", "job.toml", step, "bad.wasm"]));
            assert!(reason.contains("probe call: ") && reason.contains(words), "{step}: {deed}: {reason}");
        }
        let events = history(dir, step);
        assert_eq!(course(&events), ["refused", "refused"], "{events:?}");
        assert!(events[1]["outcome"].as_str().is_some_and(|outcome| outcome.contains("probe call: ")), "{events:?}");
        let said = obeyed(dir, &["swap", "job.toml", step]);
        assert!(said.contains("nothing is on trial"), "{said}");
    }
    let fed = stream.fed();
    stream.end(&["rows", "rows_in", "cells", "counts", "passed"]);
    assert_eq!(passed(dir), Vec::from_iter(1..=fed));
}

/// What breaks a bound: a step, its world, what the version does there, and words of the reason.
const BEYOND: [Case; 3] = [
    ("rows_in", "transform", r#"{"answer":"rejected","every":1}"#, "rows, and 0.001 of all is the bound"),
    ("rows_in", "transform", r#"{"answer":"many-rows","every":1,"amount":1}"#, "results for each row or window"),
    ("rows_in", "transform", r#"{"answer":"many-rows","every":1,"amount":2000}"#, "results for each row or window"),
];

/// What takes too long.
const TOO_SLOW: [Case; 3] = [
    ("rows_in", "transform", r#"{"do":"slow","every":1,"amount":200000}"#, "by the clock a row, and 20 times the"),
    ("counts", "aggregator", r#"{"do":"slow","every":1,"amount":200000}"#, "by the clock a row, and 20 times the"),
    ("passed", "process", r#"{"do":"slow","every":1,"amount":200000}"#, "by the clock a row, and 20 times the"),
];

/// Versions that refuse too many rows, give too few or too many results, or take too long by the clock, one after the other → each
/// is rolled back by its bound, with the figures in the history, and the version before goes on with what comes then.
#[test]
fn versions_beyond_their_bounds() {
    // On a busy machine a call takes long by the clock: that bound stands alone.
    let jobs = [("rejects = 0.001\noutput = [0.5, 2.0]", BEYOND), ("latency = 20.0", TOO_SLOW)];
    for (bounds, cases) in jobs {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        fs::write(dir.join("job.toml"), job(bounds)).expect("it can be written");
        let mut stream = Stream::run(dir, &[]);
        listens(dir, "counts");
        stream.put((1..=BEFORE).map(line));
        let slowest = all_rolled_back(&mut stream, dir, &cases);
        let first = stream.fed() + 1;
        feed(&mut stream);
        let fed = stream.fed();
        // Behind that step there are as many rows as it made.
        stream.end(&["rows", "rows_in"]);
        let after: Vec<i64> = passed(dir).into_iter().filter(|id| *id >= first).collect();
        assert_eq!(after, Vec::from_iter(first..=fed));
        report(&format!("{} versions beyond {bounds:?}, the slowest rolled back after {slowest} ms", cases.len()));
    }
}

/// The numbers of the rows that came through, ascending.
fn passed(dir: &Path) -> Vec<i64> {
    let rows = data::json_lines(&fs::read_to_string(dir.join("passed.jsonl")).expect("the sink wrote it"));
    let mut ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

/// What the hostile aggregator says about a window.
fn count(result: &Value) -> (i64, String, i64) {
    let number = |name: &str| result[name].as_i64().unwrap_or_else(|| panic!("{name} in {result}"));
    (number("start"), result["key"].as_str().expect("text").to_owned(), number("count"))
}
