//! Plugins that fail or lie: every other row comes out, the rows at fault become dead letters, and steps beside them notice
//! nothing.

use crate::harness::data::json_lines;
use crate::harness::job::{Failure, Job, guest_counts};
use crate::harness::program::{output, unwrapped, wasmill};
use crate::harness::{plugins, root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use wasmill_stream::ledger::Ledger;

/// 2013-01-01T00:00:00Z
const START: i64 = 1_356_998_400_000;

/// Rows with ids from 1, one a second.
fn line(id: i64) -> String {
    json!({"t": START + id * 1_000, "id": id}).to_string()
}

/// A hostile transform beside an honest one, both with a file behind them.
fn job(settings: &str) -> Job {
    Job::new(format!(
        r#"
        [engine]
        epoch = "20ms"

        [source.rows]
        type = "replay"
        path = "${{in}}"
        splits = 4
        event_time = "/t: time(unix-ms)"

        [step.hostile]
        input = "rows"
        plugin = "plugins/hostile/transform"
        settings = {{ {settings} }}
        limits = {{ call = "100ms" }}
        failures = {{ share = 0.05, give_up = "1500ms" }}

        [step.neighbour]
        input = "rows"
        plugin = "plugins/identity"

        [sink.survivors]
        input = "hostile"
        type = "file"
        path = "${{out}}/survivors.jsonl"
        overwrite = true

        [sink.all]
        input = "neighbour"
        type = "file"
        path = "${{out}}/all.jsonl"
        overwrite = true
        "#
    ))
}

const DEAD_LETTERS: &str = "[dead_letter]\ntype = \"file\"\npath = \"${out}/dead.jsonl\"\noverwrite = true";

/// Runs a job over so many rows.
fn run(job: Job, dir: &Path, rows: i64) -> Result<Ledger, Failure> {
    let input = dir.join("in.jsonl");
    let lines: String = (1..=rows).map(|id| line(id) + "\n").collect();
    fs::write(&input, lines).expect("it can be written");
    job.set("in", input.display()).set("out", dir.display()).workers(2).try_run()
}

fn ids(path: &Path) -> Vec<i64> {
    let text = fs::read_to_string(path).expect("the sink wrote it");
    let mut ids: Vec<i64> = json_lines(&text).iter().map(|row| row["id"].as_i64().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

fn letters(dir: &Path) -> Vec<Value> {
    let mut letters = json_lines(&fs::read_to_string(dir.join("dead.jsonl")).expect("the sink wrote it"));
    let id = |letter: &Value| {
        let record = letter["record"].as_str().expect("the record as it was read");
        serde_json::from_str::<Value>(record).expect("JSON")["id"].as_i64()
    };
    letters.sort_by_key(id);
    letters
}

/// A trap on one of a thousand rows → the other 999 come out, byte for byte, and each of the bad ones has a letter that says
/// everything about it.
#[test]
fn one_in_a_thousand() {
    let dir = tempfile::tempdir().expect("a folder");
    run(job("do = \"trap\"").append(DEAD_LETTERS), dir.path(), 10_000).unwrap_or_else(|error| panic!("{error:?}"));
    let expected: Vec<i64> = (1..=10_000).filter(|id| id % 1_000 != 0).collect();
    assert!(ids(&dir.path().join("survivors.jsonl")) == expected);
    let text = fs::read_to_string(dir.path().join("survivors.jsonl")).expect("it is there");
    assert!(
        text.lines()
            .all(|row| row == line(serde_json::from_str::<Value>(row).expect("JSON")["id"].as_i64().expect("id")))
    );

    let letters = letters(dir.path());
    assert_eq!(letters.len(), 10);
    for (letter, id) in letters.iter().zip((1_000..).step_by(1_000)) {
        assert_eq!(letter["record"], line(id));
        // Rows are dealt to four splits in turn and counted from 1 in each.
        assert_eq!(letter["split"], format!("rows/{}", (id - 1) % 4));
        assert_eq!(letter["position"], ((id - 1) / 4 + 1).to_string());
        assert_eq!((&letter["cause"], &letter["step"]), (&json!("trap"), &json!("hostile")));
        assert_eq!(letter["plugin"]["name"], "hostile-transform");
        assert_eq!(letter["plugin"]["sha256"].as_str().map(str::len), Some(64));
        let reason = letter["reason"].as_str().expect("a reason");
        assert!(reason.contains("unreachable"), "{reason}");
        assert!(letter["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{letter}");
    }
}

/// Everything that a transform can do to its host → the right word for it in the letters of the bad rows, all other rows come
/// out, and the step beside it has them all.
#[test]
fn every_deed() {
    let cases = [
        ("do = \"loop\"", "deadline", "CPU"),
        ("do = \"memory\"", "memory", "memory"),
        ("do = \"recursion\"", "trap", "stack"),
        ("do = \"panic\"", "trap", "a bad row"),
        ("do = \"slow\", amount = 1000000000", "deadline", "CPU"),
        ("answer = \"many-rows\"", "output", "rows"),
        ("answer = \"huge-value\", amount = 20000000", "output", "MiB"),
        ("answer = \"unknown-row\"", "contract", "origins"),
        ("answer = \"descending-rows\", every = 997", "contract", ""),
        ("answer = \"short-column\"", "contract", "times"),
        ("answer = \"ends-beyond-bytes\"", "contract", "values"),
        ("answer = \"far-future\"", "contract", "times"),
        ("answer = \"far-past\"", "contract", "times"),
        ("answer = \"unknown-side\"", "contract", "side"),
        ("answer = \"unknown-reject\"", "contract", "rejects"),
        ("answer = \"rejected-origin\"", "contract", "rejects"),
        ("answer = \"not-utf8-reason\"", "contract", "utf-8"),
    ];
    for (settings, cause, words) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let ran = run(job(settings).append(DEAD_LETTERS), dir.path(), 2_000);
        ran.unwrap_or_else(|error| panic!("{settings}: {}", error.text()));
        assert_eq!(ids(&dir.path().join("all.jsonl")).len(), 2_000, "{settings}: its neighbour");
        // A single row is in order, whichever way round.
        let bad: &[i64] = if settings.contains("descending") { &[] } else { &[1_000, 2_000] };
        let expected: Vec<i64> = (1..=2_000).filter(|id| !bad.contains(id)).collect();
        let survivors = ids(&dir.path().join("survivors.jsonl"));
        assert!(survivors == expected, "{settings}: {} rows survive", survivors.len());
        let letters = letters(dir.path());
        assert_eq!(letters.len(), bad.len(), "{settings}: {letters:#?}");
        for letter in letters {
            let reason = letter["reason"].as_str().expect("a reason").to_lowercase();
            assert_eq!(letter["cause"], cause, "{settings}: {letter}");
            assert!(reason.contains(&words.to_lowercase()), "{settings}: {reason}");
            assert!(!reason.contains('\u{1b}'), "{settings}: {reason}");
        }
    }
}

/// Floods of log lines and metrics, and metrics that are none → all rows come out, no letter.
#[test]
fn floods() {
    for settings in
        ["do = \"log-flood\"", "do = \"long-line\"", "do = \"metric-flood\", amount = 10000", "do = \"bad-metrics\""]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let settings =
            format!("{settings}, every = 100{}", if settings.contains("amount") { "" } else { ", amount = 1000" });
        let ledger = run(job(&settings).append(DEAD_LETTERS), dir.path(), 2_000);
        let ledger = ledger.unwrap_or_else(|error| panic!("{settings}: {}", error.text()));
        assert_eq!(ids(&dir.path().join("survivors.jsonl")).len(), 2_000, "{settings}");
        let guest = guest_counts(&ledger, "hostile");
        assert!(guest.metrics.len() <= 64, "{settings}");
        assert!(guest.metrics.keys().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')));
    }
}

/// A plugin that fails on every row → the step pauses instead of throwing the stream away, and after its patience the job
/// ends with the reason; hardly a letter is written.
#[test]
fn a_broken_plugin_stops_the_stream() {
    let dir = tempfile::tempdir().expect("a folder");
    let error =
        run(job("do = \"trap\", every = 1").append(DEAD_LETTERS), dir.path(), 5_000).expect_err("it never works");
    let text = error.text();
    assert!(
        text.contains("step hostile") && text.contains("paused for") && text.contains("the plugin fails on"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(dir.path().join("survivors.jsonl")).unwrap_or_default(), "");
}

/// A plugin that says that it cannot work → the job ends with its words. Without dead letters, so does one that traps, and the
/// error says what would help.
#[test]
fn ends_of_jobs() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = run(job("answer = \"fatal\"").append(DEAD_LETTERS), dir.path(), 2_000).expect_err("it is fatal");
    assert!(error.text().contains("it is no use"), "{}", error.text());
    let error = run(job("do = \"trap\""), dir.path(), 2_000).expect_err("nowhere to go");
    assert!(error.text().contains("step hostile") && error.text().contains("[dead_letter]"), "{}", error.text());
}

/// Records that are no JSON or have no time, a row that a plugin refuses, a window that it refuses, a late row → one file of
/// letters, each with its cause and with what is left of it.
#[test]
fn every_cause() {
    let dir = tempfile::tempdir().expect("a folder");
    let row =
        |id: i64, cents: i64, second: i64| json!({"t": START + second * 1_000, "id": id, "cents": cents}).to_string();
    let mut lines: Vec<String> = (1..=11).map(|id| row(id, 1, id)).collect();
    lines.extend(["{\"t\":".to_owned(), "{\"id\":5}".to_owned(), row(100, 13, 12)]);
    // A leap is believed when three rows have taken it. Others come a second after them, and then the late one.
    lines.extend([201, 202, 203].map(|id| row(id, 1, 100_000)));
    lines.extend([204, 205, 206].map(|id| row(id, 1, 200_000)));
    lines.push(row(300, 1, 3));
    let input = dir.path().join("in.jsonl");
    fs::write(&input, lines.join("\n")).expect("it can be written");
    let job = Job::new(
        r#"
        [engine]
        epoch = "5ms"
        [source.rows]
        type = "replay"
        path = "${in}"
        speedup = 100000
        time = "/t: time(unix-ms)"
        event_time = "/t: time(unix-ms)"
        watermark = { disorder = "0s" }
        [step.windows]
        input = "rows"
        plugin = "plugins/conformance/rust/aggregator"
        window = { tumbling = "1h" }
        [sink.results]
        input = "windows"
        type = "file"
        path = "${out}/results.jsonl"
        overwrite = true
        [dead_letter]
        late = true
        type = "file"
        path = "${out}/dead.jsonl"
        overwrite = true
        "#,
    );
    job.set("in", input.display()).set("out", dir.path().display()).workers(2).run();
    let letters = json_lines(&fs::read_to_string(dir.path().join("dead.jsonl")).expect("the sink wrote it"));
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap_or("-").to_owned();
    let mut found: Vec<_> =
        letters.iter().map(|letter| ["step", "cause", "reason", "record"].map(|name| text(letter, name))).collect();
    found.sort_unstable();
    let words = |step: &str, cause: &str, reason: &str, record: &str| [step, cause, reason, record].map(str::to_owned);
    let expected = [
        words("rows", "undecodable", "no event time: field `/t: time(unix-ms)` is missing", "{\"id\":5}"),
        words("rows", "undecodable", "no event time: the record is not a whole JSON object", "{\"t\":"),
        words("windows", "late", "the watermark has passed it", &row(300, 1, 3)),
        words("windows", "rejected", "eleven", "-"),
        words("windows", "rejected", "unlucky", &row(100, 13, 12)),
    ];
    assert_eq!(found, expected);
    let window = letters.iter().find(|letter| letter["reason"] == "eleven").expect("it is there");
    assert_eq!(window["window_start"], "2013-01-01T00:00:00.000Z");
    assert!(window["accumulator"].is_object() || window["accumulator"].is_string(), "{window}");
}

/// A plugin that panics when it is configured → `wasmill check` names the step, the plugin, the panic, and the place of the
/// settings in the job file.
#[test]
fn panic_in_configure() {
    let dir = tempfile::tempdir().expect("a folder");
    let plugin = plugins::built(&root().join("plugins/hostile/transform"));
    let job = format!(
        "[source.rows]\ntype = \"replay\"\ngenerate = \"taxi\"\ntrips = 10\nevent_time = \"arrival\"\n\
         [step.bomb]\ninput = \"rows\"\nplugin = \"{}\"\nsettings = {{ do = \"panic-in-configure\" }}\n\
         [sink.out]\ninput = \"bomb\"\ntype = \"stdout\"\n",
        plugin.display()
    );
    fs::write(dir.path().join("job.toml"), job).expect("it can be written");
    let (code, stdout, stderr) = output(wasmill(dir.path()).args(["check", "job.toml"]));
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    let text = unwrapped(&stderr);
    for words in ["step bomb: plugin hostile-transform 0.1.0: `configure` trapped", "[job.toml:9:1]", "settings = {"] {
        assert!(text.contains(words), "{words} is not in:\n{stderr}");
    }
}
