//! User records that their producer has packed, with records as they are between them, through a whole job.

use crate::harness::data::json_lines;
use crate::harness::host::Host;
use crate::harness::job::Job;
use crate::harness::kinesis::{ACCESS, Admin};
use crate::harness::manifests::Manifests;
use crate::harness::patience::until;
use crate::harness::program::{output, wasmill};
use crate::harness::search::Search;
use crate::harness::server::{KINESALITE, KINESIS_LOCAL, Server};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use wasmill_connect::pack::Aggregate;
use wasmill_stream::checkpoint::SplitMark;
use wasmill_stream::{ExtendedSequence, Position};

const SHARDS: i32 = 2;
const KEYS: usize = 8;
const AGGREGATES: usize = 60;
/// User records in each of them.
const PACKED: usize = 1_000;

/// What a producer has sent.
struct Input {
    /// Rows with an event time.
    good: Vec<String>,
    /// Rows without.
    bad: Vec<String>,
}

impl Input {
    /// Puts aggregates and single records in turns.
    fn publish(url: &str, stream: &str) -> Self {
        let (mut input, mut records) = (Self { good: Vec::new(), bad: Vec::new() }, Vec::new());
        for at in 0..AGGREGATES {
            let key = format!("key {}", at % KEYS);
            let packed: Vec<_> = (0..PACKED).map(|sub| input.row(at * (PACKED + 1) + sub)).collect();
            records.push((key.clone(), Aggregate::of(&key, None, packed).pack()));
            records.push((key, input.row(at * (PACKED + 1) + PACKED).into_bytes()));
        }
        Admin::create(url, stream, SHARDS).put_all(&records);
        input
    }

    fn row(&mut self, id: usize) -> String {
        let (rows, row) = match id % 777 {
            0 => (&mut self.bad, format!("{{\"id\":{id}}}")),
            _ => (&mut self.good, format!("{{\"id\":{id},\"t\":{}}}", 1_700_000_000_000 + id)),
        };
        rows.push(row.clone());
        row
    }

    fn len(&self) -> usize {
        self.good.len() + self.bad.len()
    }

    /// Asserts that a file has every good row once, and that every bad one is a dead letter with a position of its own.
    fn check(&self, dir: &Path) {
        let lines = |name: &str| fs::read_to_string(dir.join(name)).expect("the sink wrote it");
        let sorted = |rows: &[String]| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        };
        let rows: Vec<_> = lines("rows.jsonl").lines().map(str::to_owned).collect();
        assert_eq!(rows.len(), self.good.len());
        assert!(sorted(&rows) == sorted(&self.good), "the rows are those that were put in");
        let letters = json_lines(&lines("dead.jsonl"));
        let text = |letter: &serde_json::Value, name| letter[name].as_str().expect("a text").to_owned();
        let records: Vec<_> = letters.iter().map(|letter| text(letter, "record")).collect();
        assert_eq!(sorted(&records), sorted(&self.bad));
        let places = letters.iter().map(|letter| (text(letter, "split"), text(letter, "position")));
        assert_eq!(places.collect::<BTreeSet<_>>().len(), self.bad.len());
    }
}

/// A job that reads a stream to its tip, few rows at a time, into a file; `more`: further tables.
fn job(url: &str, stream: &str, dir: &Path, more: &str) -> String {
    let dir = dir.display();
    format!(
        r#"
        name = "packed"

        [engine]
        epoch = "10ms"
        in_flight = "64 KiB"

        [source.events]
        type = "kinesis"
        stream = "{stream}"
        until = "tip"
        endpoint = "{url}"
        read_interval = "1ms"
        max_records = 100
        event_time = "/t: time(unix-ms)"
        {ACCESS}

        [sink.rows]
        input = "events"
        type = "file"
        path = "{dir}/rows.jsonl"

        [dead_letter]
        type = "file"
        path = "{dir}/dead.jsonl"
        {more}"#
    )
}

/// Two shards of aggregates and single records → read counts user records, and each of them is a row or a dead letter.
fn assert_all_are_read(server: &Server) {
    let Some(url) = server.url() else { return };
    let input = Input::publish(url, "all-packed");
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Job::new(job(url, "all-packed", dir.path(), "")).set("KEY", "test").workers(2).run();
    let counts = ledger.step("events").expect("it is in the job").counts();
    assert_eq!((counts.read, counts.rejected), (input.len() as u64, input.bad.len() as u64));
    input.check(dir.path());
}

/// On kinesis-mock.
#[test]
fn kinesis_mock() {
    assert_all_are_read(&KINESIS_LOCAL);
}

/// On kinesalite.
#[test]
fn kinesalite() {
    assert_all_are_read(&KINESALITE);
}

/// Where a checkpoint stands, if that is inside an aggregate for one of its shards.
fn inside(manifests: &Manifests) -> Option<Vec<SplitMark>> {
    let marks: Vec<_> = manifests.newest()?.sources.remove("events")?.splits.into_values().collect();
    let is_inside = |mark: &SplitMark| match mark.position {
        Some(Position::Sequence(place)) => place.sub.is_some_and(|sub| (sub as usize) < PACKED - 1),
        _ => false,
    };
    marks.iter().any(is_inside).then_some(marks)
}

/// The program is killed three times when its newest checkpoint stands inside an aggregate → every user record once in the
/// file and, under an id of its own, in the index; the dead letters can be replayed.
#[test]
fn killed_inside_an_aggregate() {
    let Some(url) = KINESALITE.url() else { return };
    let input = Input::publish(url, "killed-packed");
    let (search, dir) = (Search::start(), tempfile::tempdir().expect("a folder"));
    let path = dir.path();
    let more = format!(
        "[checkpoint]\nto = \"{0}/checkpoints\"\ninterval = \"50ms\"\n[sink.index]\ninput = \"events\"\n\
         type = \"opensearch\"\nendpoint = \"{1}\"\nindex = \"rows\"\nbatch_rows = 200\nflush_interval = \"10ms\"",
        path.display(),
        search.url
    );
    fs::write(path.join("job.toml"), job(url, "killed-packed", path, &more)).expect("it can be written");
    let start = |name: &str| {
        let mut command = wasmill(path);
        command.env("KEY", "test").args(["run", "job.toml", "--workers", "2"]);
        Host::start(&mut command, &path.join(name))
    };
    let manifests = Manifests::Folder(path.join("checkpoints"));
    let mut before = Vec::new();
    for round in 0..3 {
        let mut host = start(&format!("run-{round}.log"));
        before = until("a checkpoint inside an aggregate", || {
            let status = host.status();
            assert!(status.is_none(), "it ended ({status:?}) before: {}", host.text());
            inside(&manifests).filter(|marks| *marks != before)
        });
        host.kill();
    }
    let last = start("last.log").wait();
    let read = last.read("events") as usize;
    last.well();
    assert!(read > 0 && read < input.len(), "{read}");
    input.check(path);
    let documents = search.documents("rows");
    assert_eq!(documents.len(), input.good.len());
    assert_eq!(documents.values().collect::<BTreeSet<_>>().len(), input.good.len());
    let places = documents.keys().filter_map(|id| ExtendedSequence::parse(id.rsplit('|').next()?));
    let singles = input
        .good
        .iter()
        .filter(|row| json_lines(row)[0]["id"].as_u64().expect("a number") as usize % (PACKED + 1) == PACKED);
    assert_eq!(places.filter(|place| place.sub.is_none()).count(), singles.count());
    let (code, list, error) = output(wasmill(path).args(["dead-letter", "list", "dead.jsonl"]));
    assert_eq!(code, Some(0), "{error}");
    assert!(list.contains(&format!("{} can be replayed", input.bad.len())), "{list}");
}
