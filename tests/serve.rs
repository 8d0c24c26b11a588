//! `wasmill serve`: many jobs in one process, from their files to their rows, and the API by which they are looked at and changed.

use crate::harness::fleet::{Fleet, Serving};
use crate::harness::http::send_with;
use crate::harness::live::course;
use crate::harness::manifests::progress;
use crate::harness::metrics::series;
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::report;
use crate::pipeline::{self, Input, Pipeline};
use serde_json::{Value, json};
use std::fs;
use wasmill_stream::checkpoint::Kind;

/// Records per second of jobs to which something is done.
const RATE: usize = 500;

/// A job whose rows go into files.
fn pipeline(records: usize) -> Pipeline {
    Pipeline::new(Input::new(records), pipeline::local())
}

/// Puts the file of a job into the folder of a host.
fn deploy(fleet: &Fleet, name: &str, pipeline: &Pipeline, rate: Option<usize>) {
    fleet.write(name, &pipeline.text(rate));
}

/// Waits until the newest checkpoint of a job knows more than so many records.
fn passes(pipeline: &Pipeline, before: u64) -> u64 {
    until("progress", || Some(pipeline.progress()).filter(|now| *now > before))
}

/// What becomes of the rows of every step, as the metrics say it, adds up.
fn assert_balanced(text: &str) {
    let read = series(text, "wasmill_records_in_total");
    assert!(!read.is_empty(), "{text}");
    let fates = ["emitted", "filtered", "late", "rejected", "control"];
    let fates = fates.map(|fate| series(text, &format!("wasmill_records_{fate}_total")));
    for (step, read) in &read {
        let sum: f64 = fates.iter().map(|fate| fate[step]).sum();
        assert_eq!(sum, *read, "{step}");
    }
}

/// Three jobs of one host that go on to their end beside one whose file is wrong, one without its plugin, and one that reads
/// standard input → each of the three has every row once, the others say what is wrong, and the metrics add up. A file that
/// is mended starts its job.
#[test]
fn side_by_side() {
    let fleet = Fleet::new();
    let good = [4_000, 5_000, 6_000].map(pipeline);
    for (number, pipeline) in good.iter().enumerate() {
        deploy(&fleet, &format!("good-{number}"), pipeline, None);
    }
    let mended = pipeline(3_000);
    let text = mended.text(None);
    fleet.write("misspelt", &text.replace("[engine]", "[engin]"));
    fleet.write("gone", &text.replace("cell-key", "no-such-plugin"));
    let identity = component("identity").display().to_string();
    fleet.write(
        "pipe",
        &format!(
            "[source.rows]\ntype = \"stdin\"\nevent_time = \"arrival\"\n[step.same]\ninput = \"rows\"\nplugin = \"{identity}\"\n\
             [sink.out]\ninput = \"same\"\ntype = \"stdout\"\n"
        ),
    );
    fs::write(fleet.jobs().join("README.md"), "no job").expect("it can be written");
    let mut serving = fleet.start();
    for (number, pipeline) in good.iter().enumerate() {
        let job = serving.until(&format!("good-{number}"), "finished");
        assert_eq!((&job["restarts"], &job["run"]["records_in"]), (&json!(0), &json!(pipeline.input().len())), "{job}");
        pipeline.check();
    }
    for (name, words) in
        [("misspelt", "unknown key `engin`"), ("gone", "no-such-plugin"), ("pipe", "source rows reads standard input")]
    {
        let job = serving.until(name, "failed");
        let reason = unwrapped(job["reason"].as_str().expect("a reason"));
        assert!(reason.contains(words), "{name}: {reason}");
    }
    let (status, others) = serving.ask("GET", "/readyz", "");
    assert!(status == 503 && others.lines().count() == 3 && others.contains("gone is failed\n"), "{status} {others}");
    assert_eq!(serving.ask("GET", "/healthz", "").0, 200);
    let (status, metrics) = serving.ask("GET", "/metrics", "");
    assert_eq!(status, 200, "{metrics}");
    assert_balanced(&metrics);
    let states = series(&metrics, "wasmill_job_state");
    assert_eq!(states.values().sum::<f64>(), 6.0, "each job is in one state: {states:?}");
    let read = series(&metrics, "wasmill_records_in_total");
    assert_eq!(read["job=\"good-1\",step=\"rows\""], 5_000.0, "{read:?}");
    let calls = series(&metrics, "wasmill_plugin_calls_total");
    assert_eq!(calls.len(), 3 * pipeline::PLUGINS.len(), "{calls:?}");

    fleet.write("misspelt", &text);
    serving.until("misspelt", "finished");
    mended.check();
    assert_eq!(serving.get("/api/v1/jobs").as_array().map(Vec::len), Some(6));
    serving.stop().well();
}

/// A job that is paused, stays so while its host is stopped and started, and is resumed; another one that is restarted, whose
/// host is killed, and whose file goes → every row once, and the paused job reads nothing meanwhile.
#[test]
fn pauses_and_restarts() {
    let fleet = Fleet::new();
    let [first, second] = [12_000, 12_000].map(pipeline);
    deploy(&fleet, "first", &first, Some(RATE));
    deploy(&fleet, "second", &second, Some(RATE));
    let mut serving = fleet.start();
    for pipeline in [&first, &second] {
        passes(pipeline, 0);
    }
    assert_eq!(serving.ask("POST", "/api/v1/jobs/first/pause", "").0, 202);
    serving.until("first", "paused");
    let newest = first.manifests().newest().expect("there is one");
    assert_eq!(newest.kind, Kind::Stop);
    let (status, refusal) = serving.ask("POST", "/api/v1/jobs/first/restart", "");
    assert!(status == 409 && refusal.contains("first is paused: resume it"), "{status} {refusal}");
    assert_eq!(serving.ask("POST", "/api/v1/jobs/second/restart", "").0, 202);
    let run = second.manifests().newest().expect("there is one").run;
    until("another run", || second.manifests().newest().filter(|newest| newest.run > run));
    let before = second.progress();
    passes(&second, before);
    serving.stop().well();
    assert_eq!(second.manifests().newest().expect("there is one").kind, Kind::Stop);

    let mut serving = fleet.start();
    assert_eq!(serving.until("first", "paused")["run"], Value::Null);
    let before = second.progress();
    passes(&second, before);
    serving.kill();
    let mut serving = fleet.start();
    // The run that was killed may have got further than that.
    passes(&second, second.progress());
    assert_eq!(first.manifests().newest().map(|newest| newest.number), Some(newest.number), "it is paused");
    // At the speed of the file there is still enough to read.
    fs::remove_file(fleet.jobs().join("second.toml")).expect("it is there");
    until("its last checkpoint", || second.manifests().newest().filter(|newest| newest.kind == Kind::Stop));
    until("that it is gone", || (serving.ask("GET", "/api/v1/jobs/second", "").0 == 404).then_some(()));

    assert_eq!(serving.ask("POST", "/api/v1/jobs/first/resume", "").0, 202);
    serving.until("first", "running");
    let before = progress(&newest);
    passes(&first, before);
    // The file of a job that runs is applied to it.
    deploy(&fleet, "first", &first, None);
    serving.until("first", "finished");
    deploy(&fleet, "second", &second, None);
    serving.until("second", "finished");
    serving.stop().well();
    for pipeline in [&first, &second] {
        pipeline.check();
    }
}

/// Jobs that are written, looked at, changed and removed by the API alone → as by their files; a file that is wrong is refused
/// with what is wrong, and nothing is written.
#[test]
fn by_the_api_alone() {
    let fleet = Fleet::new();
    let pipeline = pipeline(20_000);
    let mut serving = fleet.start();
    assert_eq!(serving.get("/api/v1/jobs"), json!([]));
    let text = pipeline.text(Some(RATE));
    let (status, refusal) = serving.put("job", &text.replace("[engine]", "[engin]"));
    assert!(status == 422 && refusal.contains("unknown key `engin`"), "{status} {refusal}");
    let (status, refusal) = serving.put("..%2Fjob", &text);
    assert!(status == 422 && refusal.contains("a job cannot be called"), "{status} {refusal}");
    assert_eq!(fs::read_dir(fleet.jobs()).expect("a folder").count(), 0, "nothing was written");
    let (status, said) = serving.put("job", &text);
    assert_eq!(status, 202, "{said}");
    serving.until("job", "running");
    passes(&pipeline, 0);

    let bytes = fs::read(component("cell-average")).expect("it was built");
    let other = crate::harness::builds::another(&bytes, 1);
    fs::write(fleet.jobs().join("other.wasm"), other).expect("it can be written");
    let swap = json!({"plugin": "other.wasm", "probation": "0s", "why": "a test"}).to_string();
    let swap_at = "/api/v1/jobs/job/steps/averages/swap";
    let (status, said) = serving.ask("POST", swap_at, &swap);
    assert!(status == 200 && said.contains("in place of cell-average 0.1.0"), "{status} {said}");
    for (body, status, words) in [
        (json!({"plugin": "none.wasm"}), 409, "none.wasm"),
        (json!({"plugin": "other.wasm", "shadow": "1m", "canary": "10%"}), 422, "at most one of"),
        (json!({"plugin": "other.wasm", "canary": "100%"}), 422, "between 0% and 100%"),
        (json!({"plugin": "other.wasm", "when": "now"}), 422, "unknown field `when`"),
    ] {
        let (was, refusal) = serving.ask("POST", swap_at, &body.to_string());
        assert!(was == status && refusal.contains(words), "{body}: {was} {refusal}");
    }
    let (status, said) = serving.ask("POST", "/api/v1/jobs/job/steps/averages/rollback", "{\"why\": \"enough\"}");
    assert!(status == 200 && said.contains("put back"), "{status} {said}");
    let events = serving.get("/api/v1/jobs/job/history");
    let events = events.as_array().expect("a list");
    assert_eq!(course(events), ["swapped", "refused", "rolled-back"], "{events:?}");
    assert!(events.iter().all(|event| event["by"] == "api"), "{events:?}");
    // The command line finds it by its file.
    assert_eq!(history_of(&fleet, "job"), *events);

    assert_eq!(serving.ask("DELETE", "/api/v1/jobs/job", "").0, 202);
    until("its last checkpoint", || pipeline.manifests().newest().filter(|newest| newest.kind == Kind::Stop));
    assert_eq!(serving.ask("GET", "/api/v1/jobs/job", "").0, 404);
    assert_eq!(serving.put("job", &pipeline.text(None)).0, 202);
    serving.until("job", "finished");
    serving.stop().well();
    pipeline.check();
}

/// What `wasmill history` says of a job of the folder.
fn history_of(fleet: &Fleet, job: &str) -> Vec<Value> {
    let (code, said, error) =
        output(wasmill(fleet.path()).args(["history", &format!("jobs/{job}.toml"), "averages", "--json"]));
    assert_eq!(code, Some(0), "{said}{error}");
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A job with a sink that nobody answers for → it is started again after a pause, and again, while its neighbour goes on; without
/// that sink in its file it runs, and both have every row once.
#[test]
fn a_job_that_fails_is_started_again() {
    let fleet = Fleet::new();
    let [good, bad] = [15_000, 3_000].map(pipeline);
    deploy(&fleet, "good", &good, Some(RATE));
    let text = bad.text(None);
    let absent = "[sink.absent]\ninput = \"averages\"\ntype = \"opensearch\"\nendpoint = \"http://127.0.0.1:1\"\nindex = \"i\"\n\
                  start_timeout = \"200ms\"\n";
    fleet.write("bad", &format!("{text}{absent}"));
    let mut serving = fleet.start();
    passes(&good, 0);
    let restarts = until("two failures", || {
        let job = serving.get("/api/v1/jobs/bad");
        job["restarts"].as_u64().filter(|restarts| *restarts >= 2)
    });
    let job = serving.until("bad", "restarting");
    assert!(job["retry_in"].as_f64().is_some_and(|seconds| seconds <= 300.0), "{job}");
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("sink absent")), "{job}");
    fleet.write("bad", &text);
    serving.until("bad", "finished");
    bad.check();
    let before = good.progress();
    passes(&good, before);
    assert_eq!(serving.get("/api/v1/jobs/good")["restarts"], 0, "nobody disturbed it");
    deploy(&fleet, "good", &good, None);
    serving.until("good", "finished");
    serving.stop().well();
    good.check();
    report(&format!("started again {restarts} times beside a job that went on"));
}

/// Requests under a name that is not the host's, or from a page of another site; an address that others can reach → refused. The
/// document of the API names every path, and each of them answers.
#[test]
fn whom_it_hears() {
    let fleet = Fleet::new();
    let serving = fleet.start();
    let foreign = |headers: &[(&str, &str)], method: &str| {
        send_with(method, &serving.url("/api/v1/jobs/none/pause"), headers, b"").0
    };
    assert_eq!(foreign(&[], "POST"), 404);
    assert_eq!(foreign(&[("Origin", "http://evil.example")], "POST"), 403);
    let rebound = serving.url("").replace("127.0.0.1", "127.0.0.2");
    assert!(std::net::TcpStream::connect(rebound.trim_start_matches("http://")).is_err(), "it listens on one address");
    assert_eq!(raw(&serving, "Host: evil.example"), 421);
    let (code, _, error) = output(wasmill(fleet.path()).args(["serve", "no-such-folder"]));
    assert!(code == Some(2) && error.contains("find the folder no-such-folder"), "{error}");

    let document = serving.get("/api/v1/openapi.json");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 12, "{paths:?}");
    for (path, methods) in paths {
        let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "none" } else { part }).collect();
        let path = path.join("/");
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            let (status, _, text) =
                send_with(&method, &serving.url(&path), &[("Content-Type", "application/json")], b"{");
            let expected: &[u16] = if path.contains("none") { &[400, 404, 422] } else { &[200] };
            assert!(expected.contains(&status), "{method} {path}: {status} {text}");
        }
    }
    serving.stop().well();
}

/// The status of a request with a header of its own.
fn raw(serving: &Serving, header: &str) -> u16 {
    use std::io::{Read, Write};
    let address = serving.url("").replace("http://", "");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET /healthz HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}
