//! The command line as a client of the API: through a socket, with a token, and what it says when it may not.

use crate::harness::builds::another;
use crate::harness::fleet::Fleet;
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::{output, unwrapped, wasmill};
use crate::pipeline::{self, Input, Pipeline};
use std::fs;
use wasmill_stream::checkpoint::Kind;

/// Records per second of a job to which something is done.
const RATE: usize = 500;

/// A job that is written, looked at, changed, paused, resumed and removed with commands alone, through a Unix socket → done, and
/// every row is there once. Without a token, with one for less, for another tenant, or with nobody there → said so.
#[test]
fn commands_through_a_socket() {
    let fleet = Fleet::new();
    fs::write(fleet.path().join("host.toml"), "listen = \"unix:api.sock\"\n").expect("it can be written");
    let verbs = ["read", "operate", "deploy"].map(|verb| format!("--verb={verb}"));
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    let token = fleet.token("ci", &verbs);
    let stranger = fleet.token("stranger", &[&verbs[..], &["--tenant", "acme"]].concat());
    let reader = fleet.token("reader", &["--verb", "read"]);
    let serving = fleet.start_as(wasmill(fleet.path()).args(["serve", "."]));
    let run_as = |token: &str, arguments: &[&str]| {
        let mut command = wasmill(fleet.path());
        command.env("WASMILL_HOST", "unix:api.sock").env("WASMILL_TOKEN", token);
        let (code, said, error) = output(command.args(arguments));
        (code, format!("{said}{}", unwrapped(&error)))
    };
    let does = |arguments: &[&str]| {
        let (code, said) = run_as(&token, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    };
    let pipeline = Pipeline::new(Input::new(20_000), pipeline::local());
    let file = fleet.path().join("a-job.toml");
    fs::write(&file, pipeline.text(Some(RATE))).expect("it can be written");
    assert!(does(&["jobs", "put", "job", "a-job.toml"]).starts_with("job is "));
    until("that it runs", || does(&["jobs"]).contains("running").then_some(()));
    assert!(does(&["jobs", "show", "job"]).contains("\"id\": \"job\""));
    until("a checkpoint", || Some(pipeline.progress()).filter(|progress| *progress > 0));

    let other = another(&fs::read(component("cell-average")).expect("it was built"), 1);
    fs::write(fleet.path().join("jobs/other.wasm"), other).expect("it can be written");
    let said = does(&["swap", "job", "averages", "other.wasm", "--probation", "1m", "--why", "a test"]);
    assert!(said.contains("in place of cell-average 0.1.0"), "{said}");
    assert!(does(&["swap", "job", "averages"]).contains("probation"));
    assert!(does(&["rollback", "job", "averages", "--keep-state"]).contains("put back"));
    does(&["apply", "job", "--why", "nothing new"]);
    let history = does(&["history", "job", "averages"]);
    assert!(history.contains("by ci: a test"), "{history}");
    assert!(does(&["explain", "job", "averages"]).contains("watermark of averages"));
    assert!(does(&["checkpoint", "savepoint", "job", "before"]).contains("is kept as \"before\""));
    assert!(does(&["checkpoint", "list", "job"]).contains("before"));
    assert!(does(&["checkpoint", "verify", "job", "before"]).contains("whole"));
    assert!(does(&["checkpoint", "show", "job", "before"]).contains("cell-average"));

    does(&["jobs", "pause", "job"]);
    until("its last checkpoint", || pipeline.manifests().newest().filter(|newest| newest.kind == Kind::Stop));
    does(&["jobs", "resume", "job"]);
    does(&["jobs", "restart", "job"]);
    until("that it runs", || does(&["jobs"]).contains("running").then_some(()));
    for (who, arguments, exit, words) in [
        ("", &["jobs"][..], 1, "a token is asked for"),
        ("wrong", &["jobs"], 1, "there is no such token"),
        (&*reader, &["jobs", "pause", "job"], 1, "token reader may read; this takes operate"),
        (&*stranger, &["jobs", "show", "job"], 1, "token stranger is for tenant acme"),
        (&*stranger, &["jobs", "show", "acme:none"], 2, "there is no job acme:none"),
        (&*token, &["swap", "job", "averages", "none.wasm"], 2, "none.wasm"),
        (&*token, &["jobs", "--host", "unix:nobody.sock"], 1, "ask the host at unix:nobody.sock"),
        (&*token, &["jobs", "--host", "http://198.51.100.1"], 2, "where others can listen in"),
        (&*token, &["jobs", "--host", "nobody"], 2, "expected http://HOST:PORT"),
    ] {
        let (code, said) = run_as(who, arguments);
        assert!(code == Some(exit) && said.contains(words), "{arguments:?}: {code:?} {said}");
        assert!(!said.contains(&token) && !said.contains(&reader), "{said}");
    }
    fs::write(&file, pipeline.text(None)).expect("it can be written");
    does(&["jobs", "put", "job", "a-job.toml"]);
    until("its end", || does(&["jobs", "list"]).contains("finished").then_some(()));
    does(&["jobs", "rm", "job"]);
    assert!(!does(&["jobs"]).contains("finished"));
    serving.stop().well();
    pipeline.check();
}
