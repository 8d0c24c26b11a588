//! The taxi example from Kinesis, on two emulators written by others.

use crate::harness::data::{csv_rows, generated_trips, json_lines, real_trips};
use crate::harness::job::Job;
use crate::harness::kinesis::{ACCESS, Admin};
use crate::harness::server::{KINESALITE, KINESIS_LOCAL, Server};
use crate::oracle::taxi;
use crate::taxi::assert_files;
use serde_json::Value;

/// Puts trips into a stream of four shards, reads it to its tip, and compares.
fn assert_stream_answers(server: &Server, stream: &str, trips: &[Value]) {
    let Some(url) = server.url() else { return };
    let medallion = |trip: &Value| trip["medallion"].as_str().expect("every trip has a taxi").to_owned();
    let records: Vec<_> = trips.iter().map(|trip| (medallion(trip), trip.to_string().into_bytes())).collect();
    Admin::create(url, stream, 4).put_all(&records);

    let dir = tempfile::tempdir().expect("a folder");
    let answer = taxi::answer(trips);
    for workers in [1, 4] {
        let source =
            format!("type = \"kinesis\"\nstream = \"{stream}\"\nuntil = \"tip\"\nendpoint = \"{url}\"\n{ACCESS}");
        let job = Job::read("examples/taxi/job.toml").replace("type = \"replay\"", &source);
        let job = job.replace("path = \"${in}\"", "").replace("splits = \"${splits:1}\"", "").set("KEY", "test");
        let ledger = job.set("out", dir.path().display()).workers(workers).run();
        assert_eq!(ledger.step("trips").expect("it is in the job").counts().read, trips.len() as u64);
        assert_files(dir.path(), &answer);
    }
}

/// The real trips if they are here, else generated ones.
fn trips() -> Vec<Value> {
    match real_trips() {
        // What a producer sends has numbers where the CSV file has their text.
        Some(path) => csv_rows(&path).iter().map(with_numbers).collect(),
        None => json_lines(&generated_trips(8_000).join("\n")),
    }
}

fn with_numbers(row: &Value) -> Value {
    let mut row = row.clone();
    for field in
        ["pickup", "dropoff"].into_iter().flat_map(|end| [format!("{end}_longitude"), format!("{end}_latitude")])
    {
        row[&field] = row[&field].as_str().and_then(|text| text.parse::<f64>().ok()).into();
    }
    row
}

/// Four shards on kinesis-mock → the answer of brute force.
#[test]
fn kinesis_mock() {
    assert_stream_answers(&KINESIS_LOCAL, "taxi", &trips());
}

/// Four shards on kinesalite → the answer of brute force.
#[test]
fn kinesalite() {
    assert_stream_answers(&KINESALITE, "taxi", &trips());
}

/// Generated trips, which have both results, on kinesalite → the answer of brute force.
#[test]
fn kinesalite_generated() {
    assert_stream_answers(&KINESALITE, "generated", &json_lines(&generated_trips(12_000).join("\n")));
}
