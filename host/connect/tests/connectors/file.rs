//! The `file` sink: whole files under their names, unfinished ones never; old files stay.

use crate::harness::sink;
use crate::sink_suite::{self, batch, open, rows, write_all};
use flate2::read::MultiGzDecoder;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use tempfile::tempdir;
use wasmill_stream::sink::Sink;

/// A sink to this path.
pub fn to(path: &Path, more: &str) -> Box<dyn Sink> {
    sink("file", &format!("path = {path:?}\n{more}")).expect("valid settings")
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The lines of a file, unpacked.
pub fn lines(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let mut file = File::open(path).expect("a file");
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => MultiGzDecoder::new(file).read_to_string(&mut text).expect("whole gzip data"),
        Some("zst") => zstd::Decoder::new(file).expect("zstd").read_to_string(&mut text).expect("whole zstd data"),
        _ => file.read_to_string(&mut text).expect("text"),
    };
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has an end");
    text.lines().map(str::to_owned).collect()
}

/// The lines of all files of a folder.
pub fn all_lines(folder: &Path) -> Vec<String> {
    names(folder).iter().flat_map(|name| lines(&folder.join(name))).collect()
}

/// All rows are in the files at the end, plain, compressed and in one file.
#[tokio::test]
async fn contents() {
    let folder = tempdir().expect("a folder");
    for (name, settings) in [("plain", ""), ("packed", "compression = \"gzip\""), ("zstd", "compression = \"zstd\"")] {
        let path = folder.path().join("new").join(name);
        write_all(to(&path, settings), &rows(10), 4).await;
        assert_eq!(all_lines(&path), rows(10));
    }
    assert_eq!(names(&folder.path().join("new/plain")), ["part-000001.jsonl"]);
    assert_eq!(names(&folder.path().join("new/packed")), ["part-000001.jsonl.gz"]);
    assert_eq!(names(&folder.path().join("new/zstd")), ["part-000001.jsonl.zst"]);
    for name in ["one.jsonl", "one.jsonl.gz", "one.jsonl.zst"] {
        let path = folder.path().join("single").join(name);
        write_all(to(&path, ""), &rows(10), 4).await;
        assert_eq!(lines(&path), rows(10));
    }
}

/// Parts of the given size, numbered in order, hold all rows in order; a second run goes on with the next number.
#[tokio::test]
async fn parts_roll_by_size_and_stay() {
    let folder = tempdir().expect("a folder");
    let expected = rows(100_000);
    write_all(to(folder.path(), "roll_bytes = \"256 KiB\""), &expected, 1000).await;
    let first = names(folder.path());
    assert!(first.len() > 3, "{first:?}");
    assert_eq!(first.first().map(String::as_str), Some("part-000001.jsonl"));
    assert_eq!(all_lines(folder.path()), expected);
    fs::write(folder.path().join("part-000050.jsonl.part"), "left by a crash").expect("a file");
    write_all(to(folder.path(), ""), &rows(1), 1).await;
    assert_eq!(lines(&folder.path().join("part-000051.jsonl")), rows(1));
    assert_eq!(lines(&folder.path().join("part-000001.jsonl"))[0], expected[0]);
}

/// A file has its name only once it is complete; flushed rows are in the unfinished one, compressed or not.
#[tokio::test]
async fn unfinished_files_have_another_name() {
    for (settings, name) in [("", "part-000001.jsonl"), ("compression = \"gzip\"", "part-000001.jsonl.gz")] {
        let folder = tempdir().expect("a folder");
        let (mut writer, _) = open(to(folder.path(), settings)).await;
        writer.write(batch(&rows(2))).await.expect("a write");
        writer.flush().await.expect("a flush");
        let unfinished = format!("{name}.part");
        assert_eq!(names(folder.path()), [unfinished.as_str()]);
        let mut bytes = fs::read(folder.path().join(unfinished)).expect("a file");
        if name.ends_with(".gz") {
            let (mut packed, mut text) = (MultiGzDecoder::new(&bytes[..]), Vec::new());
            packed.read_to_end(&mut text).expect_err("gzip data without an end");
            bytes = text;
        }
        assert_eq!(String::from_utf8_lossy(&bytes).lines().collect::<Vec<_>>(), rows(2));
        writer.close().await.expect("the end");
        assert_eq!(names(folder.path()), [name]);
    }
}

/// A part is completed when its time has come, although no more rows do; afterwards a new one is begun.
#[tokio::test]
async fn parts_roll_by_time() {
    let folder = tempdir().expect("a folder");
    let (mut writer, _) = open(to(folder.path(), "roll_interval = \"1ms\"")).await;
    writer.write(batch(&rows(1))).await.expect("a write");
    writer.flush().await.expect("a flush");
    while names(folder.path()) != ["part-000001.jsonl"] {
        tokio::task::yield_now().await;
    }
    writer.write(batch(&rows(2))).await.expect("a write");
    writer.close().await.expect("the end");
    assert_eq!(lines(&folder.path().join("part-000002.jsonl")), rows(2));
}

/// Two sinks in one folder, one of which has completed several parts before the other needs its second → each part has a
/// name of its own, and no row is missing.
#[tokio::test]
async fn two_sinks_share_a_folder() {
    let folder = tempdir().expect("a folder");
    let (mut fast, _) = open(to(folder.path(), "roll_bytes = \"1 B\"")).await;
    let (mut slow, _) = open(to(folder.path(), "roll_bytes = \"1 B\"")).await;
    let all = rows(8);
    for (at, row) in all.iter().enumerate() {
        let writer = if at < 5 { &mut fast } else { &mut slow };
        writer.write(batch(std::slice::from_ref(row))).await.expect("a write");
        writer.flush().await.expect("a flush");
    }
    fast.close().await.expect("the end");
    slow.close().await.expect("the end");
    let mut written = all_lines(folder.path());
    written.sort();
    assert_eq!(written, all);
}

/// Somebody else takes the name of a part, or of the one file, while it is written → the sink says so, and both files stay.
#[tokio::test]
async fn a_name_that_is_taken_meanwhile() {
    let folder = tempdir().expect("a folder");
    let one = folder.path().join("one.jsonl");
    for (sink, path) in [(to(folder.path(), ""), folder.path().join("part-000001.jsonl")), (to(&one, ""), one)] {
        let (mut writer, _) = open(sink).await;
        writer.write(batch(&rows(1))).await.expect("a write");
        fs::write(&path, "mine\n").expect("a file");
        let error = writer.close().await.expect_err("the name is taken");
        assert!(error.report().contains(&format!("`{}` exists by now", path.display())), "{}", error.report());
        assert_eq!(lines(&path), ["mine"]);
        assert_eq!(lines(&path.with_extension("jsonl.part")), rows(1));
    }
}

/// Without rows a folder stays empty, and one file is an empty file.
#[tokio::test]
async fn no_rows() {
    let folder = tempdir().expect("a folder");
    write_all(to(&folder.path().join("parts"), ""), &[], 1).await;
    assert!(names(&folder.path().join("parts")).is_empty());
    write_all(to(&folder.path().join("one.jsonl"), ""), &[], 1).await;
    assert!(lines(&folder.path().join("one.jsonl")).is_empty());
}

/// One file is not overwritten unless the job says so.
#[tokio::test]
async fn overwriting_is_asked_for() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("one.jsonl");
    write_all(to(&path, ""), &rows(3), 1).await;
    sink_suite::cannot_open(to(&path, ""), &["one.jsonl", "overwrite = true"]).await;
    write_all(to(&path, "overwrite = true"), &rows(1), 1).await;
    assert_eq!(lines(&path), rows(1));
}

/// A path that cannot be written is found when the sink is opened.
#[tokio::test]
async fn unwritable_path() {
    let folder = tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    sink_suite::cannot_open(to(&file.join("parts"), ""), &["create the folder", "file/parts"]).await;
    sink_suite::cannot_open(to(&file.join("one.jsonl"), ""), &["create the folder", "/file`"]).await;
}

/// Settings that contradict each other are all found.
#[test]
fn contradictions() {
    let problems = |settings| match sink("file", settings) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>(),
    };
    let found =
        problems("path = \"x.jsonl\"\nroll_bytes = \"1 MiB\"\nroll_interval = \"1s\"\ncompression = \"gzip\"\nx = 1");
    assert_eq!(found.len(), 4, "{found:?}");
    let found = problems("path = \"x\"\noverwrite = true\ncompression = \"zip\"\nroll_interval = \"0s\"");
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(problems("").len(), 1);
}
