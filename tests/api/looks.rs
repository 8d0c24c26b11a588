//! What the API lets see of a job: why windows are open, rows on their way, checkpoints, dead letters.

use crate::harness::fleet::Fleet;
use crate::harness::patience::until;
use crate::harness::program::{output, wasmill};
use crate::harness::report;
use crate::pipeline::{self, Input, Pipeline};
use serde_json::{Value, json};
use std::fs;

/// Records per second of a job that goes on while it is looked at.
const RATE: usize = 500;

/// Rows of a sample, each from its line.
fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A running job → the windows of a step that are open, and the split that holds the first of them, for all keys and for one; the
/// same on the command line. A step without windows, or none at all → refused by name.
#[test]
fn what_holds_a_window() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(20_000), pipeline::local());
    fleet.write("job", &pipeline.text(Some(RATE)));
    let mut serving = fleet.start();
    serving.until("job", "running");
    let path = "/api/v1/jobs/job/steps/averages/explain";
    let held = until("a window that a split holds", || {
        Some(serving.get(path)).filter(|held| held["splits"][0]["holds"] == true && held["windows"][0].is_object())
    });
    let window = &held["windows"][0];
    let (watermark, end) = (held["watermark"].as_str().unwrap_or(""), window["end"].as_str().expect("an end"));
    assert!(watermark < end && window["start"].as_str() < Some(end), "{held}");
    let split = &held["splits"][0];
    assert!(split["source"] == "rows" && split["watermark"].as_str().is_none_or(|at| at < end), "{held}");
    assert!(held["why"].as_str().is_some_and(|why| why.contains("hold") && why.contains(end)), "{held}");

    let none = serving.get(&format!("{path}?key=no%20such%20key"));
    assert_eq!((&none["windows"], &none["why"]), (&json!([]), &json!("no window of averages is open")));
    for (path, words) in [
        ("/api/v1/jobs/job/steps/cells/explain", "cells has no windows"),
        ("/api/v1/jobs/job/steps/none/explain", "there is no step none; there are rows, "),
    ] {
        let (status, text) = serving.ask("GET", path, "");
        assert!(status == 422 && text.contains(words), "{status} {text}");
    }
    let arguments = ["explain", "jobs/job.toml", "averages", "--json"];
    let (code, said, error) = output(wasmill(fleet.path()).args(arguments));
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{error}"));
    assert!(code == Some(0) && said["step"] == "averages" && said["splits"][0]["source"] == "rows", "{said}");
    report(held["why"].as_str().expect("a sentence"));
    serving.stop().well();
}

/// Samples of what leaves a source, a transform and an aggregation, and of dead letters → rows as they are there, as many as were
/// wanted. An output that nobody reads, numbers that make no sense, a job that does not run → refused. The job has every row.
#[test]
fn rows_on_their_way() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(20_000), pipeline::local());
    fleet.write("job", &pipeline.text(Some(RATE)));
    let mut serving = fleet.start();
    serving.until("job", "running");
    let sample = |step: &str, query: &str| {
        let (status, text) = serving.ask("GET", &format!("/api/v1/jobs/job/steps/{step}/sample?{query}"), "");
        assert_eq!(status, 200, "{text}");
        rows(&text)
    };
    let read = sample("rows", "limit=12&seconds=60");
    assert_eq!(read.len(), 12);
    let known = pipeline.input().text();
    for row in &read {
        let value = row["value"].as_str().expect("a text");
        assert!(known.lines().any(|line| line == value) && row["time"].is_string(), "{row}");
    }
    let keyed = sample("cells", "limit=1&seconds=60");
    assert!(keyed.len() == 1 && keyed[0]["key"].is_string(), "{keyed:?}");
    let results = sample("averages", "limit=2&seconds=60");
    assert!(results.len() == 2 && results[0]["key"].is_string() && results[0]["value"].is_string(), "{results:?}");
    for (query, words) in [
        ("output=side", "nobody reads an output side of rows; outputs: main"),
        ("limit=0", "`limit` is from 1 to 1000"),
        ("limit=1001", "`limit` is from 1 to 1000"),
        ("seconds=0", "`seconds` from 1 to 60"),
        ("limit=many", "limit"),
        ("rows=1", "unknown field `rows`"),
    ] {
        let (status, text) = serving.ask("GET", &format!("/api/v1/jobs/job/steps/rows/sample?{query}"), "");
        assert!(status == 422 && text.contains(words), "{query}: {status} {text}");
    }
    fleet.write("job", &pipeline.text(None));
    serving.until("job", "finished");
    let (status, text) = serving.ask("GET", "/api/v1/jobs/job/steps/rows/sample", "");
    assert!(status == 409 && text.contains("job is finished"), "{status} {text}");
    serving.stop().well();
    pipeline.check();
}

/// A job that was paused → its checkpoints listed, shown, found whole, kept under a name; one that is damaged is found to be. A job
/// that keeps none → said so.
#[test]
fn checkpoints() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(20_000), pipeline::local());
    fleet.write("job", &pipeline.text(Some(RATE)));
    let mut serving = fleet.start();
    until("a checkpoint", || Some(pipeline.progress()).filter(|progress| *progress > 0));
    assert_eq!(serving.ask("POST", "/api/v1/jobs/job/pause", "").0, 202);
    serving.until("job", "paused");
    let path = "/api/v1/jobs/job/checkpoints";
    let newest = pipeline.manifests().newest().expect("there is one");
    let listed = serving.get(path);
    let last = listed.as_array().and_then(|listed| listed.last()).expect("there is one");
    assert_eq!((&last["name"], &last["checkpoint"]["kind"]), (&json!(newest.number.to_string()), &json!("stop")));
    let shown = serving.get(&format!("{path}/newest"));
    assert_eq!(shown["checkpoint"], last["checkpoint"]);
    assert!(shown["sources"]["rows"].as_object().is_some_and(|splits| !splits.is_empty()), "{shown}");
    assert_eq!(shown["plugins"]["averages"]["name"], "cell-average");
    let (status, text) = serving.ask("POST", "/api/v1/jobs/job/savepoints", "{\"name\": \"before\"}");
    assert!(status == 201 && text.contains("\"kind\":\"stop\""), "{status} {text}");
    for (name, words) in [("../x", "use a-z"), ("7", "digits alone")] {
        let (status, text) = serving.ask("POST", "/api/v1/jobs/job/savepoints", &json!({"name": name}).to_string());
        assert!(status == 422 && text.contains(words), "{status} {text}");
    }
    let verdict = |which: &str| serving.ask("POST", &format!("{path}/{which}/verify"), "");
    assert_eq!(verdict("before"), (200, "{\"name\":\"before\",\"problems\":[]}".to_owned()));
    for which in ["none", "999999", "..%2F..%2Fjobs%2Fjob.toml", "%2E%2E"] {
        let (status, text) = serving.ask("GET", &format!("{path}/{which}"), "");
        assert!(status == 404 && text.contains("there is no checkpoint or savepoint"), "{which}: {status} {text}");
    }
    let states = fs::read_dir(pipeline.path().join("checkpoints/pipeline")).expect("a folder");
    let mut states: Vec<_> = states.map(|entry| entry.expect("an entry").path()).collect();
    states.retain(|path| path.is_dir() && path.ends_with("state"));
    let objects = states.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let objects: Vec<_> = objects.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect();
    assert!(!objects.is_empty(), "the job has states");
    objects.iter().for_each(|object| fs::write(object, "damaged").expect("it can be written"));
    let (status, text) = verdict("before");
    assert!(status == 200 && !text.contains("\"problems\":[]"), "{status} {text}");

    fleet.write("bare", &pipeline.text(None).replace("[checkpoint]", "[swap]\n[unknown]"));
    serving.until("bare", "failed");
    assert_eq!(serving.ask("GET", "/api/v1/jobs/bare/checkpoints", "").0, 409);
    serving.stop().well();
}

/// A job with bad records, at its end → its dead letters by cause and step, a page at a time. A job without [dead_letter] → said so.
#[test]
fn dead_letters() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(5_000), pipeline::local());
    let text = pipeline.text(None);
    fleet.write("job", &text);
    let mut serving = fleet.start();
    serving.until("job", "finished");
    pipeline.check();
    let path = "/api/v1/jobs/job/dead-letters";
    let all = serving.get(&format!("{path}?limit=1000"));
    let total = all["total"].as_u64().expect("a number");
    assert_eq!(total as usize, pipeline.input().letters().len());
    let letters = all["letters"].as_array().expect("letters");
    let (cause, step) = (letters[0]["cause"].as_str().expect("a cause"), letters[0]["step"].as_str().expect("a step"));
    let page = serving.get(&format!("{path}?limit=1&offset=1"));
    assert_eq!((page["letters"][0] == letters[1], page["total"].as_u64()), (true, Some(total)));
    let same = |letter: &&Value| letter["cause"] == cause && letter["step"] == step;
    let some = serving.get(&format!("{path}?cause={cause}&step={step}&limit=0"));
    assert_eq!(some["total"].as_u64(), Some(letters.iter().filter(same).count() as u64));
    assert_eq!(serving.get(&format!("{path}?since=2999-01-01T00:00:00Z"))["total"], 0);
    for query in ["limit=1001", "offset=1000001", "since=soon", "limit=-1"] {
        assert_eq!(serving.ask("GET", &format!("{path}?{query}"), "").0, 422, "{query}");
    }
    let (without, _) = text.split_once("[dead_letter]").expect("it keeps dead letters");
    fleet.write("none", without);
    until("that it is known", || (serving.ask("GET", "/api/v1/jobs/none", "").0 == 200).then_some(()));
    let (status, said) = serving.ask("GET", "/api/v1/jobs/none/dead-letters", "");
    assert!(status == 409 && said.contains("no [dead_letter]"), "{status} {said}");
    serving.stop().well();
}
