//! `wasmill checkpoint`: looking at checkpoints, keeping one, going back to it.

use crate::harness::program::{output, unwrapped, wasmill};
use std::fs;
use std::path::{Path, PathBuf};

/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;

const JOB: &str = r#"
name = "kept"

[source.rows]
type = "replay"
path = "in.jsonl"
event_time = "/t: time(unix-ms)"

[sink.out]
input = "rows"
type = "file"
path = "out"

[checkpoint]
to = "saved"
interval = "50ms"
"#;

/// Runs the program in a folder with these words; returns its exit code, and everything that it said.
fn say(dir: &Path, words: &[&str]) -> (Option<i32>, String) {
    let (code, stdout, stderr) = output(wasmill(dir).args(words));
    (code, format!("{stdout}{}", unwrapped(&stderr)))
}

/// The rows of all parts, sorted.
fn rows(dir: &Path) -> Vec<String> {
    let parts = fs::read_dir(dir.join("out")).expect("the sink made it").map(|part| part.expect("a part").path());
    let mut rows: Vec<String> = parts
        .map(|part| fs::read_to_string(part).expect("text"))
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    rows.sort();
    rows
}

/// All manifests, the oldest first.
fn manifests(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("saved/manifest")).expect("there are some");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths
}

/// The one way through all commands: a finished job is listed, shown and whole; a savepoint stays, has its name for itself, and
/// is gone back to only with `--force`, since the rows behind it are out; a damaged newest checkpoint is found, named, and
/// stepped over.
#[test]
fn list_show_keep_and_go_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    fs::write(dir.join("job.toml"), JOB).expect("it can be written");
    let lines: Vec<String> = (0..500).map(|id: i64| format!("{{\"t\":{}}}", START + id * 1_000)).collect();
    fs::write(dir.join("in.jsonl"), lines.join("\n") + "\n").expect("it can be written");
    let checkpoint = |words: &[&str]| {
        let mut all = vec!["checkpoint", words[0], "job.toml"];
        all.extend(&words[1..]);
        say(dir, &all)
    };

    let (code, said) = checkpoint(&["show"]);
    assert!(code == Some(2) && said.contains("there is no checkpoint"), "{said}");
    let (code, said) = say(dir, &["run", "job.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(rows(dir), lines);

    let (code, said) = checkpoint(&["list"]);
    assert!(code == Some(0) && said.contains("end of the input"), "{said}");
    let (_, said) = checkpoint(&["show"]);
    assert!(said.contains("job kept") && said.contains("at 500,") && said.contains("ended"), "{said}");
    assert_eq!(checkpoint(&["savepoint", "first"]).0, Some(0));
    let (code, said) = checkpoint(&["savepoint", "../x"]);
    assert!(code == Some(2) && said.contains("a-z, 0-9"), "{said}");

    // Nothing is read again, and nothing is written.
    let (code, said) = say(dir, &["run", "job.toml"]);
    assert!(code == Some(0) && said.contains("going on from checkpoint"), "{said}");
    assert_eq!(rows(dir), lines);
    let (code, said) = checkpoint(&["savepoint", "first"]);
    assert!(code == Some(2) && said.contains("savepoint \"first\" already"), "{said}");
    let (code, said) = checkpoint(&["restore", "first"]);
    assert!(code == Some(1) && said.contains("sink out has committed") && said.contains("--force"), "{said}");

    assert_eq!(checkpoint(&["prune", "--keep", "1"]).0, Some(0));
    let (_, said) = checkpoint(&["list"]);
    assert_eq!(said.lines().count(), 3, "a heading, the newest, the savepoint: {said}");

    let newest = fs::read_dir(dir.join("saved/manifest")).expect("there is one").next().expect("there is one");
    let newest = newest.expect("it can be read").path();
    let mut bytes = fs::read(&newest).expect("it can be read");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    fs::write(&newest, bytes).expect("it can be written");
    let (code, said) = checkpoint(&["verify"]);
    assert!(code == Some(1) && said.contains("DAMAGED") && said.contains("whole"), "{said}");
    let (code, said) = say(dir, &["run", "job.toml"]);
    assert!(code == Some(1) && said.contains("is damaged"), "{said}");
    let (code, said) = checkpoint(&["restore", "first", "--force"]);
    assert!(code == Some(0) && said.contains("goes on from checkpoint"), "{said}");
    let (code, said) = say(dir, &["run", "job.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(rows(dir), lines);

    let (code, said) = checkpoint(&["show", "nothing"]);
    assert!(code == Some(2) && said.contains("there is no checkpoint or savepoint \"nothing\""), "{said}");
}

/// The first checkpoint of a job, taken before any sink had prepared anything → the way back to it needs `--force` all the
/// same, as rows came later; also if the later ones cannot be read, whatever the sink. Without later ones it does not.
#[test]
fn going_back_behind_rows_that_are_out() {
    for (sink, refusal) in [("file", "sink out has committed rows since checkpoint 1"), ("stdout", "")] {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path();
        let keeps_all = JOB.replace("interval", "retain = 100\ninterval");
        let job = match sink {
            "stdout" => keeps_all.replace("type = \"file\"\npath = \"out\"", "type = \"stdout\""),
            _ => keeps_all,
        };
        fs::write(dir.join("job.toml"), job).expect("it can be written");
        fs::write(dir.join("in.jsonl"), format!("{{\"t\":{START}}}\n")).expect("it can be written");
        assert_eq!(say(dir, &["run", "job.toml"]).0, Some(0));
        let restore = || say(dir, &["checkpoint", "restore", "job.toml", "1"]);
        let (code, said) = restore();
        if refusal.is_empty() {
            assert!(code == Some(0), "{said}");
            let newest = manifests(dir).pop().expect("there is one");
            fs::write(newest, "torn").expect("it can be written");
            let (code, said) = restore();
            assert!(code == Some(1) && said.contains("may have committed") && said.contains("is damaged"), "{said}");
        } else {
            assert!(code == Some(1) && said.contains(refusal) && said.contains("--force"), "{said}");
            let newest = manifests(dir).len().to_string();
            let (code, said) = say(dir, &["checkpoint", "restore", "job.toml", &newest]);
            assert!(code == Some(0), "nothing came after it: {said}");
        }
    }
}

/// A savepoint whose name looks like a number, as earlier versions allowed → it is shown and verified by that name, unless there
/// is such a checkpoint; new ones get no such name.
#[test]
fn names_that_look_like_numbers() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    fs::write(dir.join("job.toml"), JOB).expect("it can be written");
    fs::write(dir.join("in.jsonl"), format!("{{\"t\":{START}}}\n")).expect("it can be written");
    assert_eq!(say(dir, &["run", "job.toml"]).0, Some(0));
    let (code, said) = say(dir, &["checkpoint", "savepoint", "job.toml", "20260704"]);
    assert!(code == Some(2) && said.contains("taken for the number"), "{said}");
    assert_eq!(say(dir, &["checkpoint", "savepoint", "job.toml", "first"]).0, Some(0));
    fs::copy(dir.join("saved/savepoint/first"), dir.join("saved/savepoint/20260704")).expect("it can be written");
    let (code, said) = say(dir, &["checkpoint", "show", "job.toml", "20260704"]);
    assert!(code == Some(0) && said.contains("job kept"), "{said}");
    // One that has the number of a checkpoint, and is damaged.
    let newest = manifests(dir).pop().expect("there is one");
    let number = newest.file_name().expect("a name").to_string_lossy().trim_start_matches('0').to_owned();
    fs::write(dir.join("saved/savepoint").join(number), "torn").expect("it can be written");
    let (code, said) = say(dir, &["checkpoint", "verify", "job.toml"]);
    assert!(code == Some(1) && said.matches("DAMAGED").count() == 1, "{said}");
}
