//! Hostile aggregators and processes in whole jobs: rows, windows or timers at fault become dead letters, everything else is
//! as brute force has it, and the steps beside them notice nothing.

use crate::harness::cells;
use crate::harness::data::json_lines;
use crate::harness::job::{Failure, Job};
use crate::oracle::calendar;
use crate::oracle::windows::{self, Answer, Row};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use wasmill_stream::ledger::Ledger;

const START: i64 = 1_356_998_400_000;
const ROWS: i64 = 2_000;
const MINUTE: i64 = 60_000;

/// A setting of a hostile plugin, the cause in the letters of its bad rows, and words of the reason.
type Case = (&'static str, &'static str, &'static str);

/// What every kind of plugin can do to its host.
const DEEDS: [Case; 6] = [
    ("do = \"loop\"", "deadline", "CPU"),
    ("do = \"slow\", amount = 1000000000", "deadline", "CPU"),
    ("do = \"memory\"", "memory", "memory"),
    ("do = \"recursion\"", "trap", "stack"),
    ("do = \"trap\"", "trap", "unreachable"),
    ("do = \"panic\"", "trap", "a bad row"),
];

/// Rows of four keys, one a second. Row `id` is the one at second `id`.
fn rows() -> Vec<Row> {
    let row = |id: i64| Row { key: format!("{}|1", id * id % 7), time: START + id * 1_000, amount: id % 100 };
    (1..=ROWS).map(row).collect()
}

fn id(row: &Row) -> i64 {
    (row.time - START) / 1_000
}

fn is_bad(row: &Row) -> bool {
    id(row) % 1_000 == 0
}

/// A job of a hostile step and an honest one, both behind a transform that sets keys.
fn job(hostile: &str, neighbour: &str) -> Job {
    Job::new(format!(
        r#"
        [engine]
        epoch = "20ms"

        [source.rows]
        type = "replay"
        path = "${{in}}"
        splits = 4
        event_time = "/t: time(unix-ms)"
        watermark = {{ disorder = "1h" }}

        [step.cells]
        input = "rows"
        plugin = "plugins/cell-key"

        [step.hostile]
        input = "cells"
        limits = {{ call = "100ms", state = "32 KiB" }}
        {hostile}

        [step.neighbour]
        input = "cells"
        {neighbour}

        [sink.survivors]
        input = "hostile"
        type = "file"
        path = "${{out}}/survivors.jsonl"
        overwrite = true

        [sink.all]
        input = "neighbour"
        type = "file"
        path = "${{out}}/results.jsonl"
        overwrite = true

        [dead_letter]
        type = "file"
        path = "${{out}}/dead.jsonl"
        overwrite = true
        "#
    ))
}

fn aggregation(settings: &str, window: &str) -> Job {
    let hostile = format!("plugin = \"plugins/hostile/aggregator\"\nsettings = {{ {settings} }}\nwindow = {window}");
    job(&hostile, "plugin = \"plugins/cell-average\"\nwindow = { tumbling = \"1m\" }")
}

fn process(settings: &str, order: &str) -> Job {
    let hostile = format!("plugin = \"plugins/hostile/process\"\nsettings = {{ {settings} }}\norder = \"{order}\"");
    job(&hostile, "plugin = \"plugins/identity\"")
}

fn run(job: Job, dir: &Path) -> Result<Ledger, Failure> {
    let input = dir.join("in.jsonl");
    let line = |row: &Row| {
        let mut value: Value = serde_json::from_str(&cells::line(row)).expect("JSON");
        value["id"] = id(row).into();
        format!("{value}\n")
    };
    fs::write(&input, rows().iter().map(line).collect::<String>()).expect("it can be written");
    job.set("in", input.display()).set("out", dir.display()).workers(2).try_run()
}

fn lines(dir: &Path, name: &str) -> Vec<Value> {
    json_lines(&fs::read_to_string(dir.join(name)).expect("the sink wrote it"))
}

/// The rows of a file, by their ids.
fn ids(dir: &Path, name: &str) -> Vec<i64> {
    let mut ids: Vec<i64> = lines(dir, name).iter().map(|row| row["id"].as_i64().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

/// How many rows the hostile aggregator has counted, by window and key.
fn counts(dir: &Path) -> BTreeMap<(i64, String), i64> {
    let lines = lines(dir, "survivors.jsonl");
    let counts: BTreeMap<_, _> = lines
        .iter()
        .map(|result| {
            let key = result["key"].as_str().expect("text").to_owned();
            ((result["start"].as_i64().expect("a time"), key), result["count"].as_i64().expect("a number"))
        })
        .collect();
    assert_eq!(counts.len(), lines.len(), "each window once");
    counts
}

fn expected_counts(answer: Answer) -> BTreeMap<(i64, String), i64> {
    answer.into_iter().map(|((start, _, key), (count, _))| ((start, key), count)).collect()
}

fn good_rows() -> Vec<Row> {
    rows().into_iter().filter(|row| !is_bad(row)).collect()
}

/// Each letter has the cause and says the words; they are those of the bad rows, and of no others.
fn assert_letters((settings, cause, words): Case, dir: &Path) {
    let mut letters = lines(dir, "dead.jsonl");
    let id = |letter: &Value| {
        let record = letter["record"].as_str().unwrap_or_else(|| panic!("{settings}: no record in {letter}"));
        serde_json::from_str::<Value>(record).expect("JSON")["id"].as_i64()
    };
    letters.sort_by_key(id);
    assert_eq!(letters.iter().map(id).collect::<Vec<_>>(), [Some(1_000), Some(2_000)], "{settings}");
    for letter in letters {
        let reason = letter["reason"].as_str().expect("a reason").to_lowercase();
        assert_eq!((&letter["step"], &letter["cause"]), (&json!("hostile"), &json!(cause)), "{settings}: {letter}");
        assert!(reason.contains(&words.to_lowercase()), "{settings}: {reason}");
        assert!(!reason.contains('\u{1b}'), "{settings}: {reason}");
    }
}

/// Everything that an aggregator can do to its host while it counts → letters of the bad rows with the right cause; the
/// windows hold all other rows, and those beside it all rows.
#[test]
fn aggregators() {
    let answers: [Case; 4] = [
        ("answer = \"fewer-accumulators\"", "contract", "`accumulators` has"),
        ("answer = \"huge-accumulators\", amount = 40000", "output", "at most 32 KiB"),
        ("answer = \"falling-ends\"", "contract", "`accumulators`: end"),
        ("answer = \"unknown-reject\"", "contract", "`rejects` names row"),
    ];
    for case in DEEDS.into_iter().chain(answers) {
        let settings = case.0;
        let dir = tempfile::tempdir().expect("a folder");
        let ran = run(aggregation(settings, "{ tumbling = \"1m\" }"), dir.path());
        ran.unwrap_or_else(|error| panic!("{settings}: {}", error.text()));
        let expected = expected_counts(windows::tumbling(&good_rows(), MINUTE));
        assert!(counts(dir.path()) == expected, "{settings}: {:?}", counts(dir.path()));
        let neighbour = cells::results_in(dir.path());
        assert!(neighbour == windows::tumbling(&rows(), MINUTE), "{settings}: its neighbour");
        assert_letters(case, dir.path());
    }
}

/// An aggregator that fails on every window when it fires → a letter for each with what was counted until then, to the last
/// row; the windows beside it are all there.
#[test]
fn windows_that_cannot_be_finished() {
    let cases: [Case; 7] = [
        ("answer = \"unknown-result\"", "contract", "`origins` names row"),
        ("answer = \"many-results\", amount = 200000", "output", "rows"),
        ("answer = \"rejected-result\"", "contract", "both in `rejects`"),
        ("answer = \"not-utf8-reason\"", "contract", "utf-8"),
        ("answer = \"loop-in-finish\"", "deadline", "CPU"),
        ("answer = \"retry-in-finish\"", "retry", "later, perhaps"),
        // A window by itself is in order, whichever way round.
        ("answer = \"descending-results\"", "", ""),
    ];
    for (settings, cause, words) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let job = aggregation(settings, "{ tumbling = \"5m\" }").replace("call = \"100ms\"", "call = \"50ms\"");
        // However many windows fail, the step goes on.
        let job = job.replace("settings = {", "failures = { share = 1.0 }\nsettings = {");
        run(job, dir.path()).unwrap_or_else(|error| panic!("{settings}: {}", error.text()));
        assert!(cells::results_in(dir.path()) == windows::tumbling(&rows(), MINUTE), "{settings}: its neighbour");

        let expected = expected_counts(windows::tumbling(&rows(), 5 * MINUTE));
        let letters = lines(dir.path(), "dead.jsonl");
        if cause.is_empty() {
            assert!(letters.is_empty() && counts(dir.path()) == expected, "{settings}");
            continue;
        }
        assert_eq!(lines(dir.path(), "survivors.jsonl"), [] as [Value; 0], "{settings}");
        let found: BTreeMap<_, _> = letters
            .iter()
            .map(|letter| {
                let reason = letter["reason"].as_str().expect("a reason").to_lowercase();
                assert_eq!(letter["cause"], cause, "{settings}: {letter}");
                assert!(reason.contains(&words.to_lowercase()), "{settings}: {reason}");
                let start = letter["window_start"].as_str().and_then(calendar::millis).expect("a time");
                // Its count: eight bytes, little-endian, which happen to be text as long as they are small.
                let count =
                    letter["accumulator"].as_str().and_then(|text| text.bytes().collect::<Vec<_>>().try_into().ok());
                let count = i64::from_le_bytes(count.unwrap_or_else(|| panic!("{settings}: {letter}")));
                ((start, letter["key"].as_str().expect("text").to_owned()), count)
            })
            .collect();
        assert!(found == expected && letters.len() == expected.len(), "{settings}: {found:?}");
    }
}

/// An aggregator that can never merge → too many windows would be without a result: the step pauses, and when its patience
/// ends the job does, with the reason.
#[test]
fn merging() {
    let dir = tempfile::tempdir().expect("a folder");
    let job = aggregation("answer = \"panic-in-merge\"", "{ sliding = \"2m\", every = \"1m\" }")
        .replace("settings = {", "failures = { give_up = \"1500ms\" }\nsettings = {");
    let text = run(job, dir.path()).expect_err("it can never merge").text();
    for words in ["step hostile", "paused for", "the plugin fails on 11 of", "`merge` trapped", "no merging"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let job = aggregation("", "{ sliding = \"2m\", every = \"1m\" }");
    run(job, dir.path()).unwrap_or_else(|error| panic!("it can: {}", error.text()));
    assert!(counts(dir.path()) == expected_counts(windows::sliding(&rows(), 2 * MINUTE, MINUTE)));
}

/// Everything that a process can do to its host → letters of the bad rows with the right cause, whatever the order of the
/// rows; all others pass, and the step beside it has them all.
#[test]
fn processes() {
    let answers: [Case; 15] = [
        ("answer = \"fewer-states\"", "contract", "`states` has"),
        ("answer = \"huge-states\", amount = 40000", "output", "at most 32 KiB"),
        ("answer = \"unknown-row\"", "contract", "`origins` names row"),
        ("answer = \"timeless-timer\"", "contract", "`times` is left out"),
        ("answer = \"past-timer\"", "contract", "later than the watermark"),
        ("answer = \"far-timer\"", "contract", "in `timers`"),
        ("answer = \"many-timers\", amount = 2000", "output", "more than 1024 timers"),
        ("answer = \"unknown-timer\"", "contract", "`timers` names key"),
        ("answer = \"descending-timers\"", "contract", "`timers` must be sorted"),
        ("answer = \"same-timer-twice\"", "contract", "without equal ones"),
        ("answer = \"short-timers\"", "contract", "`timers.times` has"),
        ("answer = \"unknown-side\"", "contract", "`sides` names output"),
        ("answer = \"rejected-origin\"", "contract", "both in `rejects`"),
        ("answer = \"not-utf8-reason\"", "contract", "utf-8"),
        ("answer = \"retry\"", "retry", "later, perhaps"),
    ];
    let deeds = DEEDS.into_iter().flat_map(|case| [(case, "event-time"), (case, "arrival")]);
    for (case, order) in deeds.chain(answers.map(|case| (case, "event-time"))) {
        let settings = case.0;
        let dir = tempfile::tempdir().expect("a folder");
        let ran = run(process(settings, order), dir.path());
        ran.unwrap_or_else(|error| panic!("{settings}, {order}: {}", error.text()));
        let expected: Vec<i64> = good_rows().iter().map(id).collect();
        let survivors = ids(dir.path(), "survivors.jsonl");
        assert!(survivors == expected, "{settings}, {order}: {} rows survive", survivors.len());
        assert!(
            ids(dir.path(), "results.jsonl") == (1..=ROWS).collect::<Vec<_>>(),
            "{settings}, {order}: its neighbour"
        );
        assert_letters(case, dir.path());
    }
}

/// Floods of log lines and metrics, and a process that says that it cannot work → the first cost no row; the second ends the
/// job with its words.
#[test]
fn floods_and_ends() {
    for settings in
        ["do = \"log-flood\", amount = 1000", "do = \"metric-flood\", amount = 10000", "do = \"bad-metrics\""]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = format!("{settings}, every = 100");
        let ran = run(process(&settings, "event-time"), dir.path());
        ran.unwrap_or_else(|error| panic!("{settings}: {}", error.text()));
        assert_eq!(ids(dir.path(), "survivors.jsonl").len(), ROWS as usize, "{settings}");
        let ran = run(aggregation(&settings, "{ tumbling = \"1m\" }"), dir.path());
        ran.unwrap_or_else(|error| panic!("{settings}: {}", error.text()));
        assert!(counts(dir.path()) == expected_counts(windows::tumbling(&rows(), MINUTE)), "{settings}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let text = run(process("answer = \"fatal\"", "arrival"), dir.path()).expect_err("it is fatal").text();
    assert!(text.contains("step hostile") && text.contains("it is no use"), "{text}");
}
