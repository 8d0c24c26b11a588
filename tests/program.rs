//! The real program as a user starts it: what it prints, how it exits, and how it takes Ctrl-C.

use crate::harness::data::{generated_trips, json_lines};
use crate::harness::patience::until;
use crate::harness::program::{interrupt, output, wasmill};
use crate::harness::root;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

/// A job file full of mistakes → all of them with file, line and hint, and exit code 2.
#[test]
fn check_finds_everything() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = "[source.trips]\ntype = \"repaly\"\n\n[step.count]\ninput = \"tripz\"\nplugin = \"nowhere\"\n\
               window = { tumbling = \"10 minutes\" }\n\n[step.keep]\ninput = \"trips\"\nplugin = \"nowhere\"\n\n\
               [sink.out]\ninput = \"count\"\ntype = \"file\"\npath = 5\nrol = 1\n";
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["check", "job.toml"]));
    let text = stdout + &stderr;
    assert_eq!(code, Some(2), "{text}");
    for expected in ["repaly", "replay", "tripz", "nowhere", "10 minutes", "`path`", "`rol`", "job.toml"] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

/// The jobs of the examples → check finds nothing wrong and shows their shape.
#[test]
fn examples_are_valid() {
    let cases = [
        ("examples/taxi/job.toml", vec!["--set=in=x", "--set=out=y"], "tumbling 10m"),
        ("examples/taxi/demo.toml", vec!["--set=out=y"], "tumbling 10m"),
        ("examples/cell-average/job.toml", vec!["--set=in=x", "--set=out=y.jsonl"], "tumbling 10m"),
        (
            "examples/taxi/kinesis.toml",
            vec!["--set=stream=s", "--set=opensearch=http://127.0.0.1:9200"],
            "tumbling 10m",
        ),
        ("examples/alerts/job.toml", vec!["--set=out=y"], "process in the order of event time"),
        (
            "examples/alerts/notify.toml",
            vec![
                "--set=stream=s",
                "--set=topic=arn:aws:sns:eu-west-1:1:alerts",
                "--set=table=alerts",
                "--set=hook=https://hooks.example.com/in",
                "--set=secret=hush",
            ],
            "process in the order of event time",
        ),
        ("examples/hot-swap/job.toml", vec![], "tumbling 1m"),
    ];
    for (job, parameters, expected) in cases {
        let (code, stdout, stderr) = output(wasmill(&root()).args(["check", job]).args(parameters));
        assert_eq!(code, Some(0), "{job}: {stdout}{stderr}");
        assert!(stdout.contains(expected), "{job}: {stdout}");
    }
}

/// Lines into standard input, results out of standard output → a pipe like any other, with nothing else on it.
#[test]
fn a_pipe() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = format!(
        "[source.lines]\ntype = \"stdin\"\nevent_time = \"/dropoff_datetime: time\"\nwatermark = {{ disorder = \"1m\" }}\n\
         [step.same]\ninput = \"lines\"\nplugin = \"{}\"\n[sink.out]\ninput = \"same\"\ntype = \"stdout\"\n",
        root().join("plugins/identity").display()
    );
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    let trips = generated_trips(3_000);
    let mut child = wasmill(dir.path())
        .args(["run", "job.toml"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let input = trips.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let out = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads everything");
    assert!(out.status.success());
    let mut lines: Vec<_> = String::from_utf8(out.stdout).expect("text").lines().map(str::to_owned).collect();
    let mut expected = trips;
    lines.sort();
    expected.sort();
    assert!(lines == expected, "{} lines of {}", lines.len(), expected.len());
}

/// A reader that has gone before the first line, as `head` goes after its last → no command has a word to say about it, and
/// all end as other programs of a pipe do.
#[test]
fn a_reader_that_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("letters.jsonl"), "{\"cause\": \"late\", \"step\": \"cell\"}\n")
        .expect("it can be written");
    fs::create_dir(dir.path().join("cases")).expect("a folder");
    let job = root().join("examples/taxi/job.toml").display().to_string();
    let plugin = root().join("plugins/identity").display().to_string();
    let case = "{\"time\": \"2024-05-01T10:00:00Z\", \"value\": {}}\n{\"out\": {\"value\": {}}}\n";
    fs::write(dir.path().join("cases/same.jsonl"), case).expect("it can be written");
    let commands: [&[&str]; 9] = [
        &["connectors"],
        &["check", &job, "--no-build", "--set=in=x", "--set=out=y"],
        &["new", "fresh", "--lang", "rust", "--kind", "transform"],
        &["build", &plugin],
        &["inspect", &plugin],
        &["inspect", "--json", &plugin],
        &["test", &plugin, "--cases", "cases"],
        &["dead-letter", "list", "letters.jsonl"],
        &["dead-letter", "show", "letters.jsonl"],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = wasmill(dir.path()).args(command).stdout(writer).stderr(Stdio::piped()).spawn();
        let out = child.and_then(|child| child.wait_with_output()).expect("it starts and ends");
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        let words = stderr.lines().filter(|line| !line.starts_with("building "));
        assert_eq!((out.status.code(), words.count()), (Some(141), 0), "{command:?}: {stderr}");
    }
}

/// The reader of a job's results has gone, while another sink waits for the next checkpoint → the job ends by itself with exit
/// code 0 and does not complain.
#[test]
fn a_reader_of_results_that_goes() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = "[source.rows]\ntype = \"replay\"\npath = \"in.jsonl\"\nevent_time = \"/t: time(unix-ms)\"\n\
               [sink.out]\ninput = \"rows\"\ntype = \"stdout\"\n\
               [sink.kept]\ninput = \"rows\"\ntype = \"file\"\npath = \"out\"\n\
               [checkpoint]\nto = \"saved\"\ninterval = \"50ms\"\n";
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    fs::write(dir.path().join("in.jsonl"), "{\"t\":1356998400000}\n").expect("it can be written");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let log = fs::File::create(dir.path().join("log")).expect("it can be written");
    let child = wasmill(dir.path()).args(["run", "job.toml"]).stdout(writer).stderr(log).spawn();
    let mut child = child.expect("the program starts");
    let status = until("the end of the job", || child.try_wait().expect("it is ours"));
    let log = fs::read_to_string(dir.path().join("log")).expect("text");
    assert!(status.success() && !log.contains("last checkpoint"), "{status}: {log}");
}

/// Ctrl-C while trips flow → exit code 0, the balance is printed, and the files are whole.
#[test]
fn an_interrupt_is_clean() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = root().join("examples/taxi/demo.toml");
    let mut child = wasmill(dir.path())
        .arg("run")
        .arg(job)
        .args(["--set=out=out", "--set=trips=100000000"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("it is a pipe")).lines().map_while(Result::ok);
    // The first line of progress says that rows are read.
    let progress = stderr.find(|line| line.contains(" read, "));
    assert!(progress.is_some(), "it ended before it read anything");
    interrupt(&child);
    let rest: Vec<String> = stderr.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("pickup_count")), "{rest:?}");
    let results = fs::read_to_string(dir.path().join("out/pickup_count.jsonl")).expect("the file is complete");
    json_lines(&results);
}

/// The plugins and their SDK as their authors test them → natively, without WebAssembly.
#[test]
fn plugins_pass_their_own_tests() {
    let target = std::env::var_os("WASMILL_PLUGIN_TARGET_DIR").map(std::path::PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(root().join("plugins")).args(["test", "--locked", "--workspace", "--quiet"]);
    // What the host's own cargo has set is not meant for this workspace.
    command.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", target.unwrap_or_else(|| root().join("plugins/target")));
    let (code, stdout, stderr) = output(&mut command);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
}
