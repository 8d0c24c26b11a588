//! Bad records, bad components and endpoints that refuse: each is named, nothing panics, good records are unaffected.

use crate::harness::data::{generated_trips, json_lines};
use crate::harness::job::{Failure, Job};
use crate::harness::plugins;
use crate::oracle::taxi;
use crate::taxi::assert_files;
use std::fs;

const JOB: &str = "examples/taxi/job.toml";

/// Lines that no trip may look like, and what is said about them.
const BAD: [(&str, &str, &str); 5] = [
    (
        "trips",
        r#"{"medallion":"28BBD6414B447A19704F757467CF2703","pickup_datet"#,
        "the record is not a whole JSON object",
    ),
    ("trips", "not JSON at all", "the record is not a whole JSON object"),
    ("trips", r#"{"pickup_longitude":-73.98,"pickup_latitude":40.75}"#, "is missing"),
    (
        "pickup_cell",
        r#"{"pickup_datetime":"2013-01-01 00:00:00","dropoff_datetime":"2013-01-01 00:00:01","pickup_latitude":40.75,"dropoff_longitude":-73.98,"dropoff_latitude":40.75}"#,
        "field `/pickup_longitude: f64` is missing",
    ),
    (
        "pickup_cell",
        r#"{"pickup_datetime":"2013-01-01 00:00:00","dropoff_datetime":"2013-01-01 00:00:01","pickup_longitude":"west","pickup_latitude":40.75,"dropoff_longitude":-73.98,"dropoff_latitude":40.75}"#,
        "field `/pickup_longitude: f64` has the wrong type",
    ),
];

/// Truncated, foreign and incomplete records between good ones → each is counted and named at the step that needs what it
/// lacks, with its line, and the answer is that of the good ones.
#[test]
fn records() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = generated_trips(20_000);
    let mut lines = good.clone();
    // From the back, so that the numbers of the lines that come later stay.
    for (nth, (_, bad, _)) in BAD.iter().enumerate().rev() {
        lines.insert(1_000 * (nth + 1), (*bad).to_owned());
    }
    let input = dir.path().join("in.jsonl");
    fs::write(&input, lines.join("\n")).expect("it can be written");
    let ledger = Job::read(JOB).set("in", input.display()).set("out", dir.path().display()).workers(2).run();
    assert_files(dir.path(), &taxi::answer(&json_lines(&good.join("\n"))));
    for (nth, (step, _, reason)) in BAD.iter().enumerate() {
        let rejects = ledger.step(step).expect("it is in the job").rejects();
        // Lines count from 1, and the bad lines before it push it on.
        let place = format!("record {}:", 1_000 * (nth + 1) + nth + 1);
        let named = rejects.examples.iter().any(|example| example.contains(&place) && example.contains(reason));
        assert!(named, "{step}: {place} {reason}: {:?}", rejects.examples);
    }
    let rejected = |step| ledger.step(step).expect("it is in the job").counts().rejected;
    assert_eq!((rejected("trips"), rejected("pickup_cell")), (3, 2));
}

/// An empty file → a job that ends well and writes nothing.
#[test]
fn empty_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    fs::write(&input, "").expect("it can be written");
    let ledger = Job::read(JOB).set("in", input.display()).set("out", dir.path().display()).run();
    assert!(ledger.steps.iter().all(|step| step.counts().read == 0));
}

/// A file that is not there → the error names it.
#[test]
fn missing_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("nowhere.jsonl");
    let failure = Job::read(JOB).set("in", input.display()).set("out", dir.path().display()).try_run();
    let text = failure.expect_err("there is no such file").text();
    assert!(text.contains("source trips") && text.contains("nowhere.jsonl"), "{text}");
}

fn one_step(plugin: &str, window: &str) -> Result<(), Failure> {
    let source = "[source.in]\ntype = \"replay\"\ngenerate = \"taxi\"\ntrips = 10\nevent_time = \"arrival\"\n";
    let step = format!("[step.bad]\ninput = \"in\"\nplugin = \"{plugin}\"\n{window}\n");
    let sink = "[sink.out]\ninput = \"bad\"\ntype = \"stdout\"\n";
    Job::new([source, &step, sink].concat()).try_run().map(drop)
}

/// An aggregator where a transform is wanted, and the other way round → the message says what the step wants and what the
/// component is.
#[test]
fn wrong_world() {
    let text = one_step("plugins/pickup-count", "").expect_err("it is an aggregator").text();
    assert!(text.contains("pickup-count") && text.contains("aggregator") && text.contains("window"), "{text}");
    let text = one_step("plugins/pickup-cell", "window = { tumbling = \"1m\" }").expect_err("a transform").text();
    assert!(text.contains("pickup-cell") && text.contains("transform") && text.contains("window"), "{text}");
}

/// A component that was cut in half while it was copied → the message names the file and says so.
#[test]
fn half_a_component() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = fs::read(plugins::component("identity")).expect("it was built");
    let half = dir.path().join("half.wasm");
    fs::write(&half, &whole[..whole.len() / 2]).expect("it can be written");
    let text = one_step(&half.display().to_string(), "").expect_err("it is half").text();
    assert!(text.contains("half.wasm") && text.contains("cut off"), "{text}");
}

/// Endpoints that refuse connections → within the time given at start an error that names the node and the address.
#[test]
fn refusing_endpoints() {
    let address = "http://127.0.0.1:1";
    let keys = "region = \"us-east-1\"\naccess_key_id = \"${KEY}\"\nsecret_access_key = \"${KEY}\"\n";
    let kinesis = format!(
        "[source.shards]\ntype = \"kinesis\"\nstream = \"s\"\nendpoint = \"{address}\"\n{keys}start_timeout = \"1s\"\n\
         event_time = \"arrival\"\n[sink.out]\ninput = \"shards\"\ntype = \"stdout\"\n"
    );
    let source = "[source.in]\ntype = \"replay\"\ngenerate = \"taxi\"\ntrips = 10\nevent_time = \"arrival\"\n";
    let opensearch = format!(
        "{source}[sink.index]\ninput = \"in\"\ntype = \"opensearch\"\nendpoint = \"{address}\"\nindex = \"i\"\n\
         start_timeout = \"1s\"\n"
    );
    let s3 = format!(
        "{source}[sink.objects]\ninput = \"in\"\ntype = \"s3\"\nendpoint = \"{address}\"\nbucket = \"b\"\n{keys}\
         start_timeout = \"1s\"\n"
    );
    for (job, node) in [(kinesis, "source shards"), (opensearch, "sink index"), (s3, "sink objects")] {
        let text = Job::new(job).set("KEY", "x").try_run().expect_err("nobody listens there").text();
        assert!(text.contains(node) && text.contains("127.0.0.1:1"), "{text}");
    }
}
