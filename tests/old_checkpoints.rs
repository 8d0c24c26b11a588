//! Checkpoints that earlier versions have written. `fixtures/checkpoint-N` is a job that was killed in the middle, with
//! checkpoints of format N: what it read, what its sinks had written, and its job file.
//!
//! One of the current format is written by `WASMILL_WRITE_FIXTURE=1 cargo test --release -p wasmill-tests fixture`.

use crate::harness::host::Host;
use crate::harness::plugins::component;
use crate::harness::program::wasmill;
use crate::harness::root;
use crate::pipeline::{self, Input, PLUGINS, Pipeline, Turn};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use wasmill_stream::checkpoint::{FORMAT, Kind};

const RECORDS: usize = 1_200;

fn copy(from: &Path, to: &Path) {
    pipeline::files(from, &mut |path| {
        let copy = to.join(path.strip_prefix(from).expect("it lies there"));
        fs::create_dir_all(copy.parent().expect("it is below")).expect("a folder");
        fs::copy(path, copy).expect("it can be copied");
    });
}

/// Every format that was ever written → a run goes on from it and ends with every row once.
#[test]
fn restore() {
    let fixtures = root().join("tests/fixtures");
    let mut formats = 0;
    for entry in fs::read_dir(&fixtures).expect("there are fixtures") {
        let fixture = entry.expect("it can be read").path();
        let dir = tempfile::tempdir().expect("a folder");
        copy(&fixture, dir.path());
        for plugin in PLUGINS {
            symlink(component(plugin), dir.path().join(format!("{plugin}.wasm"))).expect("a link");
        }
        let input = Input::read(&fs::read_to_string(dir.path().join("in.jsonl")).expect("its input"));
        let pipeline = Pipeline::over(dir, input, pipeline::local());
        let before = pipeline.progress();
        assert!(before > 0 && before < pipeline.input().len() as u64, "{}: {before}", fixture.display());
        let mut command = wasmill(pipeline.path());
        // Not as many as wrote it: the keys of its states go to the workers anew.
        let run = command.args(["run", "job.toml", "--workers", "3"]);
        let ended = Host::start(run, &pipeline.path().join("run.log")).wait();
        let read = ended.read("rows");
        ended.well();
        assert_eq!(read, pipeline.input().len() as u64 - before, "{}", fixture.display());
        pipeline.check();
        assert_eq!(pipeline.manifests().newest().map(|manifest| manifest.kind), Some(Kind::End));
        formats += 1;
    }
    assert_eq!(formats, FORMAT as usize, "each format has a fixture");
}

/// With `WASMILL_WRITE_FIXTURE` set: writes the fixture of the current format.
#[test]
fn write_fixture() {
    if std::env::var_os("WASMILL_WRITE_FIXTURE").is_none() {
        return;
    }
    let pipeline = Pipeline::new(Input::new(RECORDS), pipeline::local()).relative();
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(800) });
    let mut progress = 0;
    while progress < RECORDS as u64 / 2 {
        progress = pipeline.wait_for_progress(&mut host, progress);
    }
    host.kill();
    let fixture = root().join(format!("tests/fixtures/checkpoint-{FORMAT}"));
    assert!(!fixture.exists(), "{} is there already", fixture.display());
    copy(pipeline.path(), &fixture);
    // The plugins stand beside the job file of whoever goes on. What was kept of them has the paths of the machine in it.
    fs::remove_dir_all(fixture.join("checkpoints/pipeline/plugin")).expect("the checkpoint keeps its plugins");
    for name in fs::read_dir(&fixture).expect("it is there").map(|entry| entry.expect("it can be read").path()) {
        if name.extension().is_some_and(|end| end == "wasm" || end == "log") {
            fs::remove_file(name).expect("it is there");
        }
    }
}
