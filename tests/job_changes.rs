//! A running job that is changed: its file by `wasmill apply`, its plugins for longer than a run, with the real program.

use crate::harness::builds;
use crate::harness::host::Host;
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::{registry, report};
use crate::pipeline::{self, Input, Pipeline, Turn};
use std::fs;
use std::path::{Path, PathBuf};

/// What `wasmill apply` ends with and says.
fn apply(pipeline: &Pipeline) -> (Option<i32>, String) {
    let (code, stdout, stderr) = output(wasmill(pipeline.path()).args(["apply", "job.toml", "--why", "a test"]));
    (code, format!("{stdout}{stderr}"))
}

/// Changes the job file that is there.
fn edit(pipeline: &Pipeline, change: impl FnOnce(String) -> String) {
    let path = pipeline.path().join("job.toml");
    let text = fs::read_to_string(&path).expect("it is there");
    fs::write(&path, change(text)).expect("it can be written");
}

/// A job whose file changes again and again while it runs: workers, lateness, speed, one more sink → each time it goes on from a
/// checkpoint as the file says; every row is there once, and the new sink has what came after it.
#[test]
fn handed_over() {
    let pipeline = Pipeline::new(Input::new(40_000), pipeline::local());
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(1_500) });
    let mut before = pipeline.wait_for_progress(&mut host, 0);
    let sink = format!(
        "[sink.more]\ninput = \"averages\"\ntype = \"file\"\npath = \"{}/more.jsonl\"\n",
        pipeline.path().display()
    );
    let steps: [Box<dyn FnOnce(String) -> String>; 4] = [
        Box::new(|text| text.replace("epoch = \"10ms\"", "epoch = \"20ms\"\nworkers = 3")),
        Box::new(|text| text.replace("tumbling = \"1m\" }", "tumbling = \"1m\" }\nallowed_lateness = \"30s\"")),
        Box::new(|text| text + &sink),
        Box::new(|text| text.replace("in_flight = \"256 KiB\"", "in_flight = \"512 KiB\"")),
    ];
    let mut gaps = Vec::new();
    for step in steps {
        edit(&pipeline, step);
        let (code, said) = apply(&pipeline);
        assert_eq!(code, Some(0), "{said}: {}", host.text());
        let gap = said.lines().last().and_then(|line| line.rsplit_once("for ")).expect("it says how long");
        gaps.push(gap.1.to_owned());
        before = pipeline.wait_for_progress(&mut host, before);
    }
    edit(&pipeline, |text| {
        let (head, tail) = text.split_once("speedup = ").expect("it has a speed");
        format!("{head}speedup = \"max\"{}", &tail[tail.find('\n').expect("a line")..])
    });
    assert_eq!(apply(&pipeline).0, Some(0), "{}", host.text());
    host.wait().well();
    pipeline.check();
    let workers = pipeline.manifests().newest().map(|manifest| manifest.workers);
    assert_eq!(workers, Some(2), "--workers goes before the job file in every run");
    let more = fs::read_to_string(pipeline.path().join("more.jsonl")).expect("the sink wrote it").lines().count();
    let all = pipeline.input().facts(pipeline::Stream::Averages).len();
    assert!((1..=all).contains(&more), "{more} of {all} windows fired after the sink had come");
    report(&format!("{} hand-overs of a running job, nothing read for {}", gaps.len(), gaps.join(", ")));
}

/// Changes that cannot be: of a window, of the name, of what is no job file any more, or with a sink that cannot be opened →
/// each is refused with its reason, and the job goes on.
#[test]
fn refused() {
    let pipeline = Pipeline::new(Input::new(20_000), pipeline::local());
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(400) });
    let mut before = pipeline.wait_for_progress(&mut host, 0);
    let text = fs::read_to_string(pipeline.path().join("job.toml")).expect("it is there");
    let unopened = "[sink.more]\ninput = \"averages\"\ntype = \"file\"\npath = \"/dev/null/no\"\n";
    let refusals = [
        (
            text.replace("tumbling = \"1m\"", "tumbling = \"2m\""),
            "step averages was \"tumbling 1m, lateness 0s\" there",
        ),
        (text.replace("name = \"pipeline\"", "name = \"other\""), "that cannot change while the job runs"),
        (text.replace("[engine]", "[engin]"), "unknown key `engin`"),
        (text.clone() + "[", "not valid TOML"),
        (text.clone() + unopened, "it cannot start as the new file says"),
    ];
    for (bad, reason) in refusals {
        edit(&pipeline, |_| bad);
        let (code, said) = apply(&pipeline);
        assert!(code == Some(2) && unwrapped(&said).contains(reason), "{reason}: {said}");
        before = pipeline.wait_for_progress(&mut host, before);
    }
    edit(&pipeline, |_| text);
    let (code, said) = apply(&pipeline);
    assert!(code == Some(0) && said.contains("nothing has changed"), "{said}");
    pipeline.rest(host);
    pipeline.check();
}

/// A job file with a sink that cannot be opened, under `--watch` → the job goes on as it was, and the file is not tried again
/// until it changes.
#[test]
fn refused_once() {
    let pipeline = Pipeline::new(Input::new(16_000), pipeline::local());
    let job = pipeline.write_job(Some(400));
    let mut command = wasmill(pipeline.path());
    command.arg("run").arg(job).args(["--watch", "--workers", "2"]);
    let mut host = Host::start(&mut command, &pipeline.path().join("run.log"));
    let mut before = pipeline.wait_for_progress(&mut host, 0);
    let unopened = "[sink.more]\ninput = \"averages\"\ntype = \"file\"\npath = \"/dev/null/no\"\n";
    edit(&pipeline, |text| text + unopened);
    until("the refusal", || host.text().contains("it cannot start as the new file says").then_some(()));
    for _ in 0..5 {
        before = pipeline.wait_for_progress(&mut host, before);
    }
    let stops = |host: &Host| host.text().matches("stopping with a checkpoint").count();
    assert_eq!(stops(&host), 1, "{}", host.text());
    edit(&pipeline, |text| text.replace(unopened, "").replace("epoch = \"10ms\"", "epoch = \"20ms\""));
    until("the next one", || host.text().contains("the job goes on as the file says").then_some(()));
    pipeline.rest(host);
    pipeline.check();
}

/// Another build of a plugin.
fn another(plugin: &str, number: usize) -> Vec<u8> {
    builds::another(&fs::read(component(plugin)).expect("it was built"), number)
}

/// The digest of a component, as job files name it.
fn sha256(bytes: &[u8]) -> String {
    registry::sha256(bytes).trim_start_matches("sha256:").to_owned()
}

fn swap(pipeline: &Pipeline, step: &str, plugin: &Path) -> (Option<i32>, String) {
    let arguments = ["swap", "job.toml", step, &plugin.display().to_string(), "--why", "a test", "--probation", "0s"]
        .map(str::to_owned);
    let (code, stdout, stderr) = output(wasmill(pipeline.path()).args(arguments));
    (code, format!("{stdout}{stderr}"))
}

/// The store has lost the component that was swapped in → the next start names it and says what helps, and with `--as-filed` the
/// job goes on with the one of its file.
#[test]
fn a_component_that_has_gone() {
    let pipeline = Pipeline::new(Input::new(8_000), pipeline::local());
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(200) });
    pipeline.wait_for_progress(&mut host, 0);
    let (bytes, path) = (another("cell-average", 7), pipeline.path().join("other.wasm"));
    fs::write(&path, &bytes).expect("it can be written");
    let (code, said) = swap(&pipeline, "averages", &path);
    assert_eq!(code, Some(0), "{said}");
    let digest = sha256(&bytes);
    until("a checkpoint that names it", || {
        let newest = pipeline.manifests().newest()?;
        (newest.plugins.get("averages")?.sha256 == digest).then_some(())
    });
    host.kill();
    let kept = pipeline.path().join("checkpoints/pipeline/plugin").join(&digest);
    fs::remove_file(kept).expect("it was kept");
    let ended = pipeline.finish();
    let said = unwrapped(&ended.log);
    assert!(ended.code == Some(2) && said.contains(&format!("has no component with sha256 {digest}")), "{said}");
    let mut command = wasmill(pipeline.path());
    command.arg("run").arg(pipeline.write_job(None)).arg("--as-filed");
    Host::start(&mut command, &pipeline.path().join("as-filed.log")).wait().well();
    pipeline.check();
}

/// A run that has got further than the one before.
fn started(pipeline: &Pipeline) -> Host {
    let before = pipeline.progress();
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(600) });
    pipeline.wait_for_progress(&mut host, before);
    host
}

/// A plugin is swapped in, its file removed, the job killed and started → it runs what was swapped in, as the history tells,
/// until the job file names another component; `--as-filed` runs that at once.
#[test]
fn what_was_swapped_in_stays() {
    let pipeline = Pipeline::new(Input::new(30_000), pipeline::local()).relative();
    let host = started(&pipeline);
    let bytes = another("cell-average", 1);
    let (path, digest) = (pipeline.path().join("other.wasm"), sha256(&bytes));
    fs::write(&path, &bytes).expect("it can be written");
    let (code, said) = swap(&pipeline, "averages", &path);
    assert_eq!(code, Some(0), "{said}");
    fs::remove_file(&path).expect("it is there");
    until("a checkpoint that names it", || {
        let manifest = pipeline.manifests().newest()?;
        Some(()).filter(|()| manifest.plugins["averages"].sha256 == digest)
    });
    host.kill();
    let swapped_in = format!("({digest:.8}), which was swapped in");
    let host = started(&pipeline);
    assert!(host.text().contains(&swapped_in), "{}", host.text());
    host.kill();
    let (code, history, error) = output(wasmill(pipeline.path()).args(["history", "job.toml", "averages"]));
    let told = [format!("sha256 {digest:.12}"), "a test".to_owned(), "swapped".to_owned()];
    assert!(code == Some(0) && told.iter().all(|word| history.contains(word)), "{history}{error}");
    // Somebody deploys a third one.
    let filed: PathBuf = pipeline.path().join("cell-average.wasm");
    fs::remove_file(&filed).expect("a link");
    fs::write(&filed, another("cell-average", 2)).expect("it can be written");
    let host = started(&pipeline);
    assert!(!host.text().contains("which was swapped in"), "{}", host.text());
    // Then a fourth one in the same place, which is rolled back: a restart must not bring it back.
    fs::write(&filed, another("cell-average", 3)).expect("it can be written");
    let (code, said) = swap(&pipeline, "averages", &filed);
    assert_eq!(code, Some(0), "{said}");
    let arguments = ["rollback", "job.toml", "averages", "--keep-state"];
    let (code, _, said) = output(wasmill(pipeline.path()).args(arguments));
    assert_eq!(code, Some(0), "{said}");
    let third = sha256(&another("cell-average", 2));
    until("a checkpoint that names the third", || {
        let manifest = pipeline.manifests().newest()?;
        Some(()).filter(|()| {
            manifest.plugins["averages"].sha256 == third && manifest.plugins["averages"].declared.is_some()
        })
    });
    host.kill();
    let host = started(&pipeline);
    assert!(host.text().contains(&format!("({third:.8}), which was swapped in")), "{}", host.text());
    pipeline.rest(host);
    pipeline.check();
}

/// A locked job that names its components → it runs them, and refuses any other; one that does not name them does not start.
#[test]
fn locked() {
    let pipeline = Pipeline::new(Input::new(5_000), pipeline::local()).relative();
    let path = pipeline.write_job(Some(200));
    let text = "locked = true\n".to_owned() + &fs::read_to_string(&path).expect("it is there");
    fs::write(&path, &text).expect("it can be written");
    let (code, _, said) = output(wasmill(pipeline.path()).args(["check", "job.toml"]));
    let said = unwrapped(&said);
    assert!(code == Some(2) && said.contains("`sha256` does not say which component may run"), "{said}");
    let mut named = text;
    for plugin in pipeline::PLUGINS {
        let digest = sha256(&fs::read(component(plugin)).expect("it was built"));
        let line = format!("plugin = \"{plugin}.wasm\"");
        named = named.replace(&line, &format!("{line}\nsha256 = \"{digest}\""));
    }
    fs::write(&path, &named).expect("it can be written");
    let log = pipeline.path().join("run.log");
    let mut host = Host::start(wasmill(pipeline.path()).args(["run", "job.toml"]), &log);
    pipeline.wait_for_progress(&mut host, 0);
    let other = pipeline.path().join("other.wasm");
    fs::write(&other, another("cell-key", 1)).expect("it can be written");
    let (code, said) = swap(&pipeline, "cells", &other);
    assert!(code == Some(2) && unwrapped(&said).contains("which `sha256` does not name"), "{said}");
    host.wait().well();
    pipeline.check();
}
