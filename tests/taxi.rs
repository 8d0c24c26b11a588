//! The taxi example against brute force: real and generated trips, any number of splits and workers.

use crate::harness::data::{csv_rows, generated_trips, json_lines, real_trips};
use crate::harness::job::Job;
use crate::oracle::taxi::{self, Answer, PickupCount, TripDuration};
use serde_json::Value;
use std::fs;
use std::path::Path;
use wasmill_connect::replay::taxi::{DEFAULT_START, Trips};
use wasmill_stream::ledger::Ledger;

const JOB: &str = "examples/taxi/job.toml";

/// Asserts that two result sets are those of the answer, whatever the order of their rows.
pub fn assert_answers(pickup_counts: &[Value], trip_durations: &[Value], answer: &Answer) {
    let mut counts: Vec<_> = pickup_counts.iter().map(PickupCount::read).collect();
    counts.sort();
    let mut durations: Vec<_> = trip_durations.iter().map(TripDuration::read).collect();
    durations.sort_by(|a, b| a.partial_cmp(b).expect("no duration is NaN"));
    for (found, expected) in counts.iter().zip(&answer.pickup_count) {
        assert_eq!(found, expected, "the first difference");
    }
    for (found, expected) in durations.iter().zip(&answer.trip_duration) {
        assert_eq!(found, expected, "the first difference");
    }
    assert_eq!(counts.len(), answer.pickup_count.len(), "rows of pickup_count");
    assert_eq!(durations.len(), answer.trip_duration.len(), "rows of trip_duration");
}

/// Asserts that the two files in `dir` have the answer.
pub fn assert_files(dir: &Path, answer: &Answer) {
    let read = |name: &str| json_lines(&fs::read_to_string(dir.join(name)).expect("the sink wrote it"));
    assert_answers(&read("pickup_count.jsonl"), &read("trip_duration.jsonl"), answer);
}

/// Asserts that the first step of the counting kept so many trips.
fn assert_kept(ledger: &Ledger, answer: &Answer) {
    let counts = ledger.step("pickup_cell").expect("it is in the job").counts();
    assert_eq!(counts.written, answer.kept as u64, "{counts}");
}

fn assert_any_splits_and_workers(input: &Path, answer: &Answer) {
    let dir = tempfile::tempdir().expect("a folder");
    for (splits, workers) in [(1, 1), (1, 2), (8, 1), (8, 2), (8, 4)] {
        let job = Job::read(JOB).set("in", input.display()).set("out", dir.path().display()).set("splits", splits);
        let ledger = job.workers(workers).run();
        assert_kept(&ledger, answer);
        assert_files(dir.path(), answer);
    }
}

/// Ten thousand real trips → both results as brute force has them, with 1 and 8 splits and 1, 2 and 4 workers.
#[test]
fn real() {
    let Some(path) = real_trips() else { return };
    let answer = taxi::answer(&csv_rows(&path));
    assert_eq!((answer.kept, answer.pickup_count.len()), (9_822, 581), "what is known of the file");
    assert_any_splits_and_workers(&path, &answer);
}

/// An hour of generated trips as JSON lines, out of order → the same.
#[test]
fn generated() {
    let dir = tempfile::tempdir().expect("a folder");
    let lines = generated_trips(36_000);
    let input = dir.path().join("trips.jsonl");
    fs::write(&input, lines.join("\n")).expect("it can be written");
    let answer = taxi::answer(&json_lines(&lines.join("\n")));
    assert!(answer.trip_duration.len() > 20, "the set exercises both results: {}", answer.trip_duration.len());
    assert_any_splits_and_workers(&input, &answer);
}

/// The job of the demo, with fewer trips → both results as brute force has them.
#[test]
fn demo() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = Job::read("examples/taxi/demo.toml").set("out", dir.path().display()).set("trips", 50_000);
    let ledger = job.set("speedup", "max").workers(2).run();
    let trips: Vec<String> = Trips::new(Some(50_000), 1, 20.0, DEFAULT_START).collect();
    let answer = taxi::answer(&json_lines(&trips.join("\n")));
    assert_kept(&ledger, &answer);
    assert_files(dir.path(), &answer);
}

/// A raw sink beside the two aggregations → it gets every trip once, and the answer from its file is the same.
#[test]
fn raw_sink_beside_results() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    fs::write(&input, generated_trips(5_000).join("\n")).expect("it can be written");
    let raw = "[sink.raw]\ninput = \"trips\"\ntype = \"file\"\npath = \"${out}/raw.jsonl\"";
    let job = Job::read(JOB).append(raw).set("in", input.display()).set("out", dir.path().display());
    let ledger = job.set("splits", 4).workers(2).run();
    assert_eq!(ledger.step("raw").expect("it is in the job").counts().written, 5_000);
    let lines = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).expect("it is there");
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let raw = lines(&dir.path().join("raw.jsonl"));
    assert!(raw == lines(&input), "the raw sink has the bytes of the input");
    assert_files(dir.path(), &taxi::answer(&json_lines(&raw.join("\n"))));
}

/// Trips with the field names of 2016 → the same results as with those of 2013.
#[test]
fn field_names_of_2016() {
    let dir = tempfile::tempdir().expect("a folder");
    let lines = generated_trips(20_000).join("\n");
    let input = dir.path().join("in.jsonl");
    let renamed = lines.replace("\"pickup_datetime\"", "\"tpep_pickup_datetime\"");
    let renamed = renamed.replace("\"dropoff_datetime\"", "\"tpep_dropoff_datetime\"");
    assert!(renamed != lines);
    fs::write(&input, renamed).expect("it can be written");
    Job::read(JOB).set("in", input.display()).set("out", dir.path().display()).run();
    assert_files(dir.path(), &taxi::answer(&json_lines(&lines)));
}
