//! States that change their layout while the job runs: three versions of one aggregator, whose windows stay open from one to
//! the next, versions that do not understand what they find, and a host that is killed in the middle.

use crate::harness::builds::another;
use crate::harness::cells::{self, result};
use crate::harness::chance::{Chance, count};
use crate::harness::data::json_lines;
use crate::harness::host::Host;
use crate::harness::live::{Gaps, course, history, listens, obeyed, refused};
use crate::harness::patience::for_a_while;
use crate::harness::program::{unwrapped, wasmill};
use crate::harness::report;
use crate::harness::stream::{Stream, replace};
use crate::harness::versions::{self, Pace, place, reaches, start, version};
use crate::oracle::windows::{Answer, Row, tumbling};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const START: i64 = 1_356_998_400_000;
const SECOND: i64 = 1_000;
const WINDOW: i64 = 600 * SECOND;
/// Keys of the rows of [`row`].
const KEYS: i64 = 20;

/// A row a second, of one key after the other.
fn row(id: i64) -> Row {
    Row { key: format!("{}|3", id % KEYS), time: START + id * SECOND, amount: id % 90 }
}

/// Which versions the state of a window has been through, if the one that has finished it says so.
fn been_through(row: &Value) -> Vec<i64> {
    row["versions"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// Counts and averages as the job tells them, each window once.
fn answer(rows: &[Value]) -> Answer {
    let answer: Answer = rows.iter().map(result).collect();
    assert_eq!(answer.len(), rows.len(), "each window once");
    answer
}

/// Version 1 with windows open; version 2 takes over, then version 3 after a probation, then one that is too old and one that
/// cannot read what is there, at once and on probation → the windows have been through all three and are right, and the
/// others change nothing.
#[test]
fn windows_stay_open_through_three_versions() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let job =
        cells::job("type = \"stdin\"", "disorder = \"1s\"", "window = { tumbling = \"10m\" }", "type = \"stdout\"");
    fs::write(dir.join("job.toml"), job).expect("it can be written");
    let mut stream = Stream::run(dir, &["--set", "out=."]);
    let feed = |stream: &mut Stream, to: i64| stream.put((stream.fed()..to).map(|id| cells::line(&row(id))));
    let swap = |number: u32, probation: &str, why: &str| {
        let version = version(number);
        obeyed(dir, &["swap", "job.toml", "averages", &version, "--probation", probation, "--why", why])
    };
    listens(dir, "averages");
    // When the first window has come out, rows of the second one have been read by the first version.
    feed(&mut stream, 700);
    let mut rows = stream.take(KEYS as usize);
    assert!(rows.iter().all(|row| been_through(row).is_empty()), "{rows:?}");
    let said = swap(2, "0s", "tells versions");
    assert!(said.contains("cell-average-2 0.1.0 (") && said.contains(") in place of cell-average 0.1.0 ("), "{said}");
    feed(&mut stream, 800);
    let said = swap(3, "10m", "tells the greatest");
    assert!(said.contains("on probation for 10 min"), "{said}");
    // It has a state of its own beside that of version 2: nothing else is let in, but for a moment.
    let reason = unwrapped(&refused(dir, &["swap", "job.toml", "averages", &version(4)]));
    assert!(reason.contains("cell-average-3 0.1.0 is on trial") && reason.contains("--promote"), "{reason}");
    feed(&mut stream, 1_300);
    rows.extend(stream.take(KEYS as usize));
    obeyed(dir, &["swap", "job.toml", "averages", "--promote"]);
    feed(&mut stream, 1_500);
    let reason = unwrapped(&refused(dir, &["swap", "job.toml", "averages", &version(1)]));
    assert!(reason.contains("version 3, and this plugin knows only up to 1"), "{reason}");
    let reason = unwrapped(&refused(dir, &["swap", "job.toml", "averages", &version(4), "--probation", "0s"]));
    assert!(reason.contains("version 3; this plugin reads version 4"), "{reason}");
    let reason = unwrapped(&refused(dir, &["swap", "job.toml", "averages", &version(4), "--probation", "10m"]));
    assert!(reason.contains("rewrite a sample of ") && reason.contains(" states from version 3 to 4: "), "{reason}");
    feed(&mut stream, 1_700);
    let events = history(dir, "averages");
    let expected = ["swapped", "swapped", "refused", "promoted", "refused", "refused", "refused"];
    assert_eq!(course(&events), expected, "{events:?}");
    let outcome = |at: usize| events[at]["outcome"].as_str().expect("words");
    assert!(outcome(0).contains(" states rewritten from version 1 to 2 in "), "{}", outcome(0));
    assert!(outcome(1).contains(" states tried from version 2 to 3: "), "{}", outcome(1));
    assert!(outcome(3).contains(" states rewritten from version 2 to 3 in "), "{}", outcome(3));
    assert!(outcome(6).contains("version 3; this plugin reads version 4"), "{}", outcome(6));
    feed(&mut stream, 2_500);
    rows.extend(stream.rest());
    let of = |window: i64| {
        let start = START + window * WINDOW;
        rows.iter().filter(move |row| result(row).0.0 == start).map(been_through).collect::<Vec<_>>()
    };
    assert!(of(1).contains(&vec![1, 2, 3]), "windows that were open all the time: {:?}", of(1));
    assert!(of(1).iter().all(|versions| versions.ends_with(&[3])), "on probation version 3 answers: {:?}", of(1));
    assert!(of(3).iter().all(|versions| *versions == [3]), "{:?}", of(3));
    let fed: Vec<Row> = (0..stream.fed()).map(row).collect();
    assert_eq!(answer(&rows), tumbling(&fed, WINDOW));
    stream.end(&["rows", "cells", "averages"]);
}

/// Rows for each round of kills, and their keys: enough states for a migration to take its time.
const MANY: i64 = 120_000;
const MANY_KEYS: i64 = 40_000;
/// All of them make two windows.
const PACE: Pace = Pace { step: 10, rate: 5_000 };

/// Writes the job of the kills, and returns its rows.
fn many(dir: &Path) -> Vec<Row> {
    let row = |id: i64| Row {
        key: format!("{}|{}", id % MANY_KEYS % 200, id % MANY_KEYS / 200),
        time: START + id * PACE.step,
        amount: id % 90,
    };
    let rows: Vec<Row> = (0..MANY).map(row).collect();
    versions::write(dir, &rows, &PACE, "");
    rows
}

/// Puts a version into the running job and kills the job after a while. Returns whether the job had answered before.
fn killed(dir: &Path, host: Host, number: u32, after: Duration) -> bool {
    place(dir, number);
    let mut swap = wasmill(dir);
    swap.args(["swap", "job.toml", "averages", "averages.wasm", "--probation", "0s"]);
    let mut swap = swap.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    for_a_while(after, || None::<()>);
    let answered = swap.try_wait().expect("it is ours").is_some();
    let ended = host.kill();
    assert_eq!(ended.code, None, "it ended by itself: {}", ended.log);
    swap.wait().expect("it is ours");
    answered
}

/// SIGKILL at a random moment while states of forty thousand windows become those of the next version, twice in a row → the
/// next run goes on with that version, every window comes out once, and counts and averages are right.
#[test]
fn kills_in_the_middle() {
    let (rounds, mut chance) = (count("WASMILL_MIGRATIONS", 2), Chance::announced());
    let dir = tempfile::tempdir().expect("a folder");
    let rows = many(dir.path());
    let expected = tumbling(&rows, WINDOW);
    let (mut gaps, mut took) = (Gaps::default(), Duration::ZERO);
    let (mut early, mut through) = (0, 0);
    for round in 0..=rounds {
        for leftover in ["checkpoints", "results.jsonl", "late.jsonl"] {
            let path = dir.path().join(leftover);
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        many(dir.path());
        let mut host = start(dir.path());
        listens(dir.path(), "averages");
        for (number, rows) in [(2, MANY_KEYS), (3, MANY_KEYS + 10_000)] {
            reaches(dir.path(), &mut host, rows);
            if round == 0 {
                // Nobody is killed, to see how long it takes.
                place(dir.path(), number);
                let since = Instant::now();
                gaps.add(&obeyed(dir.path(), &["swap", "job.toml", "averages", "averages.wasm", "--probation", "0s"]));
                took = took.max(since.elapsed());
                continue;
            }
            let answered =
                killed(dir.path(), host, number, chance.shorter(took.mul_f64(1.2).min(Duration::from_secs(3))));
            early += usize::from(!answered);
            host = start(dir.path());
        }
        let log = versions::rest(dir.path(), host);
        assert!(round == 0 || log.contains("going on from checkpoint"), "{log}");
        let text = fs::read_to_string(dir.path().join("results.jsonl")).expect("the sink wrote it");
        let results = json_lines(&text);
        assert_eq!(answer(&results), expected, "round {round}");
        through += results.iter().filter(|row| been_through(row) == [1, 2, 3]).count();
    }
    assert!(through > 0, "some windows have been through all versions");
    gaps.report("two migrations of some 40,000 states");
    report(&format!(
        "{} kills, {early} of them before the job had answered; a swap takes {} ms; {through} windows through 3 versions",
        2 * rounds,
        took.as_millis()
    ));
}

/// A job whose states have been migrated, stopped, and started again with a job file that names another build of the version
/// before → refused with the reason; with the component that it named when the newer version was swapped in, that one goes on,
/// and every window is right.
#[test]
fn the_version_before_cannot_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = many(dir.path());
    let mut host = start(dir.path());
    listens(dir.path(), "averages");
    reaches(dir.path(), &mut host, MANY_KEYS);
    obeyed(dir.path(), &["swap", "job.toml", "averages", &version(2), "--probation", "0s"]);
    host.signal("TERM");
    host.wait().well();
    let first = fs::read(version(1)).expect("it was built");
    replace(&dir.path().join("averages.wasm"), &another(&first, 1));
    let ended = start(dir.path()).wait();
    let reason = unwrapped(&ended.log);
    assert_eq!(ended.code, Some(2), "{reason}");
    assert!(reason.contains("averages") && reason.contains("version 2"), "{reason}");
    place(dir.path(), 1);
    versions::hurry(dir.path());
    start(dir.path()).wait().well();
    let text = fs::read_to_string(dir.path().join("results.jsonl")).expect("the sink wrote it");
    assert_eq!(answer(&json_lines(&text)), tumbling(&rows, WINDOW));
    let events = history(dir.path(), "averages");
    assert_eq!(course(&events), ["swapped"]);
    assert_eq!(events[0]["before"]["name"], json!("cell-average"));
}
