//! The `replay` source: recorded files in all their forms, generated trips, pace, markers, and files that are broken.

use crate::harness::{Heard, Listener, Place, source};
use crate::source_suite;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};
use wasmill_connect::replay::taxi::{DEFAULT_START, Trips};
use wasmill_stream::field::Decoder;
use wasmill_stream::source::Source;
use wasmill_stream::{Binary, Cells};

fn replay(settings: &str) -> Box<dyn Source> {
    source("replay", settings).unwrap_or_else(|problems| panic!("valid settings: {problems:?}"))
}

fn play(path: &Path, more: &str) -> Box<dyn Source> {
    replay(&format!("path = {path:?}\n{more}"))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// A folder with one file.
fn file(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file");
    (folder, path)
}

/// `{"k":"0","t":0}` to `{"k":"4","t":…}`, one per second of event time.
fn records(count: u64) -> Vec<String> {
    (0..count).map(|n| format!("{{\"k\":\"{}\",\"t\":{}}}", n % 5, n * 1000)).collect()
}

fn lines(records: &[String]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// With one split, a record's position is its line, also behind blank lines and over several files.
#[tokio::test]
async fn positions_are_lines() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("b.jsonl"), "{}\n\n[4]").expect("a file");
    fs::write(folder.path().join("c.csv"), "x,y\n1,a\n").expect("a file");
    fs::write(folder.path().join("a.jsonl"), "[1]\n").expect("a file");
    fs::write(folder.path().join("d.jsonl.part"), "unfinished").expect("a file");
    let expected = ["[1]", "{}", "[4]", "{\"x\":1,\"y\":\"a\"}"].map(str::to_owned);
    let splits = source_suite::delivers_and_ends(play(folder.path(), ""), 1, &expected).await;
    let heard = splits.values().next().expect("one split");
    let expected = [1, 2, 4, 6].map(Place::Number).into_iter().zip(expected).collect::<Vec<_>>();
    assert_eq!(heard.records, expected);
}

/// The same records come out plain and compressed, over one split and several, with much room and with little.
#[tokio::test]
async fn every_form_delivers_the_same() {
    let expected = records(5000);
    let folder = tempdir().expect("a folder");
    let (plain, packed) = (folder.path().join("in.jsonl"), folder.path().join("in.jsonl.gz"));
    fs::write(&plain, lines(&expected)).expect("a file");
    fs::write(&packed, gzip(&lines(&expected))).expect("a file");
    for path in [&plain, &packed] {
        for (splits, workers) in [(1, 1), (8, 3), (3, 8)] {
            let settings = format!("splits = {splits}");
            let heard = source_suite::delivers_and_ends(play(path, &settings), workers, &expected).await;
            assert_eq!(heard.len(), splits);
            source_suite::survives_a_small_budget(play(path, &settings), workers, &expected).await;
        }
    }
    let both = format!("path = [{plain:?}, {packed:?}]\nlimit = 5001");
    let twice: Vec<_> = expected.iter().chain(&expected[..1]).cloned().collect();
    source_suite::delivers_and_ends(replay(&both), 1, &twice).await;
}

/// Without a key, splits get the same number of records; with one, all records of a key are in one split, in order.
#[tokio::test]
async fn dealing() {
    let expected = records(1000);
    let (_folder, path) = file("in.jsonl", lines(&expected));
    let even = source_suite::delivers_and_ends(play(&path, "splits = 4"), 1, &expected).await;
    assert!(even.values().all(|heard| heard.records.len() == 250));
    let keyed = play(&path, "splits = 4\npartition_by = \"/k\"");
    let splits = source_suite::delivers_and_ends(keyed, 1, &expected).await;
    for key in 0..5 {
        let of_key = format!("\"k\":\"{key}\"");
        let homes: Vec<_> =
            splits.values().filter(|heard| heard.values().iter().any(|v| v.contains(&of_key))).collect();
        let in_order: Vec<_> = expected.iter().filter(|record| record.contains(&of_key)).collect();
        let [home] = homes.as_slice() else { panic!("key {key} is in {} splits", homes.len()) };
        assert_eq!(home.values().into_iter().filter(|v| v.contains(&of_key)).collect::<Vec<_>>(), in_order);
    }
}

/// An empty file, and one of blank lines, is a stream without records.
#[tokio::test]
async fn nothing_to_play() {
    for (name, text) in [("a.jsonl", ""), ("b.jsonl", "\n\n"), ("c.csv", ""), ("d.csv", "x,y\n")] {
        let (_folder, path) = file(name, text);
        source_suite::delivers_and_ends(play(&path, "splits = 2"), 1, &[]).await;
    }
    let (_folder, path) = file("e.jsonl.gz", gzip(""));
    source_suite::delivers_and_ends(play(&path, ""), 1, &[]).await;
}

/// Whatever is wrong with a file, the error names it, and what stood before the damage is delivered.
#[tokio::test]
async fn broken_files() {
    let folder = tempdir().expect("a folder");
    let missing = folder.path().join("none.jsonl");
    source_suite::fails(play(&missing, ""), &[], &["none.jsonl", "no such file"]).await;
    source_suite::fails(play(folder.path(), ""), &[], &["no files to play"]).await;
    let (_folder, path) = file("in.jsonl.gz", "{}\n");
    source_suite::fails(play(&path, ""), &[], &["in.jsonl.gz", "is no gzip data"]).await;
    let mut packed = gzip("[1]\n");
    packed.extend_from_slice(b"trailing rubbish");
    let (_folder, path) = file("in.jsonl.gz", packed);
    source_suite::fails(play(&path, ""), &["[1]"], &["in.jsonl.gz", "damaged gzip data"]).await;
    let (_folder, path) = file("in.csv", b"a\n1\n\xFF\n");
    source_suite::fails(play(&path, ""), &["{\"a\":1}"], &["in.csv", "line 3", "UTF-8"]).await;
}

/// A compressed file that was cut off gives every record that is whole, then the error.
#[tokio::test]
async fn truncated_gzip() {
    let expected = records(20_000);
    let packed = gzip(&lines(&expected));
    let (_folder, path) = file("in.jsonl.gz", &packed[..packed.len() / 2]);
    let mut listener = Listener::start(play(&path, ""), 1, 16 << 20);
    let error = listener.finish().await.expect_err("the data is cut off");
    assert!(error.report().contains("in.jsonl.gz` ends in the middle"), "{}", error.report());
    let heard = listener.splits.values().next().expect("one split");
    assert!(heard.records.len() > 5000 && !heard.done, "{} records", heard.records.len());
    assert_eq!(heard.values(), expected[..heard.records.len()]);
}

/// A job that stops gets its source back, whether that waits for room or for the next record's time.
#[tokio::test]
async fn stops() {
    let (_folder, path) = file("in.jsonl", lines(&records(20_000)));
    source_suite::stops_while_it_waits(play(&path, ""), 1).await;
    source_suite::stops_while_it_waits(play(&path, "splits = 5\npartition_by = \"/k\""), 2).await;
    source_suite::stops_while_it_waits(replay("generate = \"taxi\""), 1).await;
    let slow = play(&path, "time = \"/t: time(unix-ms)\"\nspeedup = 0.001\nsplits = 2");
    let mut listener = Listener::start(slow, 1, 16 << 20);
    listener.listen_until(|splits| splits.len() == 2 && splits.values().all(|heard| heard.caught_up > 0)).await;
    listener.stop();
    listener.finish().await.expect("a stop is no failure");
    assert!(listener.splits.values().all(|heard| !heard.done && heard.records.len() <= 2));
}

/// Played in step with event time, nothing is lost and the order stays.
#[tokio::test]
async fn pace_keeps_the_order() {
    let expected = records(3000);
    let (_folder, path) = file("in.jsonl", lines(&expected));
    let paced = play(&path, "time = \"/t: time(unix-ms)\"\nspeedup = 30000");
    let splits = source_suite::delivers_and_ends(paced, 1, &expected).await;
    assert_eq!(splits.values().next().map(Heard::values), Some(expected.iter().map(String::as_str).collect()));
}

/// Markers come in every split, ascend, never run ahead of a record, and the last one is behind them all.
#[tokio::test]
async fn markers_tell_the_truth() {
    let trips: Vec<_> = Trips::new(Some(3000), 7, 10.0, DEFAULT_START).collect();
    let settings = "generate = \"taxi\"\ntrips = 3000\nseed = 7\nsplits = 3\nmarkers = true\nmarker_interval = \"20s\"";
    let mut listener = Listener::start(replay(settings), 2, 16 << 20);
    listener.finish().await.expect("the source ends");
    assert_eq!(listener.splits.len(), 3);
    let mut played = Vec::new();
    let mut of_splits = Vec::new();
    for heard in listener.splits.values() {
        let values = heard.values();
        let times = decode("/dropoff_datetime: time?", &values);
        let marks = decode("/watermark: time?", &values);
        let mut watermark = 0;
        for ((value, time), mark) in values.iter().zip(&times).zip(&marks) {
            match mark {
                Some(mark) => assert!(std::mem::replace(&mut watermark, *mark) < *mark, "markers ascend"),
                None => {
                    assert!(time.expect("a trip has a time") >= watermark, "{value} comes after its marker");
                    played.push((*value).to_owned());
                }
            }
        }
        assert_eq!(marks.last().copied().flatten(), Some(watermark), "a marker is the last record");
        of_splits.push((marks.iter().flatten().count(), watermark));
    }
    let latest = decode("/dropoff_datetime: time", &trips).into_iter().flatten().max().expect("trips");
    // 300 seconds of trips, a marker per 20 seconds, one at the end.
    assert!(of_splits.iter().all(|(count, last)| (14..=18).contains(count) && *last == latest + 1), "{of_splits:?}");
    played.sort();
    let mut trips = trips;
    trips.sort();
    assert_eq!(played, trips);
}

fn decode(field: &str, values: &[impl AsRef<[u8]>]) -> Vec<Option<i64>> {
    let values: Binary = values.iter().collect();
    let column = Decoder::new(&[field.parse().expect("a field")]).decode(&values).remove(0);
    let Cells::Int(cells) = column.cells else { panic!("a time is a number") };
    let faulty = |row: usize| column.faults.iter().any(|fault| fault.row as usize == row);
    cells.into_iter().enumerate().map(|(row, cell)| (!faulty(row)).then_some(cell)).collect()
}

/// Every wrong setting is found at once, and what needs another setting says so.
#[test]
fn wrong_settings() {
    let problems = |settings: &str| match source("replay", settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>(),
    };
    let found =
        problems("path = 5\nsplits = 0\nspeedup = -1\nformat = \"xml\"\nmarker_interval = \"1s\"\ntime = \"t\"");
    assert!(found.len() >= 5, "{found:?}");
    for settings in [
        "",
        "path = []",
        "path = \"x\"\ngenerate = \"taxi\"",
        "path = \"x\"\nspeedup = 2",
        "path = \"x\"\ntime = \"/t\"\nspeedup = 0",
        "path = \"x\"\ntime = \"/t\"\nspeedup = \"fast\"",
        "path = \"x\"\nmarkers = true",
        "path = \"x\"\ntime = \"/t: s64\"",
        "path = \"x\"\ntime = \"/t\"\nmarkers = true\nmarker_interval = \"0s\"",
        "path = \"x\"\nsplits = 513",
        "generate = \"taxi\"\nlimit = 5",
        "generate = \"taxi\"\nrate = 0",
        "generate = \"taxi\"\nstart = \"yesterday\"",
    ] {
        assert_eq!(problems(settings).len(), 1, "{settings}: {:?}", problems(settings));
    }
    for settings in ["path = \"x\"\nspeedup = \"max\"", "generate = \"taxi\"\nspeedup = 6480\nmarkers = true"] {
        assert!(problems(settings).is_empty(), "{settings}: {:?}", problems(settings));
    }
}
