//! How far event time has come: markers in the stream, and splits that have nothing to say.

use crate::harness::cells::{self, RESULTS};
use crate::harness::data::{generated_trips, json_lines};
use crate::harness::job::Job;
use crate::oracle::taxi;
use crate::oracle::windows::{Answer, Row};
use crate::taxi::assert_files;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const START: i64 = 1_356_998_400_000;

/// Trips that come late without bound, and markers that know → the answer of brute force, no late row, and every marker
/// counted and not handed on.
#[test]
fn markers() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let trips = generated_trips(20_000);
    fs::write(&input, trips.join("\n")).expect("it can be written");
    let answer = taxi::answer(&json_lines(&trips.join("\n")));
    for workers in [1, 4] {
        let job = Job::read("examples/taxi/job.toml").replace("watermark = { disorder = \"60s\" }", MARKERS);
        let job = job.set("in", input.display()).set("out", dir.path().display()).set("splits", 4);
        let ledger = job.workers(workers).run();
        assert_files(dir.path(), &answer);
        let counts = ledger.step("trips").expect("it is in the job").counts();
        assert_eq!((counts.written, counts.rejected), (20_000, 0), "{counts}");
        // Half an hour of event time, a marker every ten seconds, in each of four splits.
        assert!(counts.control > 4 * 180, "{counts}");
        assert_eq!(ledger.step("pickup_count").expect("it is in the job").counts().late, 0);
    }
}

const MARKERS: &str = "watermark = { markers = true }
    time = \"/dropoff_datetime: time\"
    markers = true
    marker_interval = \"10s\"
    marker_disorder = \"30s\"";

/// Rows of one split out of eight, played at twice their speed: half a minute passes, ten seconds more, then comes a
/// row of the first window. There are three rows of each later time, as a replay asks three before it believes the time.
/// Returns the results and the late lines.
fn one_busy_split(idle: &str) -> (Answer, Vec<String>) {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let row = |second: i64| Row { key: "0|0".to_owned(), time: START + second * 1_000, amount: second };
    let lines: Vec<_> = [0, 30, 30, 30, 40, 40, 40, 5].map(|second| with_taxi(&row(second))).into();
    fs::write(&input, lines.join("\n")).expect("it can be written");
    let source = "type = \"replay\"\npath = \"${in}\"\nsplits = 8\npartition_by = \"/taxi\"\nspeedup = 2\n\
                  time = \"/t: time(unix-ms)\"";
    let watermark = format!("disorder = \"0s\", idle = \"{idle}\"");
    let text = cells::job(source, &watermark, "window = { tumbling = \"10s\" }", RESULTS);
    Job::new(text).set("in", input.display()).set("out", dir.path().display()).run();
    (cells::results_in(dir.path()), cells::late_in(dir.path()))
}

/// The line of a row with a field that all of them share.
fn with_taxi(row: &Row) -> String {
    cells::line(row).replacen('{', "{\"taxi\":\"4F5C\",", 1)
}

fn window(start: i64, result: (i64, i64)) -> ((i64, i64, String), (i64, i64)) {
    ((START + start * 1_000, START + (start + 10) * 1_000, "0|0".to_owned()), result)
}

/// Seven splits that stay silent, and no time-out → they hold the watermark, so that the straggler is not late.
#[test]
fn silent_splits_hold_the_watermark() {
    let (results, late) = one_busy_split("never");
    assert_eq!(results, Answer::from([window(0, (2, 5)), window(30, (3, 90)), window(40, (3, 120))]));
    assert_eq!(late, [""; 0]);
}

/// The same splits with a time-out → they let go, the first window fires in time, and the straggler is late.
#[test]
fn idle_splits_let_go() {
    let (results, late) = one_busy_split("100ms");
    assert_eq!(results, Answer::from([window(0, (1, 0)), window(30, (3, 90)), window(40, (3, 120))]));
    assert_eq!(late, [with_taxi(&Row { key: "0|0".to_owned(), time: START + 5_000, amount: 5 })]);
}

/// A million rows in the order of their times, one of them dated a day later: the first, one in the middle or the last → none is late,
/// whether that day is still to come or long past; one that is still to come is rejected.
#[test]
fn a_row_from_another_day() {
    const ROWS: i64 = 1_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    for (start, rejected) in [(START, 0), (now - ROWS * 10, 1)] {
        for wrong in [0, ROWS / 2, ROWS - 1] {
            let dir = tempfile::tempdir().expect("a folder");
            let input = dir.path().join("in.jsonl");
            let time = |row: i64| start + row * 10 + if row == wrong { 86_400_000 } else { 0 };
            let rows = (0..ROWS).map(|row| Row { key: "0|0".to_owned(), time: time(row), amount: 1 });
            cells::write(&input, &rows.collect::<Vec<_>>());
            let source = "type = \"replay\"\npath = \"${in}\"";
            let text = cells::job(source, "disorder = \"1s\"", "window = { tumbling = \"1m\" }", RESULTS);
            let job = Job::new(text).set("in", input.display()).set("out", dir.path().display());
            let ledger = job.workers(2).run();
            assert_eq!(cells::late_in(dir.path()), [""; 0], "row {wrong} of those from {start}");
            let counts = ledger.step("rows").expect("it is in the job").counts();
            assert_eq!((counts.read, counts.rejected), (ROWS as u64, rejected), "row {wrong} of those from {start}");
            let counted: i64 = cells::results_in(dir.path()).values().map(|(count, _)| count).sum();
            assert_eq!(counted, ROWS - rejected as i64);
        }
    }
}
