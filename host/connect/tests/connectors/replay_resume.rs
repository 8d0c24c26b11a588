//! The `replay` source going on from a checkpoint.

use crate::harness::{Heard, Listener, source};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::tempdir;
use wasmill_stream::SplitId;
use wasmill_stream::checkpoint::SplitMark;
use wasmill_stream::source::{Resume, Source};

fn replay(settings: &str) -> Box<dyn Source> {
    source("replay", settings).unwrap_or_else(|problems| panic!("valid settings: {problems:?}"))
}

fn go_on(settings: &str, resume: Option<Resume>) -> Listener {
    Listener::go_on(replay(settings), 2, 16 << 20, resume)
}

/// `{"k":"0","t":0}` and so on, a record per second of event time.
fn lines(range: std::ops::Range<u64>) -> String {
    range.map(|n| format!("{{\"k\":\"{}\",\"t\":{}}}\n", n % 5, n * 1000)).collect()
}

/// The records of each split, to the end.
async fn play(settings: &str, resume: Option<Resume>) -> (BTreeMap<SplitId, Vec<String>>, Resume) {
    let mut listener = go_on(settings, resume);
    listener.finish().await.expect("the source ends");
    (records(&listener), listener.checkpoint())
}

fn records(listener: &Listener) -> BTreeMap<SplitId, Vec<String>> {
    let texts = |heard: &Heard| heard.values().into_iter().map(str::to_owned).collect();
    listener.splits.iter().map(|(split, heard)| (split.clone(), texts(heard))).collect()
}

/// Why the source does not go on.
async fn refusal(settings: &str, resume: &Resume) -> String {
    let mut listener = go_on(settings, Some(resume.clone()));
    let error = listener.finish().await.expect_err("it cannot go on");
    assert!(listener.records.is_empty(), "nothing is read");
    error.report()
}

/// A checkpoint after the first records. No number of messages would do: a split may end before another one is heard, and
/// one that has ended takes no more.
async fn part(settings: &str) -> Resume {
    let mut listener = go_on(settings, None);
    while listener.records.is_empty() && listener.hear_next(0).await {}
    let checkpoint = listener.checkpoint();
    listener.kill();
    checkpoint
}

/// Every way of dealing, stopped again and again between any two messages → each split gets what it gets in one go.
#[tokio::test]
async fn in_pieces_as_in_one_go() {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("a.jsonl"), lines(0..700)).expect("a file");
    fs::write(folder.path().join("b.jsonl"), format!("\n\n{}", lines(700..4000))).expect("a file");
    let files = format!("path = {:?}\ntime = \"/t: time(unix-ms)\"", folder.path());
    let mut random = StdRng::seed_from_u64(1);
    for settings in [
        files.clone(),
        format!("{files}\nsplits = 3"),
        format!("{files}\nsplits = 4\npartition_by = \"/k\"\nmarkers = true\nmarker_interval = \"50s\""),
        format!("{files}\nmarkers = true\nlimit = 3000"),
        format!("{files}\nsplits = 2\nspeedup = 1000000"),
        "generate = \"taxi\"\ntrips = 3000\nsplits = 3\nmarkers = true".to_owned(),
    ] {
        let (expected, _) = play(&settings, None).await;
        let mut got: BTreeMap<SplitId, Vec<String>> = BTreeMap::new();
        let mut checkpoint: Option<Resume> = None;
        for last in [false, false, false, true] {
            let mut listener = go_on(&settings, checkpoint);
            if last {
                listener.finish().await.expect("the source ends");
            } else {
                for _ in 0..random.random_range(1..12) {
                    listener.hear_next(random.random_range(0..2)).await;
                }
            }
            for (split, records) in records(&listener) {
                got.entry(split).or_default().extend(records);
            }
            checkpoint = Some(listener.checkpoint());
            listener.kill();
        }
        assert!(got == expected, "{settings}");
    }
}

/// The first thing that a job hears of a replay is in no checkpoint without the note. A checkpoint of an earlier version, whose
/// job was killed before there was a note → the replay begins, also with other settings.
#[tokio::test]
async fn a_crash_before_the_first_record() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("in.jsonl");
    fs::write(&path, lines(0..100)).expect("a file");
    let settings = format!("path = {path:?}\nsplits = 2");
    let mut listener = go_on(&settings, None);
    assert!(listener.hear_next(0).await);
    assert!(!listener.checkpoint().note.is_null(), "{:?}", listener.checkpoint());
    listener.kill();
    let splits = ["0", "1", "2"].map(|part| (part.to_owned(), SplitMark::default()));
    let without_note = Resume { splits: splits.into(), ..Resume::default() };
    let (records, _) = play(&settings, Some(without_note)).await;
    assert_eq!(records.values().map(Vec::len).sum::<usize>(), 100);
}

/// Event time that has passed is not waited for again: an hour of it, in step with the wall clock, goes on at its end.
#[tokio::test]
async fn pace_goes_on_where_it_was() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("in.jsonl");
    fs::write(&path, lines(0..3600)).expect("a file");
    let settings = |more: &str| format!("path = {path:?}\ntime = \"/t: time(unix-ms)\"\nspeedup = {more}");
    let (_, mut checkpoint) = play(&settings("\"max\""), None).await;
    let mark = checkpoint.splits.get_mut("0").expect("one split");
    (mark.position, mark.done) = (Some(wasmill_stream::Position::Number(3597)), false);
    // The clock of a replay is what the last three records have reached: the next is due at once, the others soon.
    let (records, _) = play(&settings("2"), Some(checkpoint)).await;
    let last: Vec<_> = lines(3597..3600).lines().map(str::to_owned).collect();
    assert_eq!(records.into_values().next(), Some(last));
}

/// Files that were added behind the last, and a last one that has become longer, go on; anything else is refused by name.
#[tokio::test]
async fn the_same_input_or_more() {
    let folder = tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("a.jsonl"), lines(0..10)).expect("a file");
    fs::write(file("b.jsonl"), lines(10..20)).expect("a file");
    let settings = format!("path = {:?}\nsplits = 2", folder.path());
    let checkpoint = part(&settings).await;
    let had: u64 = checkpoint
        .splits
        .values()
        .map(|mark| match mark.position {
            Some(wasmill_stream::Position::Number(number)) => number,
            _ => 0,
        })
        .sum();
    assert!(had > 0 && had < 20, "{checkpoint:?}");

    fs::write(file("b.jsonl"), lines(10..25)).expect("a file");
    fs::write(file("c.jsonl"), lines(25..30)).expect("a file");
    let (records, _) = play(&settings, Some(checkpoint.clone())).await;
    assert_eq!(records.values().map(Vec::len).sum::<usize>() as u64, 30 - had);

    fs::write(file("a.jsonl"), lines(0..10).replace("\"k\":\"1\"", "\"k\":\"9\"")).expect("a file");
    let error = refusal(&settings, &checkpoint).await;
    assert!(error.contains("a.jsonl` has changed") && error.contains("put `a.jsonl` back"), "{error}");
    fs::remove_file(file("a.jsonl")).expect("it is there");
    let error = refusal(&settings, &checkpoint).await;
    assert!(error.contains("file 1 was `a.jsonl`, now it is"), "{error}");
}

/// An input that ends before what was read of it → an error, not an end: its windows would fire as if nothing were missing.
#[tokio::test]
async fn a_shorter_input_is_no_end() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("in.jsonl");
    fs::write(&path, lines(0..100)).expect("a file");
    let settings = format!("path = {path:?}");
    let checkpoint = part(&settings).await;
    let error = refusal(&format!("{settings}\nlimit = 10"), &checkpoint).await;
    assert!(error.contains("its record 100") && error.contains("ends at its record 10"), "{error}");
}

/// A setting that moves positions is refused with what it was and what it is.
#[tokio::test]
async fn settings_that_move_positions() {
    let folder: &Path = &tempdir().expect("a folder").keep();
    fs::write(folder.join("in.jsonl"), lines(0..100)).expect("a file");
    let files = format!("path = {folder:?}\nsplits = 2");
    let checkpoint = part(&files).await;
    for (more, words) in [
        (format!("path = {folder:?}\nsplits = 3"), ["`splits` was 2", "is 3 now"]),
        (format!("{files}\npartition_by = \"/k\""), ["`partition_by` was absent", "is /k: string now"]),
        (format!("{files}\nmarkers = true\ntime = \"/t: time(unix-ms)\""), ["`markers` was false", "is true now"]),
        ("generate = \"taxi\"\nsplits = 2".to_owned(), ["`generate` was files", "made-up records"]),
    ] {
        let error = refusal(&more, &checkpoint).await;
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    }
    let checkpoint = part("generate = \"taxi\"").await;
    let error = refusal("generate = \"taxi\"\nseed = 2", &checkpoint).await;
    assert!(error.contains("`seed` was 1 when the checkpoint was made and is 2 now"), "{error}");
    let foreign = Resume { note: serde_json::json!({"stream": 1}), ..checkpoint };
    assert!(refusal("generate = \"taxi\"", &foreign).await.contains("not that of a replay"));
    fs::remove_dir_all(folder).expect("it is there");
}
