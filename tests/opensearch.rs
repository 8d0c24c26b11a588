//! Results in a real OpenSearch server.

use crate::harness::data::{generated_trips, json_lines};
use crate::harness::http;
use crate::harness::job::Job;
use crate::harness::server::OPENSEARCH;
use crate::oracle::taxi::{self, PickupCount, TripDuration};
use crate::taxi::assert_answers;
use serde_json::{Value, json};
use std::fs;

/// All documents of an index, with their ids and versions.
fn documents(url: &str, index: &str) -> Vec<Value> {
    http::json("POST", &format!("{url}/{index}/_refresh"), "");
    let answer = http::json("GET", &format!("{url}/{index}/_search?size=10000&version=true"), "");
    let hits = answer["hits"]["hits"].as_array().expect("a search has hits").clone();
    assert_eq!(answer["hits"]["total"]["value"], json!(hits.len()), "all fit one page");
    hits
}

fn sources(documents: &[Value]) -> Vec<Value> {
    documents.iter().map(|document| document["_source"].clone()).collect()
}

/// The example for service, with files in the place of Kinesis, run twice → each result once, under the id of its window
/// and key, written twice.
#[test]
fn taxi_twice() {
    let Some(url) = OPENSEARCH.url() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let trips = generated_trips(20_000).join("\n");
    fs::write(&input, &trips).expect("it can be written");
    let answer = taxi::answer(&json_lines(&trips));
    for run in [1, 2] {
        let job =
            Job::read("examples/taxi/kinesis.toml").replace("type = \"kinesis\"", "type = \"replay\"\nsplits = 4");
        let job = job.replace("stream = \"${stream}\"", "path = \"${in}\"").replace("start = \"trim-horizon\"", "");
        job.set("in", input.display()).set("opensearch", url).run();

        let (counts, durations) = (documents(url, "pickup-count"), documents(url, "trip-duration"));
        assert_answers(&sources(&counts), &sources(&durations), &answer);
        for document in &counts {
            let row = PickupCount::read(&document["_source"]);
            let id = format!("pickup_count|{}|{}|{}", row.window_start, row.window_end, row.location);
            assert_eq!((&document["_id"], &document["_version"]), (&json!(id), &json!(run)));
        }
        for document in &durations {
            let row = TripDuration::read(&document["_source"]);
            let id = format!("trip_duration|{}|{}|{}|{}", row.window_start, row.window_end, row.location, row.airport);
            assert_eq!((&document["_id"], &document["_version"]), (&json!(id), &json!(run)));
        }
    }
}

/// Mappings in the job file → the server finds the results by place and time.
#[test]
fn mappings() {
    let Some(url) = OPENSEARCH.url() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let trips = generated_trips(20_000).join("\n");
    fs::write(&input, &trips).expect("it can be written");
    let sink = format!(
        r#"
        [sink.places]
        input = "pickup_count"
        type = "opensearch"
        endpoint = "{url}"
        index = "places"
        mappings = {{ properties = {{ location = {{ type = "geo_point" }}, timestamp = {{ type = "date" }} }} }}"#
    );
    let job = Job::read("examples/taxi/job.toml").append(&sink);
    job.set("in", input.display()).set("out", dir.path().display()).run();
    http::json("POST", &format!("{url}/places/_refresh"), "");

    // The cell in which most of the counted trips start, and one window.
    let answer = taxi::answer(&json_lines(&trips));
    let row = &answer.pickup_count[0];
    let query = json!({"query": {"bool": {"filter": [
        {"geo_bounding_box": {"location": {"top_left": row.location, "bottom_right": row.location}}},
        {"range": {"timestamp": {"gte": row.window_start, "lt": row.window_end}}},
    ]}}});
    let found = http::json("GET", &format!("{url}/places/_search"), &query.to_string());
    let found: Vec<_> = sources(found["hits"]["hits"].as_array().expect("a search has hits"));
    assert_eq!(found.iter().map(PickupCount::read).collect::<Vec<_>>(), std::slice::from_ref(row));
}

/// A document that does not fit the mappings → the server refuses it, it is counted and named, and the others are there.
#[test]
fn refused_document() {
    let Some(url) = OPENSEARCH.url() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let rows: Vec<_> = (0..100).map(|number| json!({"t": number, "n": number})).collect();
    let mut lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    lines.insert(40, json!({"t": 0, "n": "forty"}).to_string());
    fs::write(&input, lines.join("\n")).expect("it can be written");
    let text = format!(
        r#"
        [source.rows]
        type = "replay"
        path = "${{in}}"
        event_time = "/t: time(unix-ms)"

        [sink.numbers]
        input = "rows"
        type = "opensearch"
        endpoint = "{url}"
        index = "numbers"
        mappings = {{ properties = {{ n = {{ type = "integer" }} }} }}"#
    );
    let ledger = Job::new(text).set("in", input.display()).run();

    let numbers = ledger.step("numbers").expect("it is in the job");
    assert_eq!((numbers.counts().written, numbers.counts().rejected), (100, 1));
    let example = &numbers.rejects().examples[0];
    assert!(example.contains("rows/0 record 41") && example.contains("[n] of type [integer]"), "{example}");
    let mut found = sources(&documents(url, "numbers"));
    found.sort_by_key(|row| row["n"].as_i64());
    assert_eq!(found, rows);
}
