//! Results in a real OpenSearch server.

use crate::harness::data::{generated_trips, json_lines};
use crate::harness::http;
use crate::harness::job::Job;
use crate::harness::report;
use crate::harness::server::OPENSEARCH;
use crate::oracle::taxi::{self, PickupCount, TripDuration};
use crate::taxi::assert_answers;
use serde_json::{Value, json};
use std::collections::BTreeMap;
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
        assert_queries(url, &answer.pickup_count);
    }
}

/// What dashboards ask: how many trips start in each cell, and in each window.
fn assert_queries(url: &str, rows: &[PickupCount]) {
    let query = json!({"size": 0, "aggs": {
        "places": {
            "geohash_grid": {"field": "location", "precision": 6, "size": 10_000},
            "aggs": {"trips": {"sum": {"field": "pickup_count"}}},
        },
        "times": {
            "date_histogram": {"field": "timestamp", "fixed_interval": "10m", "min_doc_count": 1},
            "aggs": {"trips": {"sum": {"field": "pickup_count"}}},
        },
    }});
    let found = http::json("GET", &format!("{url}/pickup-count/_search"), &query.to_string());
    let buckets = |name: &str, key: &dyn Fn(&Value) -> String| -> BTreeMap<String, (i64, i64)> {
        let buckets = found["aggregations"][name]["buckets"].as_array().expect("buckets");
        let counts = |bucket: &Value| (bucket["doc_count"].as_i64(), bucket["trips"]["value"].as_f64());
        let bucket = |bucket: &Value| match counts(bucket) {
            (Some(rows), Some(trips)) => (key(bucket), (rows, trips as i64)),
            _ => panic!("a bucket: {bucket}"),
        };
        buckets.iter().map(bucket).collect()
    };
    let expected = |key: &dyn Fn(&PickupCount) -> String| {
        let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for row in rows {
            let (count, trips) = sums.entry(key(row)).or_default();
            (*count, *trips) = (*count + 1, *trips + row.pickup_count);
        }
        sums
    };
    let places = buckets("places", &|bucket| bucket["key"].as_str().expect("a geohash").to_owned());
    assert_eq!(places, expected(&|row| row.location.clone()));
    let times = buckets("times", &|bucket| bucket["key"].to_string());
    assert_eq!(times, expected(&|row| row.window_start.to_string()));
    report(&format!("{} cells and {} windows are as brute force says", places.len(), times.len()));
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

/// Documents that do not fit the mappings → they are dead letters with the server's reason, counted and named, and the others
/// are there.
#[test]
fn refused_documents() {
    let Some(url) = OPENSEARCH.url() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    let row = |number: usize| match number % 20 {
        7 => json!({"t": number, "n": format!("number {number}")}),
        _ => json!({"t": number, "n": number}),
    };
    let rows: Vec<_> = (0..1_000).map(row).collect();
    fs::write(&input, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("it can be written");
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
        batch_rows = 100
        mappings = {{ properties = {{ n = {{ type = "integer" }} }} }}

        [dead_letter]
        type = "file"
        path = "${{dead}}""#
    );
    let dead = dir.path().join("dead.jsonl");
    let ledger = Job::new(text).set("in", input.display()).set("dead", dead.display()).run();

    let numbers = ledger.step("numbers").expect("it is in the job");
    assert_eq!((numbers.counts().written, numbers.counts().rejected), (950, 50));
    // Several requests are on their way at once, so it may be any of them.
    let example = &numbers.rejects().examples[0];
    assert!(example.contains("rows/0 record ") && example.contains("8: mapper_parsing_exception"), "{example}");
    assert!(example.contains("[n] of type [integer]"), "{example}");
    let mut found = sources(&documents(url, "numbers"));
    found.sort_by_key(|row| row["n"].as_i64());
    let (bad, good): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row["n"].is_string());
    assert_eq!(found, good);

    let mut letters: Vec<_> = json_lines(&fs::read_to_string(&dead).expect("there are dead letters"));
    letters.sort_by_key(|letter| letter["position"].as_str().and_then(|position| position.parse::<u64>().ok()));
    let records: Vec<Value> = letters
        .iter()
        .map(|letter| serde_json::from_str(letter["record"].as_str().expect("text")).expect("JSON"))
        .collect();
    assert_eq!(records, bad);
    for letter in letters {
        assert_eq!((&letter["step"], &letter["cause"]), (&json!("numbers"), &json!("refused")), "{letter}");
        assert!(
            letter["reason"].as_str().is_some_and(|reason| reason.starts_with("mapper_parsing_exception")),
            "{letter}"
        );
    }
}
