//! A real OpenSearch server that stands still while a job writes to it.

use crate::harness::chance::Chance;
use crate::harness::http;
use crate::harness::patience::until;
use crate::harness::process::taken;
use crate::harness::program::wasmill;
use crate::harness::proxy::Proxy;
use crate::harness::report;
use crate::harness::server::{OPENSEARCH, Running};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many rows there are.
fn rows() -> u64 {
    std::env::var("WASMILL_OUTAGE_ROWS").map_or(100_000, |rows| rows.parse().expect("a number of rows"))
}

/// What may be on its way, of the source and of the sink, with room for what holds it.
const BOUND: u64 = 128 << 20;

/// How long the node stands still. Longer than a minute, and the sink gives requests up that the node does all the same.
fn outage() -> Duration {
    let seconds = std::env::var("WASMILL_OUTAGE").map_or(3, |seconds| seconds.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

/// A node of its own that stands still for a while under load and goes on, behind a proxy that loses one answer in five → every
/// row is there once, the balance holds, and what the job has in memory meanwhile is bounded by what may be on its way, and grows
/// by less than 1 MiB a minute. How fast rows arrive before and after it is printed.
#[test]
fn a_node_that_stands_still() {
    let Some(node) = OPENSEARCH.another() else { return };
    let proxy = Proxy::start(&node.url, 20, Chance::announced());
    let dir = tempfile::tempdir().expect("a folder");
    write_job(dir.path(), &proxy.url);
    let log = File::create(dir.path().join("log")).expect("it can be written");
    let mut run = wasmill(dir.path());
    run.args(["run", "job.toml"]).stdout(log.try_clone().expect("a second handle")).stderr(log);
    let mut running = run.spawn().expect("it starts");
    let reach = |what: &str, rows: u64| until(what, || Some(count(&node)).filter(|there| *there >= rows));
    let (some, since) = (reach("the first rows", rows() / 20), Instant::now());
    let peak = (reach("a quarter of the rows", rows() / 4) - some) as f64 / since.elapsed().as_secs_f64();

    node.stand_still(true);
    let (begun, mut memory) = (Instant::now(), Vec::new());
    while begun.elapsed() < outage() {
        memory.push((begun.elapsed(), taken(running.id()).memory));
        std::thread::sleep(Duration::from_millis(100));
    }
    node.stand_still(false);
    let (there, over) = (count(&node), Instant::now());
    let (there, since) = (reach("rows again", rows().min(there + 1)), Instant::now());
    let pause = since - over;
    let status = running.wait().expect("it ends");
    let drained = rows().saturating_sub(there) as f64 / since.elapsed().as_secs_f64();
    let log = fs::read_to_string(dir.path().join("log")).expect("a log");
    assert!(status.success(), "{log}");

    assert_all_there(&node);
    // Of the sink: read, emitted, and rows out. A column of what is in flight is there only if something is.
    let balance = log.lines().find(|line| line.trim_start().starts_with("numbers ")).expect("a balance");
    let numbers: Vec<u64> = balance.split_whitespace().filter_map(|word| word.replace(',', "").parse().ok()).collect();
    assert!(!log.contains("in flight") && numbers == [rows(); 3], "{log}");
    let (requests, lost) = proxy.counts();
    assert!(lost > 0, "{requests} answers");
    report(&format!("0 lost, 0 doubled of {} rows; {lost} answers of {requests} were lost", rows()));
    report(&format!(
        "{peak:.0} rows a second before it; the first ones {:.1} s after it, then {drained:.0} a second: {:.0} %",
        pause.as_secs_f64(),
        100.0 * drained / peak
    ));
    assert_flat(&memory);
}

fn write_job(dir: &Path, url: &str) {
    let text = "x".repeat(1_000);
    let mut lines = BufWriter::new(File::create(dir.join("in.jsonl")).expect("it can be written"));
    for n in 0..rows() {
        writeln!(lines, "{{\"t\":{n},\"n\":{n},\"text\":\"{text}\"}}").expect("it can be written");
    }
    lines.flush().expect("it can be written");
    let job = format!(
        r#"
        [source.rows]
        type = "replay"
        path = "in.jsonl"
        event_time = "/t: time(unix-ms)"

        [sink.numbers]
        input = "rows"
        type = "opensearch"
        endpoint = "{url}"
        index = "numbers"
        batch_rows = 500
        mappings = {{ properties = {{ n = {{ type = "integer" }}, text = {{ type = "keyword", index = false }} }} }}

        [checkpoint]
        to = "checkpoints"
        "#
    );
    fs::write(dir.join("job.toml"), job).expect("it can be written");
}

/// How many rows have been indexed, some of them maybe more than once.
fn count(node: &Running) -> u64 {
    let (status, body) = http::send("GET", &format!("{}/numbers/_stats/indexing", node.url), "");
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    body["_all"]["primaries"]["indexing"]["index_total"].as_u64().filter(|_| status == 200).unwrap_or(0)
}

fn assert_all_there(node: &Running) {
    http::json("POST", &format!("{}/numbers/_refresh", node.url), "");
    let query = json!({"size": 0, "track_total_hits": true, "aggs": {"sum": {"sum": {"field": "n"}}}});
    let found = http::json("GET", &format!("{}/numbers/_search", node.url), &query.to_string());
    assert_eq!(found["hits"]["total"]["value"], rows());
    assert_eq!(found["aggregations"]["sum"]["value"].as_f64(), Some((0..rows()).sum::<u64>() as f64));
}

/// `memory`: what was resident, and when.
fn assert_flat(memory: &[(Duration, u64)]) {
    let range = |memory: &[(Duration, u64)]| {
        let bytes = memory.iter().map(|(_, bytes)| *bytes);
        (bytes.clone().min().unwrap_or(0), bytes.max().unwrap_or(0))
    };
    let second_half = &memory[memory.len() / 2..];
    let (all, late, slope) = (range(memory), range(second_half), slope(second_half));
    report(&format!(
        "resident while the node stood still for {:?}: {} to {} MiB, in the second half {} to {}, {slope:.3} MiB more a minute",
        outage(),
        all.0 >> 20,
        all.1 >> 20,
        late.0 >> 20,
        late.1 >> 20,
    ));
    assert!(all.1 - all.0 < BOUND, "{} MiB more", (all.1 - all.0) >> 20);
    // A page more or less within seconds is much a minute.
    assert!(outage() < Duration::from_secs(60) || slope < 1.0, "{slope} MiB a minute");
}

/// The line that is nearest to all of them: MiB a minute.
fn slope(memory: &[(Duration, u64)]) -> f64 {
    let points = memory.iter().map(|(at, bytes)| (at.as_secs_f64() / 60.0, *bytes as f64 / f64::from(1 << 20)));
    let count = memory.len() as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), (at, size)| (x + at / count, y + size / count));
    let (above, below) =
        points.fold((0.0, 0.0), |(above, below), (at, size)| (above + (at - x) * (size - y), below + (at - x).powi(2)));
    if below > 0.0 { above / below } else { 0.0 }
}
