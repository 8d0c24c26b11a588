//! The `s3` sink against a bucket on loopback that fails by script.

use crate::formats::parquet_rows;
use crate::harness;
use crate::http::{Reply, Request, Server, refusing_address};
use crate::sink_suite::{records, write_batches};
use flate2::read::GzDecoder;
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use wasmill_stream::sink::Sink;
use wasmill_stream::{Batch, ErrorKind};

/// Objects by key, and the statuses of the next puts.
#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    script: VecDeque<Reply>,
    missing: &'static str,
}

async fn start(missing: &'static str, script: impl Into<VecDeque<Reply>>) -> (Server, Arc<Mutex<Bucket>>) {
    let bucket = Bucket { missing, script: script.into(), ..Bucket::default() };
    let bucket = Arc::new(Mutex::new(bucket));
    let held = bucket.clone();
    let server = Server::start(move |request| answer(&mut held.lock().expect("no test panics in here"), request)).await;
    (server, bucket)
}

fn answer(bucket: &mut Bucket, request: Request) -> Reply {
    assert!(request.header("authorization").contains("/eu-west-1/s3/aws4_request"), "not signed");
    if request.method != "PUT" {
        let status = if bucket.missing == "AccessDenied" { 403 } else { 404 };
        return Reply::Full(status, format!("<Error><Code>{}</Code></Error>", bucket.missing));
    }
    let key = request.path().trim_start_matches("/lake/").to_owned();
    bucket.objects.insert(key, request.body);
    bucket.script.pop_front().unwrap_or(Reply::Full(200, String::new()))
}

fn sink(address: &str, more: &str) -> Box<dyn Sink> {
    let text = format!(
        "bucket = \"lake\"\nregion = \"eu-west-1\"\nendpoint = \"{address}\"\nstart_timeout = \"300ms\"\n\
         access_key_id = \"${{SECRET}}\"\nsecret_access_key = \"${{SECRET}}\"\n{more}\n"
    );
    harness::sink("s3", &text).expect("good settings")
}

fn unzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

/// Rows of two hours go to two prefixes as zipped lines; a busy server, a lost answer and a broken one change nothing.
#[tokio::test]
async fn objects_follow_event_time() {
    let faults = [Reply::Full(503, "<Error><Code>SlowDown</Code></Error>".to_owned()), Reply::HangUp];
    let (server, bucket) = start("NoSuchKey", faults).await;
    let more = "prefix = \"raw/{+%Y/%m/%d/%H}/\"\ncompression = \"gzip\"";
    let batch = records(0, ["{\"n\":1}", "{\"n\":2}", "{\"n\":\n3}"]);
    let batch = Batch { times: vec![0, 3_600_000, 3_599_999], ..Batch::clone(&batch) };
    let ledger = write_batches(sink(&server.address, more), &[Arc::new(batch)]).await.expect("nothing fatal");
    assert_eq!((ledger.counts().in_flight(), ledger.written.load(Relaxed)), (0, 3));
    let objects = &bucket.lock().expect("no test panics in here").objects;
    let keys: Vec<_> = objects.keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys[0].starts_with("raw/1970/01/01/00/out-") && keys[0].ends_with(".jsonl.gz"), "{keys:?}");
    assert!(keys[1].starts_with("raw/1970/01/01/01/out-"), "{keys:?}");
    assert_eq!(unzip(&objects[keys[0]]), "{\"n\":1}\n{\"n\": 3}\n");
    assert_eq!(unzip(&objects[keys[1]]), "{\"n\":2}\n");
}

/// Parquet in partitions by time and by a field, through a busy server → each object has the rows of its key, and says what it is;
/// a row without a place is refused.
#[tokio::test]
async fn partitions_of_parquet() {
    let (server, bucket) = start("NoSuchKey", [Reply::HangUp]).await;
    let more = "prefix = \"rides/dt={+%Y-%m-%d}/zone={/at/zone}/\"\nformat = \"parquet\"\ncolumns = [\"/n: s64\"]";
    let rows = [
        r#"{"n":1,"at":{"zone":"a b"}}"#,
        r#"{"n":2,"at":{"zone":"../x"}}"#,
        r#"{"n":3}"#,
        r#"{"n":4,"at":{"zone":[1]}}"#,
        r#"{"n":5,"at":{"zone":"a b"}}"#,
    ];
    let ledger = write_batches(sink(&server.address, more), &[records(0, rows)]).await.expect("nothing fatal");
    assert_eq!((ledger.counts().written, ledger.counts().rejected), (4, 1));
    let objects = &bucket.lock().expect("no test panics in here").objects;
    let found: Vec<_> = objects
        .iter()
        .map(|(key, bytes)| {
            let (place, name) = key.rsplit_once('/').expect("a place");
            assert!(name.starts_with("out-") && name.ends_with(".parquet"), "{name}");
            let rows = parquet_rows(bytes.clone()).iter().map(|row| row["n"].as_u64().expect("n")).collect::<Vec<_>>();
            (place.to_owned(), rows)
        })
        .collect();
    let expected = [
        ("rides/dt=1970-01-01/zone=%2E.%2Fx", vec![2]),
        ("rides/dt=1970-01-01/zone=__HIVE_DEFAULT_PARTITION__", vec![3]),
        ("rides/dt=1970-01-01/zone=a%20b", vec![1, 5]),
    ];
    assert_eq!(found, expected.map(|(place, rows)| (place.to_owned(), rows)));
}

/// An object that has its size is put and the next one begun; two runs share no key.
#[tokio::test]
async fn objects_roll_by_size() {
    let (server, bucket) = start("AccessDenied", []).await;
    for _ in 0..2 {
        let batches: Vec<_> = (0..4).map(|n| records(0, [format!("{{\"n\":{n}}}")])).collect();
        write_batches(sink(&server.address, "object_bytes = \"16B\""), &batches).await.expect("nothing fatal");
    }
    let objects = &bucket.lock().expect("no test panics in here").objects;
    let mut bodies: Vec<_> = objects.values().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    bodies.sort();
    let (first, second) = ("{\"n\":0}\n{\"n\":1}\n", "{\"n\":2}\n{\"n\":3}\n");
    assert_eq!(bodies, [first, first, second, second]);
}

/// A bucket that is not there and a server that does not listen end the job at start; both are named.
#[tokio::test]
async fn refusals_name_everything() {
    let (server, _bucket) = start("NoSuchBucket", []).await;
    let error = write_batches(sink(&server.address, ""), &[]).await.expect_err("no such bucket");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for part in ["bucket lake", "eu-west-1", server.address.as_str(), "NoSuchBucket"] {
        assert!(error.report().contains(part), "{part}: {}", error.report());
    }
    let nobody = refusing_address().await;
    let error = write_batches(sink(&nobody, ""), &[]).await.expect_err("nobody listens");
    for part in ["gave up after", nobody.as_str(), "bucket lake"] {
        assert!(error.report().contains(part), "{part}: {}", error.report());
    }
}

/// Every mistake in the settings is found at once.
#[test]
fn settings_are_checked() {
    let text = "prefix = \"a//{+%H}\"\ncompression = \"zip\"\nobject_bytes = \"5 GiB\"\nroll_interval = \"0s\"\n";
    let problems = harness::sink("s3", text).err().expect("mistakes");
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    for key in ["`bucket`", "`prefix`", "`compression`", "`object_bytes`", "`roll_interval`"] {
        assert!(messages.iter().any(|message| message.contains(key)), "{key}: {messages:?}");
    }
}
