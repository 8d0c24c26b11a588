//! A process with state and timers: a running mean and deviation per key, in the order of event time.

use crate::harness::cells;
use crate::harness::data::json_lines;
use crate::harness::job::Job;
use crate::oracle::calendar;
use crate::oracle::deviation::{self, Alert};
use crate::oracle::windows::Row;
use std::fs;

const START: i64 = 1_356_998_400_000;
const IDLE: i64 = 30_000;
const SPLITS: usize = 4;

/// Rows of five busy keys and one that falls silent now and then, up to 20 seconds out of order; some amounts are far off.
fn rows(count: i64) -> Vec<Row> {
    let mut state = 9u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64 % below
    };
    let mut row = |number: i64| {
        let second = number / 5;
        let rare = second % 100 < 20 && number % 5 == 0;
        let key = if rare { "7|7".to_owned() } else { format!("{}|1", random(5)) };
        let amount = if random(40) == 0 { 900 + random(100) } else { random(100) };
        Row { key, time: START + number * 200 - random(20_000), amount }
    };
    (0..count).map(&mut row).collect()
}

fn job(order: &str) -> Job {
    Job::new(format!(
        r#"
        [engine]
        epoch = "5ms"
        in_flight = "64 KiB"

        [source.rows]
        type = "replay"
        path = "${{in}}"
        splits = {SPLITS}
        event_time = "/t: time(unix-ms)"
        watermark = {{ disorder = "20s" }}

        [step.cells]
        input = "rows"
        plugin = "plugins/cell-key"

        [step.alerts]
        input = "cells"
        plugin = "plugins/running-deviation"
        settings = {{ field = "/total_amount", warm_up = 10, idle = "30s" }}
        {order}

        [sink.file]
        input = "alerts"
        type = "file"
        path = "${{out}}/alerts.jsonl"
        overwrite = true

        [dead_letter]
        type = "file"
        path = "${{out}}/dead.jsonl"
        overwrite = true
        "#
    ))
}

/// Disorderly rows in four splits → the alerts of one pass over all rows in the order of time, with 1, 2 and 4 workers: the
/// same keys, times, counts and means.
#[test]
fn alerts_equal_brute_force() {
    let dir = tempfile::tempdir().expect("a folder");
    let (input, rows) = (dir.path().join("in.jsonl"), rows(20_000));
    cells::write(&input, &rows);
    let expected = deviation::alerts(&rows, SPLITS, IDLE, 10, 3.0);
    assert!(expected.len() > 100, "{} alerts", expected.len());
    for workers in [1, 2, 4] {
        let job = job("order = \"event-time\"").set("in", input.display()).set("out", dir.path().display());
        let ledger = job.workers(workers).run();
        let text = fs::read_to_string(dir.path().join("alerts.jsonl")).expect("the sink wrote it");
        let mut found: Vec<Alert> = json_lines(&text)
            .iter()
            .map(|alert| Alert {
                key: alert["key"].as_str().expect("text").to_owned(),
                time: alert["time"].as_str().and_then(calendar::millis).expect("a time"),
                value: alert["value"].as_f64().expect("a number"),
                count: alert["count"].as_u64().expect("a number"),
                mean: alert["mean"].as_f64().expect("a number"),
            })
            .collect();
        found.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        assert_eq!(found.len(), expected.len(), "{workers} workers");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found.key, found.time, found.count), (&expected.key, expected.time, expected.count));
            assert!((found.mean - expected.mean).abs() < 1e-9, "{found:?}, expected {expected:?}");
        }
        let step = ledger.step("alerts").expect("it is in the job");
        assert_eq!((step.counts().read, step.counts().late), (20_000, 0));
        assert!(step.counts().timers > 10, "the rare key was forgotten now and then: {}", step.counts());
    }
}

/// The same rows as they arrive → every row is processed at once, none is late, and the balance holds.
#[test]
fn arrival() {
    let dir = tempfile::tempdir().expect("a folder");
    let (input, rows) = (dir.path().join("in.jsonl"), rows(5_000));
    cells::write(&input, &rows);
    let ledger = job("").set("in", input.display()).set("out", dir.path().display()).workers(2).run();
    let counts = ledger.step("alerts").expect("it is in the job").counts();
    assert_eq!((counts.read, counts.emitted + counts.filtered, counts.late), (5_000, 5_000, 0));
    assert_eq!(counts.emitted, counts.written);
}

/// The example of alerts → the same alerts with 1, 2 and 4 workers, every one of a fare far from its mean, no dead letter.
#[test]
fn example() {
    let mut first = None;
    for workers in [1, 2, 4] {
        let dir = tempfile::tempdir().expect("a folder");
        let job = Job::read("examples/alerts/job.toml").set("out", dir.path().display()).set("trips", 50_000);
        let ledger = job.workers(workers).run();
        let text = fs::read_to_string(dir.path().join("alerts.jsonl")).expect("the sink wrote it");
        for alert in json_lines(&text) {
            let number = |name: &str| alert[name].as_f64().expect("a number");
            assert!((number("value") - number("mean")).abs() > 4.0 * number("deviation"), "{alert}");
        }
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        assert!(lines.len() > 50, "{} alerts", lines.len());
        assert_eq!(ledger.step("dead_letter").expect("it keeps them").counts().read, 0);
        assert!(*first.get_or_insert_with(|| lines.clone()) == lines, "{workers} workers");
    }
}
