//! What a host and its jobs say: as JSON, each event under the names of its job, tenant, step and plugin; by the API, kept and
//! followed; and in the files of tenants.

use crate::harness::fleet::{Fleet, Serving, classes};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::strangers::FILES;
use crate::pipeline::{Input, Pipeline, local};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// A job whose plugin says something for every row.
const TALKATIVE: &str = "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\nevent_time = \"arrival\"\n\
    [step.chatter]\ninput = \"rows\"\nplugin = \"../transform.wasm\"\n\
    settings = { do = \"log-flood\", every = 1, amount = 2 }\n\
    [sink.out]\ninput = \"chatter\"\ntype = \"file\"\npath = \"out.jsonl\"\n";

/// Its rows and its plugin.
fn settle(folder: &Path, rows: usize) {
    let lines: String = (0..rows).map(|row| format!("{{\"id\": {row}}}\n")).collect();
    fs::write(folder.join("in.jsonl"), lines).expect("it can be written");
    fs::copy(component("hostile/transform"), folder.join("transform.wasm")).expect("it was built");
}

/// What there is of a job's log.
fn log(serving: &Serving, job: &str) -> Vec<Value> {
    let (status, text) = serving.ask("GET", &format!("/api/v1/jobs/{job}/logs"), "");
    assert_eq!(status, 200, "{text}");
    json(&text)
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn is_of(event: &Value, job: &str, tenant: Option<&str>) -> bool {
    event["job"] == job && event["tenant"].as_str() == tenant
}

/// The jobs of two tenants whose plugins say a lot, beside one that fails → every line of the host's log is JSON; each event of a
/// job names it and its tenant, each line of a plugin its step, version and digest; each tenant has a file with its own lines
/// alone, and the API shows those of one job alone.
#[test]
fn every_event_says_whose_it_is() {
    let fleet = Fleet::new();
    for tenant in ["acme", "bolt"] {
        fleet.allow(tenant, FILES);
        settle(&fleet.tenant(tenant), 20);
        fleet.write_for(tenant, "talk", TALKATIVE);
    }
    fleet.write("broken", "[engin]\n");
    let arguments = ["serve", ".", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let mut serving = fleet.start_as(wasmill(fleet.path()).args(arguments).env("WASMILL_LOG", "info"));
    for tenant in ["acme", "bolt"] {
        serving.until(&format!("{tenant}:talk"), "finished");
    }
    serving.until("broken", "failed");
    for tenant in ["acme", "bolt"] {
        let events = log(&serving, &format!("{tenant}:talk"));
        assert!(events.iter().all(|event| is_of(event, "talk", Some(tenant))), "{events:?}");
        let said = events.iter().find(|event| event["plugin"].is_string()).expect("the plugin said something");
        assert_eq!(said["step"], "chatter", "{said}");
        assert!(said["sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{said}");
        let path = fleet.path().join("tenants").join(tenant).join("logs/wasmill.jsonl");
        let kept = until("the tenant's file", || {
            let kept = json(&fs::read_to_string(&path).unwrap_or_default());
            kept.iter().any(|event| event["message"] == events[events.len() - 1]["message"]).then_some(kept)
        });
        assert!(kept.iter().all(|event| is_of(event, "talk", Some(tenant))), "{kept:?}");
    }
    let broken = log(&serving, "broken");
    let reason = unwrapped(broken[0]["message"].as_str().expect("a text"));
    assert!(reason.contains("unknown key `engin`") && broken[0]["level"] == "error", "{broken:?}");
    assert!(is_of(&broken[0], "broken", None), "{broken:?}");
    assert_eq!(serving.ask("GET", "/api/v1/jobs/none/logs", "").0, 404);
    assert_eq!(serving.ask("GET", "/api/v1/jobs/broken/logs?since=1", "").0, 400);
    let last = serving.ask("GET", "/api/v1/jobs/acme:talk/logs?lines=2", "").1;
    assert_eq!(json(&last).len(), 2);
    let ended = serving.stop();
    let all = json(&ended.log);
    assert!(all.iter().all(|event| ["at", "level", "target", "message"].iter().all(|name| event[name].is_string())));
    assert!(all.iter().any(|event| event["step"] == "chatter" && is_of(event, "talk", Some("bolt"))), "{all:?}");
    ended.well();
}

/// Two who follow a job, one of whom does not read → the first sees what the job says while it says it; the second is cut off,
/// and the job goes on to its end.
#[test]
fn followers() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(3_000), local());
    fleet.write("good", &pipeline.text(Some(500)));
    let mut serving = fleet.start();
    serving.until("good", "running");
    let mut lines = follow(&serving, "good");
    let _mute = follow(&serving, "good");
    let mut next = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("the host is there");
        serde_json::from_str::<Value>(line.trim()).ok()
    };
    fleet.write("good", &pipeline.text(None));
    let said = until("news of the job", || next().filter(|event| event["target"] == "note"));
    assert_eq!(said["job"], "good", "{said}");
    serving.until("good", "finished");
    pipeline.check();
    let is_end = |event: &Value| event["message"].as_str().is_some_and(|said| said.contains(" read, "));
    until("its last words", || next().filter(is_end));
    serving.stop().well();
}

/// Somebody follows a job of a tenant of either class, and his token is revoked → that is the end of what he hears; another one
/// goes on hearing.
#[test]
fn a_token_that_is_revoked() {
    for class in classes() {
        let fleet = Fleet::of_class(class);
        fleet.allow("bolt", FILES);
        settle(&fleet.tenant("bolt"), 10);
        let tokens = ["gone", "stays"].map(|name| fleet.token(name, &["--verb", "rows", "--verb", "read"]));
        fleet.write_for("bolt", "talk", TALKATIVE);
        let mut serving = fleet.start().with_token(&tokens[1]);
        serving.until("bolt:talk", "finished");
        let [mut gone, mut stays] = tokens.each_ref().map(|token| follow_as(&serving, "bolt:talk", Some(token)));
        let (code, _, said) = output(wasmill(fleet.path()).args(["token", "revoke", ".", "gone"]));
        assert_eq!(code, Some(0), "{said}");
        let mut heard = String::new();
        gone.read_to_string(&mut heard).expect("it ends");
        assert!(heard.contains("chatter"), "{class}: {heard}");
        // What comes from now on.
        let again = TALKATIVE.replace("amount = 2", "amount = 3");
        fleet.write_for("bolt", "talk", &format!("{again}overwrite = true\n"));
        until("something new", || {
            let mut line = String::new();
            stays.read_line(&mut line).expect("it goes on");
            assert!(!line.is_empty(), "{class}: it has ended");
            line.contains("line 2 ").then_some(())
        });
        serving.stop().well();
    }
}

/// What comes of a job's log, from the first line of the body.
fn follow(serving: &Serving, job: &str) -> BufReader<TcpStream> {
    follow_as(serving, job, None)
}

/// The same for the bearer of a token.
fn follow_as(serving: &Serving, job: &str, token: Option<&str>) -> BufReader<TcpStream> {
    let address = serving.url("").replace("http://", "");
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a time");
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET /api/v1/jobs/{job}/logs?follow=true HTTP/1.1\r\nHost: {address}\r\n{bearer}\r\n")
        .expect("sent");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a head");
    }
    reader
}

/// A format that is none, by argument and by the environment → refused with what there is.
#[test]
fn formats() {
    let fleet = Fleet::new();
    let (code, _, error) = output(wasmill(fleet.path()).args(["connectors", "--log-format", "xml"]));
    assert!(code == Some(2) && error.contains("[possible values: text, json]"), "{error}");
    let (code, _, error) = output(wasmill(fleet.path()).arg("connectors").env("WASMILL_LOG_FORMAT", "xml"));
    assert!(code == Some(2) && error.contains("expected `text` or `json`"), "{error}");
    let (code, _, error) = output(wasmill(fleet.path()).args(["run", "none.toml"]).env("WASMILL_LOG_FORMAT", "json"));
    let said = json(&error);
    assert!(code == Some(2) && said[0]["message"].as_str().is_some_and(|said| said.contains("none.toml")), "{error}");
}
