//! The `file` sink in a job with checkpoints: a file has its name when, and only when, a published checkpoint says so.

use crate::crash_suite::{acts, opening, survives};
use crate::file::{all_lines, lines, names, to};
use crate::formats::{below, parquet_rows};
use crate::sink_suite::{batch, rows};
use flate2::read::MultiGzDecoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use tempfile::tempdir;
use tokio::runtime::Runtime;
use wasmill_stream::sink::{Cut, Opening, Sink, SinkWriter};
use wasmill_stream::{Error, ErrorKind, Guarantee, Result};

/// The files that have their names.
fn visible(folder: &Path) -> Vec<String> {
    names(folder).into_iter().filter(|name| !name.ends_with(".part")).collect()
}

/// The rows of a file of any format.
pub fn rows_of(path: &Path) -> Vec<String> {
    let row = |n: &Value| n.as_u64().map_or("{\"stray\":0}".to_owned(), |n| format!("{{\"n\":{n}}}"));
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => parquet_rows(fs::read(path).expect("a file")).iter().map(|found| row(&found["n"])).collect(),
        Some("csv") => {
            let cells = lines(path);
            assert_eq!(cells.first().map(String::as_str), Some("n"), "each file has its header, once");
            cells[1..].iter().map(|cell| row(&cell.parse().unwrap_or_default())).collect()
        }
        _ => lines(path),
    }
}

/// Opens a sink for a run that goes on with what was prepared.
pub async fn open(path: &Path, settings: &str, run: u64, prepared: &Value) -> Result<Box<dyn SinkWriter>> {
    to(path, settings).open(opening(run, prepared)).await
}

/// Writes rows.
pub async fn write(writer: &mut Box<dyn SinkWriter>, rows: &[String]) {
    writer.write(batch(rows)).await.expect("a write");
}

/// Writes rows and publishes a checkpoint with them, which is not committed yet.
pub async fn publish(writer: &mut Box<dyn SinkWriter>, rows: &[String], cut: Cut) -> Value {
    write(writer, rows).await;
    writer.prepare(cut).await.expect("a checkpoint is prepared")
}

async fn refused(path: &Path, prepared: &Value) -> Error {
    open(path, "", 9, prepared).await.err().expect("the sink must not open")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens to the job, the files that have their names hold the rows of published checkpoints, once each, in
    /// the order in which they were written, and nothing else is left: small, large and young parts, plain, packed, one file.
    #[test]
    fn exactly_the_published_rows(acts in acts(), kind in 0..11usize) {
        let (path, settings) = [
            ("parts", ""),
            ("parts", "roll_bytes = \"64B\""),
            ("parts", "compression = \"gzip\"\nroll_bytes = \"300B\""),
            ("parts", "roll_interval = \"1ms\""),
            ("one.jsonl", ""),
            ("one.jsonl.gz", "overwrite = true"),
            ("one.jsonl.zst", ""),
            ("parts", "compression = \"zstd\"\nprefix = \"dt={+%Y-%m-%d}/\""),
            ("parts", "format = \"csv\"\ncolumns = [\"/n: s64?\"]\nroll_bytes = \"64B\""),
            ("parts", "format = \"parquet\"\nroll_bytes = \"64B\""),
            ("parts", "format = \"parquet\"\ncolumns = [\"/n: s64?\"]\nprefix = \"dt={+%Y-%m-%d}/\""),
        ][kind];
        let root = tempdir().expect("a folder");
        let path = root.path().join(path);
        let folder = if path.extension().is_none() { path.as_path() } else { root.path() };
        let read = || below(folder).iter().flat_map(|name| rows_of(&folder.join(name))).collect();
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(survives(&|| to(&path, settings), &read, &acts));
        prop_assert_eq!(names(folder), visible(folder), "nothing is left behind");
        let numbers = read().iter().map(|row| row[5..row.len() - 1].parse().expect("a number")).collect::<Vec<u64>>();
        prop_assert!(numbers.is_sorted(), "{:?}", numbers);
    }
}

/// Before a checkpoint is committed no file has its name, however full; then those that are full have it, and the open part
/// goes on. When the job stops, all have.
#[tokio::test]
async fn names_come_with_commits() {
    let folder = tempdir().expect("a folder");
    let mut writer = open(folder.path(), "roll_bytes = \"16B\"", 1, &Value::Null).await.expect("it opens");
    let all = rows(6);
    for pair in all.chunks(2).take(2) {
        write(&mut writer, pair).await;
        writer.flush().await.expect("a flush");
    }
    let prepared = publish(&mut writer, &all[4..5], Cut::Running).await;
    assert_eq!(prepared["finished"].as_array().map(Vec::len), Some(2), "{prepared}");
    assert!(visible(folder.path()).is_empty());
    writer.commit().await.expect("a commit");
    let committed = visible(folder.path());
    assert_eq!(committed.len(), 2);
    assert!(committed[0].starts_with("part-0000000001-000001-") && committed[0].ends_with(".jsonl"), "{committed:?}");
    publish(&mut writer, &all[5..], Cut::Stop).await;
    assert_eq!(visible(folder.path()).len(), 2);
    writer.commit().await.expect("a commit");
    writer.close().await.expect("the end");
    assert_eq!(all_lines(folder.path()), all);
}

/// The rows of a checkpoint can be read from the open part as it was then: a packed one ends with a whole member.
#[tokio::test]
async fn an_open_part_is_whole_at_its_recorded_length() {
    for (settings, packed) in [("", false), ("compression = \"gzip\"", true)] {
        let folder = tempdir().expect("a folder");
        let mut writer = open(folder.path(), settings, 1, &Value::Null).await.expect("it opens");
        publish(&mut writer, &rows(2), Cut::Running).await;
        writer.commit().await.expect("a commit");
        let prepared = publish(&mut writer, &rows(3), Cut::Running).await;
        write(&mut writer, &rows(9)).await;
        writer.flush().await.expect("a flush");
        let part = prepared["open"]["part"].as_str().expect("an open part");
        let mut bytes = fs::read(folder.path().join(part)).expect("the part");
        let length = prepared["open"]["bytes"].as_u64().expect("its length") as usize;
        assert!(length < bytes.len(), "rows came after it");
        bytes.truncate(length);
        let mut text = String::new();
        match packed {
            true => MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("whole members"),
            false => (&bytes[..]).read_to_string(&mut text).expect("text"),
        };
        assert_eq!(text.lines().collect::<Vec<_>>(), [rows(2), rows(3)].concat());
    }
}

/// A file that the checkpoint names and that is gone, cut short or of another length ends the job at start, with its name.
#[tokio::test]
async fn missing_rows_are_noticed() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let mut writer = open(path, "roll_bytes = \"16B\"", 1, &Value::Null).await.expect("it opens");
    write(&mut writer, &rows(2)).await;
    writer.flush().await.expect("a flush");
    let prepared = publish(&mut writer, &rows(1), Cut::Running).await;
    drop(writer);
    let part = |entry: &Value| path.join(entry["part"].as_str().expect("a part"));
    let (finished, open_part) = (part(&prepared["finished"][0]), part(&prepared["open"]));

    let bytes = fs::read(&open_part).expect("a part");
    fs::write(&open_part, &bytes[1..]).expect("cut short");
    let error = refused(path, &prepared).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.report().contains(".part` is damaged: it has"), "{}", error.report());
    fs::remove_file(&open_part).expect("removed");
    let error = refused(path, &prepared).await;
    assert!(error.report().contains(".part` is missing"), "{}", error.report());
    fs::write(&open_part, bytes).expect("put back");

    // The attempts have committed the finished part; now it is damaged, then gone.
    let complete = path.join(prepared["finished"][0]["name"].as_str().expect("a name"));
    assert!(!finished.exists() && complete.exists());
    fs::write(&complete, "x").expect("damaged");
    let error = refused(path, &prepared).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    fs::remove_file(&complete).expect("removed");
    let error = refused(path, &prepared).await;
    assert!(
        error.report().contains("part-0000000001-000001-") && error.report().contains("missing"),
        "{}",
        error.report()
    );
}

/// Files that are known to be committed may have been taken away; the open part goes on all the same.
#[tokio::test]
async fn committed_files_belong_to_their_readers() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let mut writer = open(path, "roll_bytes = \"16B\"", 1, &Value::Null).await.expect("it opens");
    write(&mut writer, &rows(2)).await;
    writer.flush().await.expect("a flush");
    let prepared = publish(&mut writer, &rows(1), Cut::Running).await;
    writer.commit().await.expect("a commit");
    drop(writer);
    for name in visible(path) {
        fs::remove_file(path.join(name)).expect("it is there");
    }
    let error = refused(path, &prepared).await;
    assert!(error.report().contains("if its reader has taken it"), "{}", error.report());
    let opening = Opening { committed: true, ..opening(3, &prepared) };
    let mut writer = to(path, "").open(opening).await.expect("it goes on");
    publish(&mut writer, &rows(4), Cut::Stop).await;
    writer.commit().await.expect("a commit");
    assert_eq!(all_lines(path), [rows(1), rows(4)].concat());
}

/// A reader takes all parts away whenever the job is stopped, and the job goes on or starts afresh → no name comes twice.
#[tokio::test]
async fn names_are_used_once() {
    let folder = tempdir().expect("a folder");
    let (mut seen, mut prepared) = (BTreeSet::new(), Value::Null);
    for run in 1..=4 {
        let mut writer = open(folder.path(), "", run, &prepared).await.expect("it opens");
        publish(&mut writer, &rows(2), Cut::Stop).await;
        writer.commit().await.expect("a commit");
        prepared = if run == 2 { Value::Null } else { writer.prepare(Cut::Stop).await.expect("what is left") };
        writer.close().await.expect("the end");
        for name in names(folder.path()) {
            fs::remove_file(folder.path().join(&name)).expect("it is there");
            assert!(seen.insert(name.clone()), "{name} comes twice");
        }
    }
    assert_eq!(seen.len(), 4);
}

/// Any byte of a file that the checkpoint names is another one when the job goes on, in a part that is complete and has its
/// name or not, or in the open one → refused as corrupt, with the file, both digests and the way on. Of a checkpoint that
/// says nothing of digests the rows are taken as they are.
#[tokio::test]
async fn other_bytes_are_noticed() {
    for settings in ["roll_bytes = \"16B\"", "roll_bytes = \"16B\"\ncompression = \"gzip\""] {
        let folder = tempdir().expect("a folder");
        let path = folder.path();
        let mut writer = open(path, settings, 1, &Value::Null).await.expect("it opens");
        write(&mut writer, &rows(2)).await;
        writer.flush().await.expect("a flush");
        let prepared = publish(&mut writer, &rows(1), Cut::Running).await;
        drop(writer);
        // To refuse the open part the complete one was given its name before.
        for entry in [&prepared["finished"][0], &prepared["open"], &prepared["finished"][0]] {
            let text = |member: &str| entry[member].as_str().expect("text").to_owned();
            for name in [text("part"), text("name")] {
                let file = path.join(name);
                let Ok(bytes) = fs::read(&file) else { continue };
                for at in [0, bytes.len() / 2, bytes.len() - 1] {
                    let mut other = bytes.clone();
                    other[at] ^= 4;
                    fs::write(&file, &other).expect("damaged");
                    let error = refused(path, &prepared).await;
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.report());
                    let found = wasmill_stream::checkpoint::Digest::of(&other).to_string();
                    let file = file.display().to_string();
                    for word in [file.as_str(), "damaged", &found, &text("digest"), "wasmill checkpoint restore"] {
                        assert!(error.report().contains(word), "{word}: {}", error.report());
                    }
                }
                fs::write(&file, bytes).expect("put back");
            }
        }
        let mut older = prepared.clone();
        older["finished"][0].as_object_mut().expect("an entry").remove("digest");
        older["open"].as_object_mut().expect("an entry").remove("digest");
        let mut writer = open(path, settings, 9, &older).await.expect("it goes on");
        publish(&mut writer, &rows(1), Cut::Stop).await;
        writer.commit().await.expect("a commit");
        assert_eq!(all_lines(path), [rows(2), rows(1), rows(1)].concat());
    }
}

/// Files of users, of other sinks and jobs, and of a later run are left alone; those of dead runs of this sink go.
#[tokio::test]
async fn foreign_files_stay() {
    let folder = tempdir().expect("a folder");
    let path = folder.path();
    let mut writer = open(path, "", 5, &Value::Null).await.expect("it opens");
    publish(&mut writer, &rows(1), Cut::Running).await;
    drop(writer);
    let own = names(path);
    let mark = own[0].split(['-', '.']).nth(3).expect("a mark").to_owned();
    let foreign = [
        "part-000001.jsonl".to_owned(),
        "part-000001.jsonl.part".to_owned(),
        "part-000001-00000000.jsonl.00000000-4.part".to_owned(),
        format!("part-0000000007-000001-{mark}.jsonl.{mark}-7.part"),
        format!("part-000001-{mark}.jsonl.{mark}-7.part"),
        format!("part-000003-{mark}.jsonl"),
        "notes.part".to_owned(),
    ];
    for name in &foreign {
        fs::write(path.join(name), "mine").expect("a file");
    }
    let writer = open(path, "", 6, &Value::Null).await.expect("it opens");
    assert!(!path.join(&own[0]).exists(), "a dead run's");
    assert!(path.join(format!("part-0000000006-000001-{mark}.jsonl.{mark}-6.part")).exists(), "{:?}", names(path));
    drop(writer);
    for name in &foreign {
        assert_eq!(fs::read(path.join(name)).expect("still there"), b"mine", "{name}");
    }
}

/// The same beside one file.
#[tokio::test]
async fn foreign_files_stay_beside_one_file() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("one.jsonl");
    drop(open(&path, "", 1, &Value::Null).await.expect("it opens"));
    let own = names(folder.path());
    let foreign = ["one.jsonl.part", "one.jsonl.00000000-1.part", "two.jsonl.part"];
    for name in foreign {
        fs::write(folder.path().join(name), "mine").expect("a file");
    }
    drop(open(&path, "", 2, &Value::Null).await.expect("it opens"));
    assert!(!folder.path().join(&own[0]).exists(), "a dead run's");
    for name in foreign {
        assert_eq!(fs::read(folder.path().join(name)).expect("still there"), b"mine", "{name}");
    }
}

/// A process that stood still and writes on after another has taken over spoils nothing.
#[tokio::test]
async fn a_frozen_writer_spoils_nothing() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("one.jsonl");
    let mut old = open(&path, "", 1, &Value::Null).await.expect("it opens");
    let prepared = publish(&mut old, &rows(3), Cut::Running).await;
    let mut new = open(&path, "", 2, &prepared).await.expect("another takes over");
    write(&mut new, &rows(2)).await;
    new.flush().await.expect("a flush");
    write(&mut old, &rows(50)).await;
    old.flush().await.expect("it does not know");
    old.commit().await.expect("its checkpoint was published");
    // A third would still find what the manifest names.
    drop(new);
    let mut new = open(&path, "", 3, &prepared).await.expect("another takes over");
    publish(&mut new, &rows(2), Cut::End).await;
    new.commit().await.expect("a commit");
    drop(old);
    assert_eq!(lines(&path), [rows(3), rows(2)].concat());
    assert_eq!(names(folder.path()), ["one.jsonl"]);
}

/// One file that exists is refused at the first start unless the job may overwrite it, and never gets in the way of going on.
#[tokio::test]
async fn one_file_that_exists() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("one.jsonl");
    fs::write(&path, "old\n").expect("a file");
    let error = open(&path, "", 1, &Value::Null).await.err().expect("it exists");
    assert!(error.report().contains("overwrite = true"), "{}", error.report());
    let mut writer = open(&path, "overwrite = true", 2, &Value::Null).await.expect("it may");
    let prepared = publish(&mut writer, &rows(1), Cut::Running).await;
    writer.commit().await.expect("a commit");
    drop(writer);
    assert_eq!(lines(&path), ["old"], "until the job has ended");
    let mut writer = open(&path, "overwrite = true", 3, &prepared).await.expect("it goes on");
    let prepared = publish(&mut writer, &rows(1), Cut::End).await;
    drop(writer);
    let writer = open(&path, "overwrite = true", 4, &prepared).await.expect("what is published is committed");
    drop(writer);
    assert_eq!(lines(&path), [rows(1), rows(1)].concat());
}

/// A part that became complete after an older checkpoint does not stop the job that goes on from there.
#[tokio::test]
async fn an_older_checkpoint_is_restored() {
    let folder = tempdir().expect("a folder");
    let mut writer = open(folder.path(), "", 1, &Value::Null).await.expect("it opens");
    let older = publish(&mut writer, &rows(2), Cut::Running).await;
    writer.commit().await.expect("a commit");
    publish(&mut writer, &rows(3), Cut::Stop).await;
    writer.commit().await.expect("a commit");
    drop(writer);
    let mut writer = open(folder.path(), "", 2, &older).await.expect("it goes on");
    publish(&mut writer, &rows(4), Cut::Stop).await;
    writer.commit().await.expect("a commit");
    assert_eq!(all_lines(folder.path()), [rows(2), rows(3), rows(4)].concat());
}

/// A checkpoint of a sink with another path, or of nothing known, is refused with a reason.
#[tokio::test]
async fn a_checkpoint_of_something_else() {
    let folder = tempdir().expect("a folder");
    let mut writer = open(&folder.path().join("one.jsonl"), "", 1, &Value::Null).await.expect("it opens");
    let prepared = publish(&mut writer, &rows(1), Cut::Running).await;
    let error = refused(&folder.path().join("two.jsonl"), &prepared).await;
    assert!(error.report().contains("set `path` to what it was"), "{}", error.report());
    let up = json!({"finished": [{"name": "../x", "part": "../x", "bytes": 1, "lines": 1}], "open": null});
    assert_eq!(refused(folder.path(), &up).await.kind(), ErrorKind::Invalid);
    let error = refused(folder.path(), &json!({"uploads": []})).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// The guarantee names both ways of delivery.
#[test]
fn guarantee() {
    let sink: Box<dyn Sink> = to(Path::new("x"), "");
    assert_eq!(sink.guarantee(), Guarantee::ExactlyOnce);
}
