//! A client that others wrote, in Python: boto3, with the packing of aws-kinesis-agg. It writes into a stream and reads what
//! wasmill has written there, and the other way round.

use crate::harness::job::Job;
use crate::harness::kinesis::{ACCESS, Admin};
use crate::harness::program::{output, wasmill};
use crate::harness::server::KINESIS_LOCAL;
use crate::harness::tool::tool;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs the client with these lines as its input, and returns the lines that it prints.
fn ask(client: &[String], arguments: [&str; 3], lines: &[String]) -> Vec<String> {
    let mut command = Command::new(&client[0]);
    command.args(&client[1..]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python is there");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(lines.join("\n").as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn rows(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{{\"t\":{},\"n\":{n},\"key\":\"é {}\"}}", 1_700_000_000_000 + n, n % 7)).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Rows put by Python, packed and as they are, and rows replayed by wasmill, in the same way, into one stream; a job that copies
/// it into another one with its sink, packed → Python reads all rows in both streams, and the job read each once.
#[test]
fn both_ways() {
    let (Some(url), Some(client)) = (KINESIS_LOCAL.url(), tool("kinesis-python.sh", "boto3 and aws-kinesis-agg"))
    else {
        return;
    };
    let (from, to) = (Admin::create(url, "by-python", 3), Admin::create(url, "for-python", 2));
    ask(&client, [url, from.stream(), "put"], &rows(0..200));
    let dir = tempfile::tempdir().expect("a folder");
    for (packs, rows) in [(false, rows(200..300)), (true, rows(300..400))] {
        fs::write(dir.path().join("in.jsonl"), rows.join("\n")).expect("it can be written");
        let mut command = wasmill(dir.path());
        command.args(["replay", "in.jsonl", "--stream", from.stream(), "--endpoint", url, "--region", "us-east-1"]);
        command.arg("--partition-key=key").env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
        command.args(packs.then_some("--aggregate"));
        let (code, _, said) = output(&mut command);
        assert_eq!(code, Some(0), "{said}");
    }
    let job = Job::new(format!(
        "[source.rows]\ntype = \"kinesis\"\nstream = \"{}\"\nuntil = \"tip\"\nendpoint = \"{url}\"\n{ACCESS}\n\
         event_time = \"/t: time(unix-ms)\"\n[sink.copy]\ninput = \"rows\"\ntype = \"kinesis\"\nstream = \"{}\"\n\
         partition_key = \"/key\"\naggregate = true\nendpoint = \"{url}\"\n{ACCESS}\n",
        from.stream(),
        to.stream()
    ));
    let ledger = job.set("KEY", "test").run();
    assert_eq!(ledger.step("copy").expect("it is in the job").counts().written, 400);
    for stream in [from.stream(), to.stream()] {
        assert_eq!(sorted(ask(&client, [url, stream, "get"], &[])), sorted(rows(0..400)), "{stream}");
    }
}
