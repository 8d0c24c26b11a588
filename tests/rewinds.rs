//! `wasmill rollback --rewind`: a version that was a mistake, and a job that goes back to before it, with the real program and
//! every kind of sink.

use crate::harness::bucket::Bucket;
use crate::harness::builds::patched;
use crate::harness::chance::{Chance, count};
use crate::harness::host::Host;
use crate::harness::live::{course, history, listens, obeyed, refused};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::server::MOTO;
use crate::harness::stream::Stream;
use crate::pipeline::{self, Input, Pipeline, Turn};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records per second, and how many there are.
const RATE: usize = 3_000;
const RECORDS: usize = 90_000;

/// What is wrong with each result of the bad version.
const MISTAKE: &str = "avarage";

/// The job, with sinks of every kind, and a bad version of its step `averages` in its folder.
fn job(records: usize, name: &str) -> Pipeline {
    let search = Arc::new(Search::start());
    let bucket = MOTO.url().map(|url| Bucket::create(url, name));
    let pipeline = Pipeline::new(Input::new(records), pipeline::all(&search, bucket));
    let good = fs::read(component("cell-average")).expect("it was built");
    fs::write(pipeline.path().join("bad.wasm"), patched(&good, "average", MISTAKE)).expect("it can be written");
    pipeline
}

/// Puts a version into a step for good.
fn swap(pipeline: &Pipeline, step: &str, file: &str) -> String {
    obeyed(pipeline.path(), &["swap", "job.toml", step, file, "--probation", "0s"])
}

/// How many mistakes each kind of sink shows.
fn mistakes(pipeline: &Pipeline) -> Vec<(String, usize)> {
    let wrong = |lines: &[String]| lines.iter().filter(|line| line.contains(MISTAKE)).count();
    pipeline.lines(pipeline::Stream::Averages, &wrong)
}

/// Waits until every sink that shows rows while the job runs shows mistakes.
fn wait_for_mistakes(pipeline: &Pipeline, host: &mut Host) {
    until("mistakes in every sink", || {
        assert!(host.status().is_none(), "it ended: {}", host.text());
        let found = mistakes(pipeline);
        // A single file is there at the end.
        let is_file = |name: &str| name == "file";
        found.iter().all(|(name, wrong)| *wrong > 0 || is_file(name)).then_some(())
    });
}

/// A version that refuses every record, and one whose results are wrong, each in a running job until files, objects, documents
/// and dead letters have what it made of the rows → after `rollback --rewind` nothing of that is left anywhere, and in the end
/// every sink has the answer of the good versions alone.
#[test]
fn as_if_it_had_never_run() {
    let pipeline = job(RECORDS, "rewinds");
    let dir = pipeline.path();
    let cells = fs::read(component("cell-key")).expect("it was built");
    fs::write(dir.join("blind.wasm"), patched(&cells, "pickup_longitude", "pickup_longitudo")).expect("a file");
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(RATE) });
    let before = pipeline.wait_for_progress(&mut host, 0);
    listens(dir, "cells");
    let said = swap(&pipeline, "cells", "blind.wasm");
    assert!(said.contains("it can be undone with `wasmill rollback --rewind` for 10 min"), "{said}");
    let before = pipeline.wait_for_progress(&mut host, before + RATE as u64 / 2);
    let point = pipeline.manifests().newest().and_then(|newest| newest.points.last().cloned()).expect("a point").number;
    let said = obeyed(dir, &["rollback", "job.toml", "cells", "--rewind", "--why", "it is blind"]);
    let back = format!("step cells: back to checkpoint {point} of");
    assert!(said.contains(&back) && said.contains("nothing was read for"), "{back}: {said}");
    report(said.lines().last().unwrap_or_default());

    pipeline.wait_for_progress(&mut host, before);
    listens(dir, "averages");
    swap(&pipeline, "averages", "bad.wasm");
    wait_for_mistakes(&pipeline, &mut host);
    let shown = mistakes(&pipeline);
    let said = obeyed(dir, &["rollback", "job.toml", "averages", "--rewind"]);
    assert!(mistakes(&pipeline).iter().all(|(_, wrong)| *wrong == 0), "{said}");
    report(&format!("{shown:?} wrong rows were taken back; {}", said.lines().last().unwrap_or_default()));
    assert_eq!(course(&history(dir, "averages")), ["swapped", "rewound"]);
    // There is nothing left to rewind.
    let reason = refused(dir, &["rollback", "job.toml", "averages", "--rewind"]);
    assert!(unwrapped(&reason).contains("no version has come into step averages that could be rewound"), "{reason}");
    pipeline.rest(host);
    pipeline.check();
    assert_eq!(pipeline.leftovers(), Vec::<String>::new());
    assert!(!dir.join("checkpoints/pipeline/undo").exists() || undo(dir).is_empty(), "{:?}", undo(dir));
}

/// The entries of undo logs.
fn undo(dir: &Path) -> Vec<String> {
    let mut entries = Vec::new();
    pipeline::files(&dir.join("checkpoints/pipeline/undo"), &mut |path| entries.push(path.display().to_string()));
    entries
}

/// `kill -9` at random moments while a job goes back, again and again → when it runs again it has gone back or goes back when
/// it is told once more, and in the end every sink has the answer of the good version alone.
#[test]
fn killed_on_the_way_back() {
    let (rounds, mut chance) = (count("WASMILL_REWINDS", 3), Chance::announced());
    let pipeline = job((rounds + 2) * RECORDS / 4, "rewinds-killed");
    let dir = pipeline.path();
    let turn = Turn { workers: 2, rate: Some(RATE) };
    let mut host = pipeline.start(turn);
    let mut half_way = 0;
    for _ in 0..rounds {
        let before = pipeline.progress();
        pipeline.wait_for_progress(&mut host, before);
        listens(dir, "averages");
        swap(&pipeline, "averages", "bad.wasm");
        wait_for_mistakes(&pipeline, &mut host);
        let mut command = wasmill(dir);
        command.args(["rollback", "job.toml", "averages", "--rewind"]);
        let mut asked = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let (since, life) = (Instant::now(), chance.shorter(Duration::from_millis(400)));
        while since.elapsed() < life {
            std::thread::yield_now();
        }
        host.kill();
        asked.wait().expect("it ends");
        half_way += usize::from(pipeline.manifests().newest().is_some_and(|newest| newest.withdrawal.is_some()));
        host = pipeline.start(turn);
        until("an answer", || {
            let (code, said, error) = output(wasmill(dir).args(["rollback", "job.toml", "averages", "--rewind"]));
            let error = unwrapped(&error);
            assert!(host.status().is_none(), "it ended: {}", host.text());
            // It may have been killed before it noted in the history that it has gone back, or after.
            let is_back = error.contains("kept no longer") || error.contains("no version has come");
            assert!(code == Some(0) || is_back || error.contains("no job of"), "{said}{error}");
            (code == Some(0) || is_back).then_some(())
        });
        assert!(mistakes(&pipeline).iter().all(|(_, wrong)| *wrong == 0), "{}", host.text());
    }
    pipeline.rest(host);
    pipeline.check();
    report(&format!("{rounds} kills, {half_way} of them while rows were taken back"));
}

/// `kill -9` before a job has taken another checkpoint behind the one before a version, so that the next run begins with a
/// manifest that repeats it → what that checkpoint has made visible stays when the job goes back to it.
#[test]
fn killed_before_the_next_checkpoint() {
    let pipeline = job(RECORDS / 4, "rewinds-repeated").every("60s");
    let (dir, turn) = (pipeline.path(), Turn { workers: 2, rate: Some(RATE / 2) });
    let mut host = pipeline.start(turn);
    listens(dir, "averages");
    until("rows in the index", || {
        assert!(host.status().is_none(), "it ended: {}", host.text());
        let rows = pipeline.lines(pipeline::Stream::Averages, &|lines| lines.len());
        rows.iter().any(|(_, rows)| *rows > 0).then_some(())
    });
    swap(&pipeline, "averages", "bad.wasm");
    host.kill();
    let point = pipeline.manifests().newest().expect("there is one");
    assert_eq!(point.points.last().map(|last| last.number), Some(point.number), "nothing came after it");
    report(&format!(
        "{} sinks had prepared something",
        point.sinks.values().filter(|mark| !mark.prepared.is_null()).count()
    ));
    let host = pipeline.start(turn);
    listens(dir, "averages");
    obeyed(dir, &["rollback", "job.toml", "averages", "--rewind"]);
    pipeline.rest(host);
    pipeline.check();
}

/// A job that is not there any more goes back the same way with `checkpoint restore`, without `--force`.
#[test]
fn restored_without_a_host() {
    let pipeline = job(RECORDS / 2, "rewinds-restored");
    let dir = pipeline.path();
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(RATE) });
    pipeline.wait_for_progress(&mut host, 0);
    listens(dir, "averages");
    swap(&pipeline, "averages", "bad.wasm");
    wait_for_mistakes(&pipeline, &mut host);
    host.kill();
    let point =
        pipeline.manifests().newest().and_then(|newest| newest.points.first().cloned()).expect("a point").number;
    let said = obeyed(dir, &["checkpoint", "show", "job.toml", "--set", "KEY=test"]);
    assert!(said.contains(&format!("rewind   to checkpoint {point} of")), "{said}");
    let said = obeyed(dir, &["checkpoint", "restore", "job.toml", &point.to_string(), "--set", "KEY=test"]);
    assert!(said.contains("sinks take back what they have written since"), "{said}");
    pipeline.finish().well();
    assert!(mistakes(&pipeline).iter().all(|(_, wrong)| *wrong == 0));
    pipeline.check();
}

/// A source that is a pipe → refused before anything happens, with the other way.
#[test]
fn a_pipe_cannot_be_read_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let [plugin, out] = [component("identity").display().to_string(), dir.display().to_string()];
    let text = format!(
        "[checkpoint]\nto = \"{out}/checkpoints\"\n[source.rows]\ntype = \"stdin\"\nevent_time = \"arrival\"\n[step.same]\ninput = \"rows\"\n\
         plugin = \"{plugin}\"\n[sink.out]\ninput = \"same\"\ntype = \"file\"\npath = \"{out}/out.jsonl\"\n"
    );
    fs::write(dir.join("job.toml"), text).expect("it can be written");
    let mut stream = Stream::run(dir, &[]);
    listens(dir, "same");
    stream.put((0..10).map(|n| format!("{{\"n\":{n}}}")));
    let bytes = fs::read(component("identity")).expect("it was built");
    fs::write(dir.join("again.wasm"), crate::harness::builds::another(&bytes, 1)).expect("it can be written");
    obeyed(dir, &["swap", "job.toml", "same", "again.wasm", "--probation", "0s"]);
    let reason = unwrapped(&refused(dir, &["rollback", "job.toml", "same", "--rewind"]));
    assert!(reason.contains("source rows cannot be read again") && reason.contains("--keep-state"), "{reason}");
    stream.end(&["rows", "same"]);
    let rows = crate::harness::data::json_lines(&fs::read_to_string(dir.join("out.jsonl")).expect("the sink wrote it"));
    assert_eq!(rows.iter().filter_map(|row| row["n"].as_i64()).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert!(rows.iter().all(Value::is_object));
}
