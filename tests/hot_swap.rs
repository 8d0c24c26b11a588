//! The example that is edited while it runs: its README, command by command.

use crate::harness::data::json_lines;
use crate::harness::host::Host;
use crate::harness::patience::until;
use crate::harness::program::wasmill;
use crate::harness::root;
use crate::oracle::calendar;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasmill_connect::replay::taxi::{DEFAULT_START, Trips};

/// What is copied of the repository: the example, its plugin, and what that is built with.
const COPIED: [&str; 3] = ["examples/hot-swap", "plugins", "wit"];
const MINUTE: i64 = 60_000;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be read");
        let (path, name) = (entry.path(), entry.file_name());
        if name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("it can be copied");
        }
    }
}

/// The commands of a README.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.flat_map(|(block, _)| block.lines().map(str::to_owned)).collect()
}

/// A command of the README in the folder of the example, with the program on the path.
fn shell(dir: &Path, command: &str) -> Command {
    let program = PathBuf::from(wasmill(dir).get_program());
    let folder = program.parent().expect("it lies in a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-ec", &format!("exec {command}")]).current_dir(dir).env("PATH", format!("{folder}:{path}"));
    // A place of its own: builds wait for others that share one.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hot-swap-plugins");
    shell.env("NO_COLOR", "1").env("WASMILL_PLUGIN_TARGET_DIR", target);
    shell
}

fn run(dir: &Path, command: &str) -> String {
    let output = shell(dir, command).output().expect("there is a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// For each minute how many trips end in it, and what they cost together.
fn minutes(count: u64) -> BTreeMap<i64, (i64, f64)> {
    let mut minutes = BTreeMap::<i64, (i64, f64)>::new();
    for trip in Trips::new(Some(count), 1, 20.0, DEFAULT_START) {
        let trip: Value = serde_json::from_str(&trip).expect("JSON");
        let time = trip["dropoff_datetime"].as_str().and_then(calendar::millis).expect("a time");
        let (trips, sum) = minutes.entry(time.div_euclid(MINUTE) * MINUTE).or_default();
        *trips += 1;
        *sum += trip["total_amount"].as_f64().expect("an amount");
    }
    minutes
}

/// The README from top to bottom: run, edit, look, roll back, history → dollars, then euros, then dollars again; not a minute
/// is missing or comes twice, each has all of its trips, and the history tells what was done.
#[test]
fn the_readme_holds() {
    // Always the same place: what is built there is kept by its path.
    let copied = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hot-swap");
    let _ = fs::remove_dir_all(&copied);
    COPIED.iter().for_each(|folder| copy(&root().join(folder), &copied.join(folder)));
    let dir = copied.join("examples/hot-swap");
    // The first build takes longer than a test waits for anything.
    run(&dir, "wasmill build ../../plugins/fares");
    let readme = fs::read_to_string(dir.join("README.md")).expect("it has one");
    let commands = commands(&readme);
    let [start, edit, look, roll_back, history] = &commands[..] else { panic!("five commands: {commands:?}") };

    let (out, log) = (copied.join("out.jsonl"), copied.join("log.txt"));
    let streams = (File::create(&out).expect("it can be written"), File::create(&log).expect("it can be written"));
    let child = shell(&dir, start).stdout(streams.0).stderr(streams.1).spawn().expect("there is a shell");
    let mut host = Host::of(child, log);
    let mut lines = |currency: &str, more: usize| {
        until(&format!("{more} minutes in {currency}s"), || {
            let status = host.status();
            assert!(status.is_none(), "it ended ({status:?}): {}", host.text());
            let text = fs::read_to_string(&out).expect("it is there");
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines = json_lines(whole);
            let last = lines.iter().rev().take_while(|line| line["currency"] == currency).count();
            (last >= more).then_some(lines)
        })
    };
    lines("dollar", 2);
    run(&dir, edit);
    lines("euro", 2);
    let said = run(&dir, look);
    assert!(said.contains("fares 0.1.0 (") && said.contains("on probation"), "{said}");
    let said = run(&dir, roll_back);
    assert!(said.contains("put back"), "{said}");
    let all = lines("dollar", 2);
    let said = run(&dir, history);
    for words in ["fares  swapped  fares 0.1.0", "fares  rolled back  fares 0.1.0", ": prices are told in dollars"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    host.signal("INT");
    host.wait().well();

    let expected = minutes((all.len() as u64 + 2) * 1_300);
    for (line, (minute, (trips, sum))) in all.iter().zip(&expected) {
        let rate = if line["currency"] == "euro" { 0.76 } else { 1.0 };
        let average = (sum / *trips as f64 * rate * 100.0).round() / 100.0;
        assert_eq!(line["minute"].as_str().and_then(calendar::millis), Some(*minute), "{line}");
        assert_eq!(line["trips"], json!(trips), "{line}");
        assert!((line["average"].as_f64().expect("a number") - average).abs() < 0.011, "{line}, expected {average}");
    }
    let mut currencies: Vec<&Value> = all.iter().map(|line| &line["currency"]).collect();
    currencies.dedup();
    assert_eq!(currencies, [&json!("dollar"), &json!("euro"), &json!("dollar")]);
}
