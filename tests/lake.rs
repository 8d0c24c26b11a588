//! Parquet in Hive partitions, in files and in a bucket, read by libraries that others wrote: DuckDB and pyarrow.

use crate::harness::bucket::Bucket;
use crate::harness::data::{generated_trips, json_lines};
use crate::harness::job::Job;
use crate::harness::kinesis::ACCESS;
use crate::harness::server::{MINIO, MOTO, S3S_FS, Server};
use crate::harness::tool::tool;
use crate::oracle::calendar;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The command of the readers, with its first arguments.
fn readers() -> Option<Vec<String>> {
    tool("lake-python.sh", "DuckDB and pyarrow")
}

/// What a reader says, as JSON lines.
fn ask(readers: &[String], arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(&readers[0]);
    let output =
        command.args(&readers[1..]).args(arguments).stderr(Stdio::inherit()).output().expect("python is there");
    assert!(output.status.success(), "{arguments:?}");
    json_lines(&String::from_utf8(output.stdout).expect("text"))
}

/// A job that writes trips with this sink, partitioned by the day and by how they were paid; with checkpoints, so that rows become
/// visible by commits.
fn job(dir: &Path, sink: &str) -> Job {
    let dir = dir.display();
    Job::new(format!(
        r#"
        name = "lake"

        [checkpoint]
        to = "{dir}/checkpoints"
        interval = "200ms"

        [source.trips]
        type = "replay"
        path = "{dir}/in.jsonl"
        splits = 4
        time = "/dropoff_datetime: time"
        speedup = "max"
        event_time = "/dropoff_datetime: time"
        watermark = {{ disorder = "30s" }}

        [sink.lake]
        input = "trips"
        {sink}
        format = "parquet"
        row_group_bytes = "64 KiB"
        prefix = "lake/dt={{+%Y-%m-%d}}/payment={{payment_type}}/"
        columns = ["/medallion: string", "dropoff = /dropoff_datetime: time", "fare = /fare_amount: f64",
                   "passengers = /passenger_count: s64?", "whole = /nested"]

        [dead_letter]
        type = "file"
        path = "{dir}/dead.jsonl"
        "#
    ))
}

/// Trips of two days, among them some with names that lead elsewhere, without a name, and two that do not fit; and the rows that
/// the readers have to find.
fn input(dir: &Path) -> Vec<String> {
    let mut trips = json_lines(&generated_trips(12_000).join("\n"));
    let mut expected = Vec::new();
    for (number, trip) in trips.iter_mut().enumerate() {
        if number % 2 == 1 {
            let time = trip["dropoff_datetime"].as_str().expect("text").replace("2013-01-01", "2013-01-02");
            trip["dropoff_datetime"] = time.into();
        }
        match number % 1_000 {
            17 => trip["payment_type"] = Value::Null,
            18 => trip["payment_type"] = json!("a/../b c=é"),
            19 => trip["passenger_count"] = Value::Null,
            20 => trip["nested"] = json!({"a": [1, "x"]}),
            _ => {}
        }
        let time = trip["dropoff_datetime"].as_str().expect("text");
        let row = json!({
            "medallion": trip["medallion"], "dropoff": calendar::millis(time), "fare": trip["fare_amount"],
            "passengers": trip["passenger_count"], "whole": trip.get("nested").map(Value::to_string),
            "dt": &time[..10], "payment": trip["payment_type"],
        });
        expected.push(row.to_string());
    }
    let mut lines: Vec<_> = trips.iter().map(Value::to_string).collect();
    let mut bad = trips[500].clone();
    bad["fare_amount"] = json!("free");
    lines.insert(5_000, bad.to_string());
    bad["fare_amount"] = json!(1.5);
    bad["payment_type"] = json!({"by": "card"});
    lines.insert(9_000, bad.to_string());
    fs::write(dir.join("in.jsonl"), lines.join("\n")).expect("it can be written");
    expected.sort();
    expected
}

fn sorted(rows: &[Value]) -> Vec<String> {
    let mut rows: Vec<_> = rows.iter().map(Value::to_string).collect();
    rows.sort();
    rows
}

/// Runs the job and sees that the rows that do not fit are dead letters.
fn run(dir: &Path, sink: &str) {
    run_with("test", dir, sink);
}

fn run_with(key: &str, dir: &Path, sink: &str) {
    let ledger = job(dir, sink).set("KEY", key).workers(2).run();
    let counts = ledger.step("lake").expect("it is in the job").counts();
    assert_eq!((counts.written, counts.rejected), (12_000, 2));
    let letters = json_lines(&fs::read_to_string(dir.join("dead.jsonl")).expect("the sink wrote it"));
    let mut said: Vec<_> = letters.iter().map(|letter| format!("{}: {}", letter["cause"], letter["reason"])).collect();
    said.sort();
    let expected = [
        "\"refused\": \"field `/fare_amount: f64` has the wrong type\"",
        "\"refused\": \"field `payment_type` is no plain value\"",
    ];
    assert_eq!(said, expected);
}

/// A folder of Parquet → both readers find every row once, with its partition; DuckDB answers a query by partition as brute force
/// does.
#[test]
fn files() {
    let Some(readers) = readers() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let expected = input(dir.path());
    run(dir.path(), &format!("type = \"file\"\npath = \"{}/out\"", dir.path().display()));
    let lake = dir.path().join("out/lake").display().to_string();
    assert!(sorted(&ask(&readers, &["pyarrow", &lake])) == expected, "pyarrow has other rows");
    assert!(
        sorted(&ask(&readers, &["duckdb", &lake, "SELECT * REPLACE (epoch_ms(dropoff) AS dropoff) FROM rows"]))
            == expected,
        "DuckDB has other rows"
    );

    let query = "SELECT payment, count(*)::INT AS trips, sum(passengers)::INT AS people FROM rows \
                 WHERE dt = '2013-01-02' AND fare > 5 GROUP BY payment ORDER BY payment NULLS LAST";
    let mut groups: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in json_lines(&expected.join("\n")).iter().filter(|row| row["dt"] == "2013-01-02") {
        if row["fare"].as_f64().expect("a number") > 5.0 {
            let group = groups.entry(row["payment"].to_string()).or_default();
            *group = (group.0 + 1, group.1 + row["passengers"].as_i64().unwrap_or_default());
        }
    }
    let answer = ask(&readers, &["duckdb", &lake, query]);
    let answer = answer.iter().map(|row| {
        let number = |name: &str| row[name].as_i64().unwrap_or_default();
        (row["payment"].to_string(), (number("trips"), number("people")))
    });
    assert_eq!(answer.collect::<BTreeMap<_, _>>(), groups);
}

/// A bucket of Parquet → pyarrow finds every row once, with its partition, over S3.
#[test]
fn objects() {
    let (Some(url), Some(readers)) = (MOTO.url(), readers()) else { return };
    let bucket = Bucket::create(url, "lake");
    let dir = tempfile::tempdir().expect("a folder");
    let expected = input(dir.path());
    run(dir.path(), &format!("type = \"s3\"\nendpoint = \"{url}\"\nbucket = \"{}\"\n{ACCESS}", bucket.name));
    let found = ask(&readers, &["pyarrow", url, &format!("{}/lake", bucket.name)]);
    assert!(sorted(&found) == expected, "pyarrow has other rows");
    assert!(bucket.uploads().is_empty());
}

/// A bucket of a server that checks every signature, and every checksum → the rows of committed objects are there, once, and
/// pyarrow reads them with signatures of its own; without the right key the job does not begin.
fn signed_objects(server: &Server, key: &str) {
    let Some(readers) = readers() else { return };
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("lake")).expect("a bucket");
    let Some(server) = server.another_with(&[("S3_ROOT", &root.path().display().to_string())]) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let expected = input(dir.path());
    let sink =
        format!("type = \"s3\"\nendpoint = \"{}\"\nbucket = \"lake\"\nstart_timeout = \"2s\"\n{ACCESS}", server.url);
    let wrong = sink.replace("secret_access_key = \"${KEY}\"", "secret_access_key = \"${WRONG}\"");
    let refused = job(dir.path(), &wrong).set("KEY", key).set("WRONG", "wrong").try_run().expect_err("it is refused");
    assert!(refused.text().contains("SignatureDoesNotMatch"), "{}", refused.text());
    run_with(key, dir.path(), &sink);
    let found = ask(&readers, &["pyarrow", &server.url, "lake/lake", key]);
    assert!(sorted(&found) == expected, "pyarrow has other rows");
}

#[test]
fn s3s_fs() {
    signed_objects(&S3S_FS, "test");
}

#[test]
fn minio() {
    signed_objects(&MINIO, "testtest");
}
