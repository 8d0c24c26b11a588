//! Raw trips and results in S3, on moto.

use crate::harness::data::{generated_trips, json_lines};
use crate::harness::http;
use crate::harness::job::Job;
use crate::harness::kinesis::ACCESS;
use crate::harness::server::MOTO;
use crate::oracle::taxi;
use crate::taxi::assert_answers;
use serde_json::Value;
use std::fs;

/// The keys of a bucket.
fn keys(url: &str, bucket: &str) -> Vec<String> {
    let (status, list) = http::send("GET", &format!("{url}/{bucket}?list-type=2"), "");
    assert_eq!(status, 200, "{list}");
    assert!(list.contains("<IsTruncated>false"), "all fit one page");
    let keys = list.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    keys.map(|(key, _)| key.to_owned()).collect()
}

/// The lines of all objects whose keys begin so.
fn lines(url: &str, bucket: &str, prefix: &str) -> Vec<String> {
    let keys = keys(url, bucket).into_iter().filter(|key| key.starts_with(prefix));
    // Objects are private, and moto takes any signature.
    let bodies = keys.map(|key| {
        let (status, body) = http::send("GET", &format!("{url}/{bucket}/{key}?Signature=any"), "");
        assert_eq!(status, 200, "{key}: {body}");
        body
    });
    bodies.flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn rows(lines: &[String]) -> Vec<Value> {
    json_lines(&lines.join("\n"))
}

/// The example with a raw archive by hour and its results in a bucket → every trip once under the hour of its event time,
/// and both results as brute force has them.
#[test]
fn archive_and_results() {
    let Some(url) = MOTO.url() else { return };
    assert_eq!(http::send("PUT", &format!("{url}/taxi"), "").0, 200);
    let dir = tempfile::tempdir().expect("a folder");
    let input = dir.path().join("in.jsonl");
    // Eighty minutes.
    let trips = generated_trips(48_000);
    fs::write(&input, trips.join("\n")).expect("it can be written");
    let sink = |name: &str, from: &str, prefix: &str| {
        let place = format!("endpoint = \"{url}\"\nbucket = \"taxi\"\nprefix = \"{prefix}\"\n{ACCESS}");
        format!("[sink.{name}]\ninput = \"{from}\"\ntype = \"s3\"\nobject_bytes = \"1 MiB\"\n{place}\n")
    };
    let tables = [
        sink("raw", "trips", "raw/{+%Y-%m-%d-%H}/"),
        sink("counts", "pickup_count", "counts/"),
        sink("durations", "trip_duration", "durations/"),
    ];
    let job = Job::read("examples/taxi/job.toml").append(&tables.concat()).set("KEY", "test").set("splits", 4);
    job.set("in", input.display()).set("out", dir.path().display()).workers(2).run();

    let mut expected = trips.clone();
    expected.sort();
    let mut raw = lines(url, "taxi", "raw/");
    raw.sort();
    assert!(raw == expected, "{} raw lines of {} trips", raw.len(), expected.len());
    for hour in ["2013-01-01-00", "2013-01-01-01"] {
        let day_and_hour = format!("{} {}:", &hour[..10], &hour[11..]);
        let lines = lines(url, "taxi", &format!("raw/{hour}/"));
        assert!(!lines.is_empty(), "{hour}");
        let stray = rows(&lines)
            .into_iter()
            .find(|trip| !trip["dropoff_datetime"].as_str().is_some_and(|dropoff| dropoff.starts_with(&day_and_hour)));
        assert_eq!(stray, None, "in {hour}");
    }
    let (counts, durations) = (lines(url, "taxi", "counts/"), lines(url, "taxi", "durations/"));
    assert_answers(&rows(&counts), &rows(&durations), &taxi::answer(&rows(&trips)));
}
