//! The raw archive: what sinks write of records as they were read, and the source that reads it back.

use crate::harness::{Heard, Listener, archive, source};
use crate::source_suite::{delivers_and_ends, stops_while_it_waits, survives_a_small_budget};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::tempdir;
use wasmill_stream::ledger::StepLedger;
use wasmill_stream::sink::{Cut, Opening};
use wasmill_stream::source::{Resume, Source};
use wasmill_stream::{Batch, ErrorKind, ExtendedSequence, Lineage, Positions, SplitId};

const HOUR: i64 = 3_600_000;

/// A split, those that it goes on after, and its records by number; of each the time of arrival is its number, in minutes.
type Run = (&'static str, &'static [&'static str], std::ops::Range<u64>);

/// A family: `a` is split into `b` and `c`, which are merged into `d`; `e` is there all the time.
const FAMILY: &[&[Run]] = &[
    &[("a", &[], 0..40), ("e", &[], 0..10), ("a", &[], 40..80)],
    &[("e", &[], 10..70), ("a", &[], 80..100)],
    &[("b", &["a"], 100..150), ("e", &[], 70..90), ("c", &["a"], 100..130)],
    &[("c", &["a"], 130..190), ("b", &["a"], 150..160)],
    &[("d", &["b", "c"], 200..260), ("e", &[], 90..300)],
];

fn value(split: &str, number: u64) -> String {
    format!("{split} {number}")
}

fn batch((split, parents, numbers): &Run) -> Arc<Batch> {
    let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
    let place = |number| ExtendedSequence::parse(&format!("{}:{}", number / 3, number % 3)).expect("a place");
    let lineage = Lineage {
        split: SplitId::behind("in", split, parents),
        positions: Arc::new(Positions::Extended(numbers.clone().map(place).collect())),
        records: None,
        bytes: None,
    };
    Arc::new(Batch {
        step: "in".into(),
        times: numbers.clone().map(|number| number as i64 * 60_000).collect(),
        values: numbers.clone().map(|number| value(split, number)).collect(),
        lineage: Some(lineage),
        ..Batch::default()
    })
}

/// Writes checkpoints, each with some records, in a job of this run.
async fn write(folder: &Path, run: u64, checkpoints: &[&[Run]]) {
    let sink = archive("file", &format!("path = \"{}\"\nroll_bytes = \"2 KiB\"", folder.display()));
    let opening =
        Opening { job: "job".to_owned(), commits: true, run, ..Opening::new(Arc::new(StepLedger::new("archive"))) };
    let mut writer = sink.expect("valid settings").open(opening).await.expect("it opens");
    for records in checkpoints {
        for run in *records {
            writer.write(batch(run)).await.expect("a write");
        }
        writer.prepare(Cut::Running).await.expect("prepared");
        writer.commit().await.expect("committed");
    }
    writer.close().await.expect("the end");
}

fn back(folder: &Path, more: &str) -> Box<dyn Source> {
    let settings = format!("path = \"{}\"\n{more}", folder.display());
    source("archive", &settings).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The records of each split, in their order.
fn expected(checkpoints: &[&[Run]]) -> BTreeMap<String, Vec<String>> {
    let mut splits: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (split, _, numbers) in checkpoints.iter().copied().flatten() {
        splits.entry((*split).to_owned()).or_default().extend(numbers.clone().map(|number| value(split, number)));
    }
    splits
}

fn heard(splits: &BTreeMap<SplitId, Heard>) -> BTreeMap<String, Vec<String>> {
    let heard = splits.iter().filter(|(_, heard)| !heard.records.is_empty());
    let records = |heard: &Heard| heard.records.iter().map(|(_, value)| value.clone()).collect();
    heard.map(|(split, heard)| (split.part().to_owned(), records(heard))).collect()
}

/// All Parquet files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be read").path()) {
        match entry.is_dir() {
            true => found.extend(files(&entry)),
            false => found.push(entry),
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    found.sort();
    found
}

/// A family of splits in an archive → every record once, in the order of its split; no child before its parents have ended; also
/// with a small budget, and it stops while it waits.
#[tokio::test]
async fn a_family() {
    let dir = tempdir().expect("a folder");
    write(dir.path(), 3, FAMILY).await;
    assert!(files(dir.path()).len() > FAMILY.len(), "large files are complete before their checkpoint");
    let all: Vec<String> = expected(FAMILY).into_values().flatten().collect();
    for workers in [1, 3] {
        let splits = delivers_and_ends(back(dir.path(), ""), workers, &all).await;
        assert_eq!(heard(&splits), expected(FAMILY));
        survives_a_small_budget(back(dir.path(), ""), workers, &all).await;
        stops_while_it_waits(back(dir.path(), ""), workers).await;
    }
    let mut listener = Listener::start(back(dir.path(), ""), 1, 1 << 20);
    listener.finish().await.expect("it ends");
    let at = |value: &str| listener.records.iter().position(|record| record == value).expect("it is there");
    assert!(at("a 99") < at("b 100").min(at("c 100")) && at("b 159").max(at("c 189")) < at("d 200"));
    let ended: Vec<_> = listener.ended.iter().map(SplitId::part).collect();
    let end = |part: &str| ended.iter().position(|ended| *ended == part).expect("it has ended");
    assert!(end("a") < end("b").min(end("c")) && end("b").max(end("c")) < end("d"), "{ended:?}");
}

/// A job with checkpoints → no record of a child comes before the ends of all its parents are in a published one.
#[tokio::test]
async fn children_wait_for_checkpoints() {
    let dir = tempdir().expect("a folder");
    write(dir.path(), 3, FAMILY).await;
    let mut listener = Listener::with_checkpoints(back(dir.path(), ""), 2, 1 << 20, None);
    let mut settled: Vec<String> = Vec::new();
    loop {
        let awaited = listener.awaited();
        tokio::select! {
            biased;
            more = listener.try_hear_next(0) => if !more { break },
            () = awaited => {
                let checkpoint = listener.checkpoint();
                listener.publish(&checkpoint);
                settled = checkpoint.splits.into_iter().filter(|(_, mark)| mark.done).map(|(part, _)| part).collect();
            }
        }
        for (child, parents) in [("b", &["a"][..]), ("c", &["a"]), ("d", &["b", "c"])] {
            let has_begun =
                listener.splits.iter().any(|(split, heard)| split.part() == child && !heard.records.is_empty());
            assert!(!has_begun || parents.iter().all(|parent| settled.iter().any(|part| part == parent)), "{child}");
        }
    }
    assert_eq!(heard(&listener.splits), expected(FAMILY));
}

/// Runs that go on from wherever the one before was, with what has become visible meanwhile left alone → every record of the
/// first start once.
#[tokio::test]
async fn going_on() {
    let dir = tempdir().expect("a folder");
    write(dir.path(), 3, FAMILY).await;
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut resume: Option<Resume> = None;
    for run in 0.. {
        let mut listener = Listener::with_checkpoints(back(dir.path(), ""), 2, 1 << 20, resume.clone());
        let enough = 1 + run % 3;
        let mut left = 30;
        // Each run hears some messages, and every checkpoint is published.
        let mut has_ended = false;
        while left > 0 && !has_ended {
            listener.publish(&listener.checkpoint());
            let awaited = listener.awaited();
            tokio::select! {
                more = listener.try_hear_next(run % 2) => has_ended = !more,
                () = awaited => listener.publish(&listener.checkpoint()),
            }
            left -= enough;
        }
        for (split, records) in heard(&listener.splits) {
            all.entry(split).or_default().extend(records);
        }
        resume = Some(listener.checkpoint());
        if has_ended {
            listener.finish().await.expect("it ends");
            break;
        }
        listener.kill();
        if run == 1 {
            write(dir.path(), 9, &[&[("e", &[], 300..400)]]).await;
        }
        assert!(run < 200, "it gets further");
    }
    assert_eq!(all, expected(FAMILY));
    let other = Listener::go_on(back(dir.path(), "from = \"1970-01-01T01:00:00Z\""), 1, 1 << 20, resume).finish().await;
    let error = other.expect_err("another span").report();
    assert!(error.contains("`from`"), "{error}");
}

/// Spans of time → the records that arrived in them, with their families, as far as they are in it.
#[tokio::test]
async fn spans() {
    let dir = tempdir().expect("a folder");
    write(dir.path(), 3, FAMILY).await;
    for (from, until) in [(0, 30), (20, 105), (99, 131), (150, 1_000), (130, 140), (0, 400), (500, 600)] {
        let time = |minute: i64| {
            let (day, hour) = (1 + minute / 1_440, minute / 60 % 24);
            format!("1970-01-{day:02}T{hour:02}:{:02}:00Z", minute % 60)
        };
        let bounds = format!("from = \"{}\"\nuntil = \"{}\"", time(from), time(until));
        let mut asked_for = expected(FAMILY);
        asked_for.values_mut().for_each(|records| {
            records.retain(|record| {
                let number: i64 = record[2..].parse().expect("a number");
                (from..until).contains(&number)
            });
        });
        asked_for.retain(|_, records| !records.is_empty());
        let mut listener = Listener::start(back(dir.path(), &bounds), 2, 1 << 20);
        listener.finish().await.expect("it ends");
        assert_eq!(heard(&listener.splits), asked_for, "{from}..{until}");
        assert!(listener.splits.values().all(|heard| heard.done));
    }
}

/// Records that are there twice, as after a job without checkpoints that was started again → each once.
#[tokio::test]
async fn twice() {
    let dir = tempdir().expect("a folder");
    write(dir.path(), 3, FAMILY).await;
    write(dir.path(), 4, FAMILY).await;
    let mut listener = Listener::start(back(dir.path(), ""), 1, 1 << 20);
    listener.finish().await.expect("it ends");
    assert_eq!(heard(&listener.splits), expected(FAMILY));
}

/// What cannot be read → an error that names it, and no record that was not written.
#[tokio::test]
async fn damaged_archives() {
    let fails = async |folder: &Path, more: &str, words: &[&str]| {
        let mut listener = Listener::start(back(folder, more), 1, 1 << 20);
        let error = listener.finish().await.expect_err("it cannot be read");
        let report = error.report();
        assert!(words.iter().all(|word| report.contains(word)), "{words:?} in: {report}");
        error.kind()
    };
    let dir = tempdir().expect("a folder");
    fails(dir.path(), "", &["no archive of a source `in`"]).await;
    write(dir.path(), 3, FAMILY).await;
    fails(dir.path(), "source = \"other\"", &["`other`"]).await;
    let victim = files(dir.path()).remove(1);
    let name = victim.file_name().expect("a name").to_string_lossy().into_owned();
    let whole = fs::read(&victim).expect("a file");
    let mut zeros = whole.clone();
    zeros[4..200].fill(0);
    fs::write(&victim, &zeros).expect("written");
    assert_eq!(fails(dir.path(), "", &[&name, "row group 0"]).await, ErrorKind::Corrupt);
    fs::write(&victim, &whole[..whole.len() - 9]).expect("written");
    assert_eq!(fails(dir.path(), "", &[&name, "footer"]).await, ErrorKind::Corrupt);
    fs::write(&victim, &whole).expect("written");
    fs::write(victim.with_file_name("copy.parquet"), &whole).expect("written");
    assert_eq!(fails(dir.path(), "", &["copy.parquet", "same place"]).await, ErrorKind::Corrupt);
}

/// Numbers of records that begin anew in the middle of an archive → an error, and not half of the records.
#[tokio::test]
async fn numbers_that_begin_anew() {
    let dir = tempdir().expect("a folder");
    for run in [1, 2] {
        let sink = archive("file", &format!("path = \"{}\"", dir.path().display())).expect("valid settings");
        let opening = Opening { run, commits: true, ..Opening::new(Arc::new(StepLedger::new("archive"))) };
        let mut writer = sink.open(opening).await.expect("it opens");
        writer.write(crate::sink_suite::records(run as i64 * HOUR, ["x", "y"])).await.expect("a write");
        writer.prepare(Cut::End).await.expect("prepared");
        writer.commit().await.expect("committed");
    }
    let mut listener = Listener::start(back(dir.path(), ""), 1, 1 << 20);
    let error = listener.finish().await.expect_err("whose are they?").report();
    assert!(error.contains("began anew") && error.contains("split 0"), "{error}");
    let mut listener = Listener::start(back(dir.path(), "from = \"1970-01-01T02:00:00Z\""), 1, 1 << 20);
    listener.finish().await.expect("one of them");
    assert_eq!(listener.records, ["x", "y"]);
}
