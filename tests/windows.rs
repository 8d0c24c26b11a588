//! Sliding and session windows end to end against brute force, and what happens to rows that come late.

use crate::harness::data::json_lines;
use crate::harness::job::Job;
use crate::oracle::calendar;
use crate::oracle::taxi::millionths;
use crate::oracle::windows::{self, Answer, Row};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const START: i64 = 1_356_998_400_000;
const DISORDER: i64 = 30_000;

/// Rows of five keys, five a second, up to half a minute out of order.
fn rows(count: i64) -> Vec<Row> {
    let mut state = 1u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % below
    };
    let mut row = |number: i64| Row {
        key: format!("{}|4075", random(5) - 7400),
        time: START + number * 200 - random(DISORDER),
        amount: random(100),
    };
    (0..count).map(&mut row).collect()
}

/// A row as the plugins `cell-key` and `cell-average` want it.
fn line(row: &Row) -> String {
    let (longitude, latitude) = row.key.split_once('|').expect("a key has two parts");
    let degrees = |text: &str| (text.parse::<f64>().expect("of whole numbers") + 0.5) / 100.0;
    let (longitude, latitude) = (degrees(longitude), degrees(latitude));
    json!({"t": row.time, "pickup_longitude": longitude, "pickup_latitude": latitude, "total_amount": row.amount})
        .to_string()
}

/// A job that counts and averages per key in these windows, with results in `averages.jsonl` and late rows in `late.jsonl`.
fn job(source: &str, window: &str, averages: &str) -> String {
    format!(
        r#"
        [engine]
        epoch = "5ms"
        in_flight = "64 KiB"

        [source.rows]
        {source}
        event_time = "/t: time(unix-ms)"
        watermark = {{ disorder = "30s" }}

        [step.cells]
        input = "rows"
        plugin = "plugins/cell-key"

        [step.averages]
        input = "cells"
        plugin = "plugins/cell-average"
        {window}

        [sink.averages-file]
        input = "averages"
        {averages}

        [sink.late-file]
        input = "averages.late"
        type = "file"
        path = "${{out}}/late.jsonl"
        "#
    )
}

/// The last word of the job on each window: number of rows and average.
fn results(lines: &str) -> BTreeMap<(i64, i64, String), (i64, f64)> {
    let window = |value: &Value| {
        let time = |name: &str| value[name].as_str().and_then(calendar::millis).expect("a time");
        let key = format!("{}|{}", value["cell_lon"], value["cell_lat"]);
        let result =
            (value["count"].as_i64().expect("a count"), millionths(value["average"].as_f64().expect("an average")));
        ((time("window_start"), time("window_end"), key), result)
    };
    json_lines(lines).iter().map(window).collect()
}

fn averages(answer: Answer) -> BTreeMap<(i64, i64, String), (i64, f64)> {
    answer.into_iter().map(|(window, (count, sum))| (window, (count, millionths(sum as f64 / count as f64)))).collect()
}

fn run(dir: &Path, window: &str, workers: usize) -> String {
    let source = r#"type = "replay"
        path = "${in}"
        splits = 4"#;
    let averages = r#"type = "file"
        path = "${out}/averages.jsonl"
        overwrite = true"#;
    let text = job(source, window, averages).replace("late.jsonl\"", "late.jsonl\"\noverwrite = true");
    let job = Job::new(text).set("in", dir.join("in.jsonl").display()).set("out", dir.display()).workers(workers);
    let ledger = job.run();
    let late = ledger.step("averages").expect("it is in the job").counts().late;
    assert_eq!(late, 0, "no row is further behind than the disorder");
    std::fs::read_to_string(dir.join("averages.jsonl")).expect("the sink wrote it")
}

fn assert_equals_brute_force(window: &str, answer: impl Fn(&[Row]) -> Answer) {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = rows(20_000);
    let lines: String = rows.iter().map(|row| line(row) + "\n").collect();
    std::fs::write(dir.path().join("in.jsonl"), lines).expect("it can be written");
    let expected = averages(answer(&rows));
    for workers in [1, 2, 4] {
        let found = results(&run(dir.path(), window, workers));
        let wrong: Vec<_> =
            found.iter().filter(|(window, result)| expected.get(window) != Some(result)).take(3).collect();
        assert!(wrong.is_empty(), "{window}, {workers} workers: {wrong:?}, expected {:?}", expected.get(wrong[0].0));
        assert_eq!(found.len(), expected.len(), "{window}, {workers} workers");
    }
}

/// Disorderly rows in 4 splits, 5-minute windows every minute → each window as brute force has it, with 1, 2, 4 workers.
#[test]
fn sliding() {
    let minute = 60_000;
    assert_equals_brute_force(r#"window = { sliding = "5m", every = "1m" }"#, |rows| {
        windows::sliding(rows, 5 * minute, minute)
    });
}

/// A slide that does not divide the size → the same.
#[test]
fn sliding_unevenly() {
    assert_equals_brute_force(r#"window = { sliding = "100s", every = "30s" }"#, |rows| {
        windows::sliding(rows, 100_000, 30_000)
    });
}

/// Disorderly rows join and bridge sessions in any order → each session as brute force has it.
#[test]
fn sessions() {
    assert_equals_brute_force(r#"window = { session = "3s" }"#, |rows| windows::session(rows, 3_000));
}
