//! The raw archive: what a job keeps of a stream, read by others and read back. The answer of an archive is that of the stream.

mod input;

use crate::harness::bucket::Bucket;
use crate::harness::cells;
use crate::harness::chance::Chance;
use crate::harness::data::json_lines;
use crate::harness::host::Host;
use crate::harness::job::Job;
use crate::harness::kinesis::ACCESS;
use crate::harness::manifests::Manifests;
use crate::harness::patience::{for_a_while, until};
use crate::harness::plugins::component;
use crate::harness::program::wasmill;
use crate::harness::report;
use crate::harness::search::Search;
use crate::harness::server::MOTO;
use crate::harness::tool::tool;
use crate::oracle::windows;
use input::{Input, POISON, Sent};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a run lives after its first new checkpoint, at most.
const LIFE: Duration = Duration::from_millis(300);
const MINUTE: i64 = 60_000;

/// A job that reads `source` through a step that fails on some rows, into windows, and keeps its rows in a file and an index; its
/// dead letters too. With checkpoints, so that what it writes becomes visible by commits.
fn job(dir: &Path, source: &str, search: &Search, more: &str) -> String {
    let (dir, plugin) = (dir.display(), |name: &str| component(name).display().to_string());
    let (hostile, key, average) = (plugin("hostile/transform"), plugin("cell-key"), plugin("cell-average"));
    format!(
        r#"
        name = "archived"

        [engine]
        epoch = "10ms"
        in_flight = "64 KiB"

        [checkpoint]
        to = "{dir}/checkpoints"
        interval = "50ms"

        [source.rows]
        {source}
        event_time = "/t: time(unix-ms)"
        watermark = {{ disorder = "30s" }}

        [step.picky]
        input = "rows"
        plugin = "{hostile}"
        settings = {{ do = "trap", every = {POISON} }}

        [step.cells]
        input = "picky"
        plugin = "{key}"

        [step.averages]
        input = "cells"
        plugin = "{average}"
        window = {{ tumbling = "1m" }}

        [sink.results]
        input = "averages"
        type = "file"
        path = "{dir}/results.jsonl"

        [sink.late]
        input = "averages.late"
        type = "file"
        path = "{dir}/late.jsonl"

        [sink.rows_as_they_are]
        input = "picky"
        type = "file"
        path = "{dir}/rows.jsonl"

        [sink.index]
        input = "picky"
        type = "opensearch"
        endpoint = "{}"
        index = "rows"
        batch_rows = 200
        flush_interval = "10ms"

        [dead_letter]
        type = "file"
        path = "{dir}/dead.jsonl"
        {more}
        "#,
        search.url
    )
}

/// The source that reads the stream to its tip.
fn stream(input: &Input) -> String {
    format!(
        "type = \"kinesis\"\nstream = \"trips\"\nuntil = \"tip\"\nendpoint = \"{}\"\nread_interval = \"1ms\"\n\
         poll_interval = \"5ms\"\nmax_records = 100\narchive = true\n{ACCESS}",
        input.fake.url
    )
}

/// Runs a job as the program and kills it so often when it has got further, then lets it come to its end. Returns what it said.
fn run_killed(dir: &Path, job: &str, kills: usize, chance: &mut Chance) -> String {
    fs::write(dir.join("job.toml"), job).expect("it can be written");
    let manifests = Manifests::Folder(dir.join("checkpoints"));
    let mut killed = 0;
    for run in 0..kills {
        let known = manifests.numbers().last().copied();
        let mut command = wasmill(dir);
        command.env("KEY", "test").args(["run", "job.toml", "--workers", &(1 + chance.below(3)).to_string()]);
        let mut host = Host::start(&mut command, &dir.join(format!("run-{run}.log")));
        // The first manifest of a run holds what the one before did.
        until("a new checkpoint", || {
            let is_over = host.status().is_some();
            (is_over || manifests.numbers().last().copied() > known.map(|known| known + 1)).then_some(())
        });
        if for_a_while(chance.shorter(LIFE), || host.status()).is_some() {
            // A quick machine is done before it can be killed.
            host.wait().well();
            break;
        }
        host.kill();
        killed += 1;
    }
    report(&format!("{killed} kills"));
    let mut command = wasmill(dir);
    command.env("KEY", "test").args(["run", "job.toml", "--workers", "2"]);
    Host::start(&mut command, &dir.join("last.log")).wait().well()
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Asserts that a job has the answer of these records: each window, each row that does not fail once and those of a key in their
/// order, and a letter for each of the others. Returns the letters without their times, and the documents.
fn check(dir: &Path, search: &Search, sent: &[&Sent]) -> (Vec<Value>, BTreeMap<String, String>) {
    let good: Vec<_> = sent.iter().filter(|sent| sent.is_good()).collect();
    let rows: Vec<_> = good.iter().filter_map(|sent| sent.row.clone()).collect();
    assert!(text(dir, "late.jsonl").is_empty(), "no row is further behind than the disorder");
    assert!(cells::results_in(dir) == windows::tumbling(&rows, MINUTE), "other windows");
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in json_lines(&text(dir, "rows.jsonl")) {
        numbers.entry(row["key"].to_string()).or_default().push(row["id"].as_u64().expect("a number"));
    }
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    good.iter().for_each(|sent| expected.entry(sent.key.to_string()).or_default().push(sent.id));
    assert!(numbers == expected, "other rows, or in another order");
    let mut letters = json_lines(&text(dir, "dead.jsonl"));
    for letter in &mut letters {
        let letter = letter.as_object_mut().expect("an object");
        letter.retain(|name, _| matches!(name.as_str(), "split" | "position" | "cause" | "step" | "record"));
    }
    letters.sort_by_key(Value::to_string);
    let mut dead: Vec<_> = sent.iter().filter(|sent| !sent.is_good()).map(|sent| sent.place()).collect();
    dead.sort();
    let mut places: Vec<_> = letters
        .iter()
        .map(|letter| ["split", "position"].map(|name| letter[name].as_str().expect("text").to_owned()))
        .map(|[split, position]| (split.strip_prefix("rows/").expect("of the source").to_owned(), position))
        .collect();
    places.sort();
    assert_eq!(places, dead);
    let documents = search.documents("rows");
    assert_eq!(documents.len(), good.len());
    (letters, documents)
}

fn all(input: &Input) -> Vec<&Sent> {
    input.sent.iter().collect()
}

/// What DuckDB and pyarrow find in an archive.
fn found_by_others(arguments: &[&str]) -> Option<Vec<String>> {
    let readers = tool("lake-python.sh", "DuckDB and pyarrow")?;
    let mut command = Command::new(&readers[0]);
    let output =
        command.args(&readers[1..]).args(arguments).stderr(Stdio::inherit()).output().expect("python is there");
    assert!(output.status.success(), "{arguments:?}");
    let mut rows: Vec<_> =
        json_lines(&String::from_utf8(output.stdout).expect("text")).iter().map(Value::to_string).collect();
    rows.sort();
    Some(rows)
}

/// What they have to find.
fn rows_of(input: &Input) -> Vec<String> {
    let row = |sent: &Sent| {
        let (day, hour) = sent.day_and_hour();
        let data: String = sent.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"data": data, "shard": sent.shard, "sequence": sent.sequence, "subsequence": sent.sub,
            "arrived": sent.arrived, "source": "rows", "date": day, "hour": hour})
        .to_string()
    };
    let mut rows: Vec<_> = input.sent.iter().map(row).collect();
    rows.sort();
    rows
}

/// A stream whose shards are split and merged, with aggregates, bad records and rows that a plugin fails on, read by a job that is
/// killed meanwhile → the archive in files has every record once, byte by byte, as DuckDB and pyarrow see it; a job that reads it,
/// and is killed as well, has the same windows, rows in their order, letters and ids; a part of its time has the answer of that
/// part.
#[test]
fn files() {
    let mut chance = Chance::announced();
    let input = Input::publish(&mut chance);
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let archive = first.path().join("archive").display().to_string();
    let search = Search::start();
    let table = format!("[archive]\ntype = \"file\"\npath = \"{archive}\"\nroll_bytes = \"32 KiB\"");
    run_killed(first.path(), &job(first.path(), &stream(&input), &search, &table), 4, &mut chance);
    let (letters, documents) = check(first.path(), &search, &all(&input));

    let expected = rows_of(&input);
    if let Some(found) = found_by_others(&["pyarrow", &archive]) {
        assert!(found == expected, "pyarrow finds other records");
    }
    if let Some(found) = found_by_others(&[
        "duckdb",
        &archive,
        "SELECT * REPLACE (epoch_ms(arrived) AS arrived, hour::INT AS hour) FROM rows",
    ]) {
        assert!(found == expected, "DuckDB finds other records");
    }

    let search = Search::start();
    let source = format!("type = \"archive\"\npath = \"{archive}\"");
    run_killed(second.path(), &job(second.path(), &source, &search, ""), 4, &mut chance);
    let again = check(second.path(), &search, &all(&input));
    assert!(again.0 == letters, "other letters");
    assert!(again.1 == documents, "other documents");

    let arrivals: Vec<_> = input.sent.iter().map(|sent| sent.arrived).collect();
    let (from, until) = (arrivals[arrivals.len() / 5], arrivals[arrivals.len() / 2]);
    for (from, until) in [(Some(from), Some(until)), (None, Some(until)), (Some(from), None)] {
        let is_asked_for = |sent: &&Sent| {
            from.is_none_or(|from| from <= sent.arrived) && until.is_none_or(|until| sent.arrived < until)
        };
        let (dir, search) = (tempfile::tempdir().expect("a folder"), Search::start());
        let bound = |name: &str, time: Option<i64>| time.map(|time| format!("\n{name} = \"{}\"", input::iso(time)));
        let bounds = [bound("from", from), bound("until", until)].into_iter().flatten().collect::<String>();
        let source = format!("type = \"archive\"\npath = \"{archive}\"{bounds}");
        let asked_for: Vec<_> = input.sent.iter().filter(is_asked_for).collect();
        assert!(!asked_for.is_empty() && asked_for.len() < input.sent.len());
        let ledger = Job::new(job(dir.path(), &source, &search, "")).workers(2).run();
        assert_eq!(ledger.step("rows").expect("it is in the job").counts().read, asked_for.len() as u64);
        check(dir.path(), &search, &asked_for);
    }
}

/// The same stream into objects of a bucket, in this process: what the archive takes is in the balance; and back.
#[test]
fn objects() {
    let Some(url) = MOTO.url() else { return };
    let input = Input::publish(&mut Chance::announced());
    let bucket = Bucket::create(url, "raw-archive");
    let place = format!("bucket = \"{}\"\nprefix = \"kept/raw/\"\nendpoint = \"{url}\"\n{ACCESS}", bucket.name);
    let (dir, search) = (tempfile::tempdir().expect("a folder"), Search::start());
    let table = format!("[archive]\ntype = \"s3\"\n{place}\nobject_bytes = \"32 KiB\"");
    let text = job(dir.path(), &stream(&input), &search, &table);
    let ledger = Job::new(text).set("KEY", "test").workers(3).run();
    let counts = ledger.step("archive").expect("it is in the job").counts();
    assert_eq!((counts.read, counts.written), (input.sent.len() as u64, input.sent.len() as u64));
    let first = check(dir.path(), &search, &all(&input));
    assert!(bucket.uploads().is_empty());
    if let Some(found) = found_by_others(&["pyarrow", url, &format!("{}/kept/raw", bucket.name)]) {
        assert!(found == rows_of(&input), "pyarrow finds other records");
    }
    let (dir, search) = (tempfile::tempdir().expect("a folder"), Search::start());
    let source = format!("type = \"archive\"\n{place}");
    Job::new(job(dir.path(), &source, &search, "")).set("KEY", "test").workers(3).run();
    assert!(check(dir.path(), &search, &all(&input)) == first, "other letters or documents");
}
