use super::*;
use crate::file::roller::Rolling;
use crate::format::packing::Packing;
use crate::partitions::Partitions;
use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

thread_local! {
    /// What the clock of the tests shows.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn clock() -> Instant {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BEGUN + PASSED.get()
}

fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

fn open(path: &Path, bytes: u64, run: u64, prepared: &Value) -> Staging {
    let rolling = Rolling { bytes, interval: Duration::from_secs(60) };
    let target = Target::Folder {
        path: path.to_path_buf(),
        format: Format::Json(Packing::None),
        rolling,
        partitions: Partitions::default(),
        lists: false,
    };
    Staging::open(target, clock, Names::new("job", "sink", run), (prepared, false), &[]).expect("it opens")
}

/// A checkpoint; how many parts are complete after it.
fn checkpoint(staging: &mut Staging) -> (Value, usize) {
    let prepared = staging.prepare(Cut::Running).expect("a checkpoint");
    staging.commit().expect("a commit");
    let names = fs::read_dir(&staging.folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    (prepared, names.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).count())
}

/// Lines for which no part can be begun are kept by the caller, and are written when one can.
#[test]
fn lines_wait_for_a_part() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("parts");
    let mut staging = open(&path, 1, 1, &Value::Null);
    let mut lines = b"1\n".to_vec();
    staging.write(&mut lines).expect("a part that is full then");
    fs::rename(&path, root.path().join("elsewhere")).expect("the folder is gone");
    lines = b"2\n".to_vec();
    staging.write(&mut lines).expect_err("there is no folder");
    assert_eq!(lines, b"2\n");
    fs::rename(root.path().join("elsewhere"), &path).expect("the folder is back");
    staging.write(&mut lines).expect("a part");
    assert!(lines.is_empty());
    staging.prepare(Cut::Stop).expect("a checkpoint");
    staging.commit().expect("a commit");
    assert_eq!(fs::read_dir(&path).expect("the folder").count(), 2);
}

/// Rows now and then, checkpoints, and a clock that goes on → a part is complete at the first checkpoint when its first row
/// is as old as `roll_interval`, and not before; one without rows never is, and one that another run goes on with counts
/// from there.
#[test]
fn parts_roll_by_time() {
    let root = tempfile::tempdir().expect("a folder");
    let mut staging = open(root.path(), 1 << 20, 1, &Value::Null);
    pass(Duration::from_secs(3_600));
    assert_eq!(checkpoint(&mut staging).1, 0, "there are no rows");
    staging.write(&mut b"1\n".to_vec()).expect("a write");
    pass(Duration::from_secs(59));
    staging.write(&mut b"2\n".to_vec()).expect("a write");
    assert_eq!(checkpoint(&mut staging).1, 0);
    pass(Duration::from_secs(1));
    assert_eq!(checkpoint(&mut staging).1, 1, "without another row");

    staging.write(&mut b"3\n".to_vec()).expect("a write");
    pass(Duration::from_secs(40));
    let (prepared, _) = checkpoint(&mut staging);
    drop(staging);
    let mut staging = open(root.path(), 1 << 20, 2, &prepared);
    pass(Duration::from_secs(59));
    assert_eq!(checkpoint(&mut staging).1, 1);
    pass(Duration::from_secs(1));
    // A write sees it too, but the name comes with the commit.
    staging.write(&mut b"4\n".to_vec()).expect("a write");
    assert!(staging.open.is_none());
    assert_eq!(checkpoint(&mut staging).1, 2);
}

/// Opens anew at an older checkpoint, over later ones.
fn go_back(path: &Path, run: u64, point: &Value, later: &[Value]) -> Staging {
    let rolling = Rolling { bytes: 1 << 20, interval: Duration::from_secs(60) };
    let target = Target::Folder {
        path: path.to_path_buf(),
        format: Format::Json(Packing::None),
        rolling,
        partitions: Partitions::default(),
        lists: false,
    };
    Staging::open(target, clock, Names::new("job", "sink", run), (point, true), later).expect("it opens")
}

/// The lines of all complete parts, and how many parts there are.
fn complete(staging: &mut Staging) -> (String, usize) {
    staging.prepare(Cut::Stop).expect("a checkpoint");
    staging.commit().expect("a commit");
    let paths = fs::read_dir(&staging.folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    paths.sort();
    (paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect(), paths.len())
}

/// A part that was open at a checkpoint is complete two checkpoints later, and another one has followed it; with and without
/// restarts in between → whoever goes back to the first has its lines alone, goes on in the same part, and does so again after
/// a crash on the way.
#[test]
fn what_came_later_is_taken_back() {
    for restarts in [false, true] {
        let root = tempfile::tempdir().expect("a folder");
        let mut staging = open(root.path(), 1 << 20, 1, &Value::Null);
        staging.write(&mut b"1\n".to_vec()).expect("a write");
        let (point, _) = checkpoint(&mut staging);
        let mut later = Vec::new();
        for (run, line) in (2..).zip(["2\n", "3\n", "4\n"]) {
            staging.write(&mut line.as_bytes().to_vec()).expect("a write");
            pass(Duration::from_secs(if line == "3\n" { 60 } else { 0 }));
            later.push(checkpoint(&mut staging).0);
            if restarts {
                drop(staging);
                staging = open(root.path(), 1 << 20, run, &later[later.len() - 1]);
            }
        }
        staging.write(&mut b"never prepared\n".to_vec()).expect("a write");
        drop(staging);
        drop(go_back(root.path(), 10, &point, &later));
        let mut staging = go_back(root.path(), 11, &point, &later);
        staging.write(&mut b"good\n".to_vec()).expect("a write");
        assert_eq!(complete(&mut staging), ("1\ngood\n".to_owned(), 1), "restarts: {restarts}");
        assert_eq!(fs::read_dir(root.path()).expect("the folder").count(), 1);
    }
}

/// A reader has taken the part away in which the lines of the checkpoint are → they stay with it, and what follows goes to a new
/// part.
#[test]
fn what_readers_have_stays_with_them() {
    let root = tempfile::tempdir().expect("a folder");
    let mut staging = open(root.path(), 1 << 20, 1, &Value::Null);
    staging.write(&mut b"1\n".to_vec()).expect("a write");
    let (point, _) = checkpoint(&mut staging);
    staging.write(&mut b"2\n".to_vec()).expect("a write");
    pass(Duration::from_secs(60));
    let (later, parts) = checkpoint(&mut staging);
    assert_eq!(parts, 1);
    drop(staging);
    for entry in fs::read_dir(root.path()).expect("the folder") {
        fs::remove_file(entry.expect("an entry").path()).expect("it is there");
    }
    let mut staging = go_back(root.path(), 2, &point, &[later]);
    staging.write(&mut b"good\n".to_vec()).expect("a write");
    assert_eq!(complete(&mut staging), ("good\n".to_owned(), 1));
}
