//! A version that lets the one before close the windows that this has opened, in a job that is killed meanwhile.

use crate::harness::cells::result;
use crate::harness::data::json_lines;
use crate::harness::live::{course, history, listens, obeyed, refused};
use crate::harness::patience::until;
use crate::harness::plugins::component;
use crate::harness::program::unwrapped;
use crate::harness::report;
use crate::harness::versions::{self, Pace, place, reaches, start, version};
use crate::oracle::windows::{Answer, Row, tumbling};
use serde_json::{Value, json};
use std::fs;

const START: i64 = 1_356_998_400_000;
const WINDOW: i64 = 600_000;
/// A window takes a quarter of a minute.
const PACE: Pace = Pace { step: 30, rate: 1_500 };
/// Three windows of rows.
const ROWS: i64 = 3 * WINDOW / PACE.step;
/// Keys come in no order, and most of them more than once in a window.
const KEYS: i64 = 8_009;

fn row(id: i64) -> Row {
    let key = (id * 2_654_435_761) % (1 << 32) / 256 % KEYS;
    Row { key: format!("{}|{}", key % 90, key / 90), time: START + id * PACE.step, amount: id % 90 }
}

/// As below, with a version that somebody has put to where the job file finds it.
#[test]
fn a_kill_in_a_transition_of_the_file() {
    killed_in_a_transition(true);
}

/// Version 3 takes over in the middle of a window, and the host is killed before that closes → version 1 closes the windows that
/// it has opened, in the next run, version 3 those that were opened from then on and never a state of another version; then
/// it goes on alone, and every window is right.
#[test]
fn a_kill_in_a_transition() {
    killed_in_a_transition(false);
}

/// `is_filed`: whether the job file names the version when the job starts again.
fn killed_in_a_transition(is_filed: bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let rows: Vec<Row> = (0..ROWS).map(row).collect();
    versions::write(dir, &rows, &PACE, "open_windows = \"finish-old\"\nprobation = \"0s\"");
    let manifests = versions::manifests(dir);
    let mut host = start(dir);
    listens(dir, "averages");
    // In the second window.
    reaches(dir, &mut host, ROWS * 35 / 100);
    let finish_old = ["--open-windows", "finish-old"];
    let key = component("cell-key").display().to_string();
    let reason = unwrapped(&refused(dir, &[&["swap", "job.toml", "cells", &key], &finish_old[..]].concat()));
    assert!(reason.contains("has no windows"), "{reason}");
    let mut third = version(3);
    if is_filed {
        place(dir, 3);
        third = "averages.wasm".to_owned();
    }
    let said = obeyed(dir, &["swap", "job.toml", "averages", &third]);
    assert!(said.contains("until the version before has closed the windows that it has opened"), "{said}");
    let mark = |newest: &wasmill_stream::checkpoint::Manifest| newest.plugins.get("averages").cloned();
    until("a checkpoint with both", || mark(&manifests.newest()?).filter(|mark| mark.successor.is_some()));
    let ended = host.kill();
    assert_eq!(ended.code, None, "it ended by itself: {}", ended.log);

    let host = start(dir);
    listens(dir, "averages");
    let said = obeyed(dir, &["swap", "job.toml", "averages"]);
    assert!(said.contains("cell-average-3 0.1.0 (") && said.contains("until the version before has closed"), "{said}");
    let reason = unwrapped(&refused(dir, &["swap", "job.toml", "averages", &version(2)]));
    assert!(reason.contains("takes over window by window in step averages"), "{reason}");
    let events = until("the end of the transition", || {
        Some(history(dir, "averages")).filter(|events| course(events).last() == Some(&"promoted"))
    });
    assert_eq!(course(&events), ["swapped", "refused", "promoted"], "{events:?}");
    let closed = &events[2];
    let outcome = closed["outcome"].as_str().expect("words");
    assert!(
        outcome.contains("goes on alone: cell-average 0.1.0 (") && outcome.contains("closed its last"),
        "{outcome}"
    );
    let mark = until("a checkpoint with the new one", || {
        mark(&manifests.newest()?).filter(|mark| mark.name == "cell-average-3" && mark.successor.is_none())
    });
    assert_eq!(json!(mark.sha256), closed["version"]["sha256"]);
    let log = host.text();
    versions::rest(dir, host);
    assert!(log.contains("takes over from cell-average 0.1.0, which closes the windows"), "{log}");

    let text = fs::read_to_string(dir.join("results.jsonl")).expect("the sink wrote it");
    let results = json_lines(&text);
    let answer: Answer = results.iter().map(result).collect();
    assert_eq!((answer.len(), &answer), (results.len(), &tumbling(&rows, WINDOW)));
    let by = |window: i64| -> (usize, usize) {
        let of = |row: &&Value| result(row).0.0 == START + window * WINDOW;
        let (new, old): (Vec<&Value>, Vec<&Value>) =
            results.iter().filter(of).partition(|row| row["versions"].is_array());
        assert!(new.iter().all(|row| row["versions"] == json!([3])), "version 3 has met a state of another one");
        (old.len(), new.len())
    };
    let [first, second, third] = [0, 1, 2].map(by);
    assert!(first.1 == 0 && second.0 > 0 && second.1 > 0 && third.0 == 0, "{first:?} {second:?} {third:?}");
    report(&format!("of the window of the swap {} keys are the old version's, {} the new one's", second.0, second.1));
}
