//! A real OpenSearch server that dies while a job writes to it, and comes back with what it had kept.

use crate::harness::http;
use crate::harness::patience::until;
use crate::harness::program::wasmill;
use crate::harness::report;
use crate::harness::server::{OPENSEARCH, Running};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// Rows before the first time, between any two, and after the last.
const ROWS: u64 = 20_000;
/// How often it dies.
const TIMES: u64 = 2;

/// A node that is killed with SIGKILL under load and started again, twice → every row is there once, and the job has gone on all
/// the time.
#[test]
fn a_node_that_dies() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().display().to_string();
    let Some(mut node) = OPENSEARCH.another_with(&[("OPENSEARCH_HOME", &path)]) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let job = format!(
        r#"
        [source.rows]
        type = "stdin"
        event_time = "/t: time(unix-ms)"

        [sink.numbers]
        input = "rows"
        type = "opensearch"
        endpoint = "{}"
        index = "numbers"
        batch_rows = 200
        mappings = {{ properties = {{ n = {{ type = "integer" }}, text = {{ type = "keyword", index = false }} }} }}
        "#,
        node.url
    );
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    let log = File::create(dir.path().join("log")).expect("it can be written");
    let mut run = wasmill(dir.path());
    run.args(["run", "job.toml"]).stdin(Stdio::piped()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    let mut running = run.spawn().expect("it starts");
    let stdin = running.stdin.take().expect("it is piped");
    let (sender, go_on) = channel();
    let feeding = thread::spawn(move || feed(stdin, &go_on));

    let mut kept = Vec::new();
    for lots in 0..TIMES {
        until("more rows", || {
            assert!(running.try_wait().expect("it is ours").is_none(), "it ended");
            (count(&node) > lots * ROWS).then_some(())
        });
        node.kill();
        // What comes now comes to a server that is not there.
        sender.send(()).expect("it still feeds");
        node.start_again();
        kept.push(until("the index", || Some(count(&node)).filter(|now| *now > 0)));
    }
    feeding.join().expect("it does not panic");
    let status = running.wait().expect("it ends");
    let log = fs::read_to_string(dir.path().join("log")).expect("a log");
    assert!(status.success(), "{log}");

    let rows = (TIMES + 1) * ROWS;
    http::json("POST", &format!("{}/numbers/_refresh", node.url), "");
    let query = json!({"size": 0, "track_total_hits": true, "aggs": {"sum": {"sum": {"field": "n"}}}});
    let found = http::json("GET", &format!("{}/numbers/_search", node.url), &query.to_string());
    assert_eq!(found["hits"]["total"]["value"], rows);
    assert_eq!(found["aggregations"]["sum"]["value"].as_f64(), Some((0..rows).sum::<u64>() as f64));
    let balance = log.lines().find(|line| line.trim_start().starts_with("numbers ")).expect("a balance");
    let numbers: Vec<u64> = balance.split_whitespace().filter_map(|word| word.replace(',', "").parse().ok()).collect();
    assert!(!log.contains("in flight") && numbers == [rows; 3], "{log}");
    report(&format!(
        "0 lost, 0 doubled of {rows} rows; the node was killed {TIMES} times, when it came back it had {kept:?}"
    ));
}

/// Rows as they are taken, the next lot each time when the node is dead.
fn feed(mut stdin: ChildStdin, go_on: &Receiver<()>) {
    let text = "x".repeat(1_000);
    for lot in 0..=TIMES {
        let row = |n: u64| format!("{{\"t\":{n},\"n\":{n},\"text\":\"{text}\"}}\n");
        let rows: String = (lot * ROWS..(lot + 1) * ROWS).map(row).collect();
        stdin.write_all(rows.as_bytes()).expect("it reads");
        if lot < TIMES {
            go_on.recv().expect("the test goes on");
        }
    }
}

/// How many rows are to be found.
fn count(node: &Running) -> u64 {
    let (status, body) = http::send("GET", &format!("{}/numbers/_count", node.url), "");
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    body["count"].as_u64().filter(|_| status == 200).unwrap_or(0)
}
