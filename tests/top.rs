//! `wasmill top`: one table for scripts, and a screen for people, of a host that asks for tokens.

use crate::harness::fleet::Fleet;
use crate::harness::patience::until;
use crate::harness::program::{output, wasmill};
use crate::harness::skipped;
use crate::pipeline::{Input, Pipeline, local};
use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

/// A job that runs and one that has failed → a row for each, with what the host says, for whoever has a token; without one, the
/// reason. A host that is not there is an error that names it.
#[test]
fn a_table() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(4_000), local());
    fleet.write("good", &pipeline.text(None));
    fleet.write("bad", "[engin]\n");
    let token = fleet.token("screen", &["--verb", "read"]);
    let mut serving = fleet.start().with_token(&token);
    serving.until("good", "finished");
    serving.until("bad", "failed");
    let top = |token: &str| {
        let url = serving.url("");
        output(wasmill(fleet.path()).args(["top", "--once", "--host", &url]).env("WASMILL_TOKEN", token))
    };
    let (code, said, error) = top(&token);
    assert_eq!(code, Some(0), "{error}");
    let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["JOB", "TENANT", "STATE", "IN/S"], "{said}");
    assert_eq!(rows[1][..3], ["bad", "-", "failed"], "{said}");
    let letters = pipeline.input().letters().len().to_string();
    assert_eq!((&rows[2][..3], rows[2][8]), (&["good", "-", "finished"][..], letters.as_str()), "{said}");
    assert!(said.contains("averages=cell-average 0.1.0") && !said.contains('\u{1b}'), "{said}");
    let (code, said, error) = top("");
    assert!(code == Some(1) && said.is_empty() && error.contains("WASMILL_TOKEN"), "{said}{error}");
    let (code, _, error) = output(wasmill(fleet.path()).args(["top", "--once", "--host", "http://127.0.0.1:1"]));
    assert!(code == Some(1) && error.contains("http://127.0.0.1:1"), "{error}");
    let (code, _, error) = output(wasmill(fleet.path()).args(["top", "--host", &serving.url("")]));
    assert!(code == Some(2) && error.contains("no terminal"), "{error}");
    serving.stop().well();
}

/// The same on a terminal → it is drawn, a key shows the steps of the job, and another one leaves; the terminal is as it was.
#[test]
fn a_screen() {
    let fleet = Fleet::new();
    let pipeline = Pipeline::new(Input::new(2_000), local());
    fleet.write("good", &pipeline.text(None));
    let mut serving = fleet.start();
    serving.until("good", "finished");
    let screen = fleet.path().join("screen");
    let program = wasmill(fleet.path()).get_program().to_string_lossy().into_owned();
    let command = format!("'{program}' top --interval 100ms --host {}", serving.url(""));
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"]).env("TERM", "xterm");
    script.env_remove("NO_COLOR").stdin(Stdio::piped()).stdout(File::create(&screen).expect("a file"));
    let Ok(mut terminal) = script.spawn() else { return skipped("needs script, which makes terminals") };
    let mut keys = terminal.stdin.take().expect("it is piped");
    let shows = |words: &str| {
        until(words, || fs::read_to_string(&screen).unwrap_or_default().contains(words).then_some(()));
    };
    shows("finished");
    keys.write_all(b"\r").expect("it reads");
    shows("IN FLIGHT");
    keys.write_all(b"q").expect("it reads");
    let status = terminal.wait().expect("it ends");
    let drawn = fs::read_to_string(&screen).expect("it is there");
    assert!(status.success() && drawn.trim_end().ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{drawn:?}");
    serving.stop().well();
}
