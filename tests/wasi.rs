//! A component with a whole libc, which imports WASI: refused without the grant; with it, nothing of the machine is there.

use crate::harness::data::json_lines;
use crate::harness::guests;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::root;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROWS: usize = 500;

/// Writes the plugin and a job of it, with these settings in its step. `None` if it cannot be built here.
fn written(dir: &Path, settings: &str) -> Option<()> {
    let component = dir.join("nosy.wasm");
    let source = root().join("plugins/hostile/wasi/nosy.c");
    guests::of_c("plugins/sdk/c/build.sh", &[Path::new("transform"), &source, &component], &[&component])?;
    let rows: String = (1..=ROWS).map(|id| json!({"t": id * 1_000, "id": id}).to_string() + "\n").collect();
    fs::write(dir.join("in.jsonl"), rows).expect("it can be written");
    let job = format!(
        "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
         [step.nosy]\ninput = \"rows\"\nplugin = \"nosy.wasm\"\n{settings}\n\
         [sink.found]\ninput = \"nosy\"\ntype = \"file\"\npath = \"found.jsonl\"\noverwrite = true\n"
    );
    fs::write(dir.join("job.toml"), job).expect("it can be written");
    Some(())
}

/// The interfaces of WASI that a component imports.
fn imports(component: &Path) -> BTreeSet<String> {
    let bytes = fs::read(component).expect("it was written");
    match wit_component::decode(&bytes).expect("a component") {
        wit_component::DecodedWasm::Component(resolve, world) => {
            let names = resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key));
            names.filter(|name| name.starts_with("wasi:")).collect()
        }
        wit_component::DecodedWasm::WitPackage(..) => panic!("a package instead of a component"),
    }
}

/// What a command says that is to end with this code.
fn said(command: &mut Command, expected: i32) -> String {
    let (code, stdout, stderr) = output(command);
    assert_eq!(code, Some(expected), "{stdout}{stderr}");
    unwrapped(&(stdout + &stderr))
}

/// Without the grant → `check`, `run` and `test` refuse it, list every interface that it wants, and name the grant; `inspect`
/// shows the same list.
#[test]
fn without_the_grant() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(()) = written(dir.path(), "") else { return };
    fs::create_dir(dir.path().join("cases")).expect("it can be made");
    fs::write(dir.path().join("cases/one.jsonl"), "{\"time\": 0, \"value\": {}}\n").expect("it can be written");
    let wanted = imports(&dir.path().join("nosy.wasm"));
    assert!(wanted.iter().any(|name| name.starts_with("wasi:filesystem/types@0.2.")), "{wanted:?}");
    for arguments in [&["check", "job.toml"][..], &["run", "job.toml"], &["test", "nosy.wasm"]] {
        let text = said(wasmill(dir.path()).args(arguments), 2);
        for name in &wanted {
            let whole = text.split_whitespace().any(|word| word.trim_end_matches(',') == name);
            assert!(whole, "{arguments:?}: {name} is not in: {text}");
        }
        assert!(text.contains("grant it with wasi = \"inert\""), "{arguments:?}: {text}");
    }
    let text = said(wasmill(dir.path()).args(["inspect", "nosy.wasm", "--json"]), 0);
    let about: Value = serde_json::from_str(&text).expect("JSON");
    assert!(wanted.iter().all(|name| text.contains(name.as_str())) && about["grants"] == json!(["wasi"]), "{text}");
}

/// With the grant → every row: no variable, no file or folder, the latest event time among the rows of its call, a wait of
/// a year that is over at once, and random numbers that are all different. A second run, in another environment → the same,
/// but for the time, which depends on where batches are cut.
#[test]
fn with_the_grant() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(()) = written(dir.path(), "wasi = \"inert\"") else { return };
    let run = |secret: &str| {
        let mut command = wasmill(dir.path());
        let text = said(
            command.args(["run", "job.toml", "--workers", "1"]).env("SECRET", secret).env("WASMILL_LOG", "info"),
            0,
        );
        assert!(text.contains("nosy looked at"), "what it prints is its log: {text}");
        json_lines(&fs::read_to_string(dir.path().join("found.jsonl")).expect("the sink wrote it"))
    };
    let mut first = run("one");
    assert_eq!(first.len(), ROWS);
    let times = times_of(&mut first);
    let mut random = BTreeSet::new();
    for row in &first {
        let mut row = row.clone();
        let number = row["random"].as_str().expect("text").to_owned();
        assert!(random.insert(number), "a random number twice: {row}");
        let waited = row["waited_ns"].as_i64().expect("a number");
        assert!((1..1_000_000_000).contains(&waited), "the clock goes on, and not by a year: {row}");
        for name in ["random", "waited_ns"] {
            row.as_object_mut().expect("an object").remove(name);
        }
        assert_eq!(row, json!({"environment": 0, "files": 0}));
    }
    // Rows come in the order of their times, so that of a call is the time of its last row.
    for (at, time) in times.iter().enumerate() {
        let last = times.iter().rposition(|other| other == time).expect("it is there") + 1;
        assert_eq!(*time, last as i64 * 1_000_000_000, "row {at} of calls with {times:?}");
    }
    let mut second = run("another");
    times_of(&mut second);
    assert_eq!(second, first);
}

/// Takes the time of day, in nanoseconds, out of each row.
fn times_of(rows: &mut [Value]) -> Vec<i64> {
    let time = |row: &mut Value| row.as_object_mut()?.remove("time")?.as_i64();
    rows.iter_mut().map(|row| time(row).expect("a time")).collect()
}

/// `wasmill test --wasi inert` → its cases are played, and what comes out is the same each time.
#[test]
fn cases() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(()) = written(dir.path(), "") else { return };
    fs::create_dir(dir.path().join("cases")).expect("it can be made");
    let case = dir.path().join("cases/one.jsonl");
    fs::write(&case, "{\"time\": 0, \"value\": {}}\n").expect("it can be written");
    let test = ["test", "nosy.wasm", "--wasi", "inert"];
    said(wasmill(dir.path()).args(test), 1);
    said(wasmill(dir.path()).args(test).arg("--update"), 0);
    let written = fs::read_to_string(&case).expect("it is there");
    let out: Vec<Value> = json_lines(&written).into_iter().filter(|line| line.get("out").is_some()).collect();
    assert_eq!((out.len(), &out[0]["out"]["value"]["environment"]), (1, &json!(0)), "{written}");
    said(wasmill(dir.path()).args(test), 0);
}
