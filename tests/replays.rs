//! `wasmill replay`, the real program: into streams that are split and merged meanwhile, for the taxi job that reads them by
//! the markers.

use crate::harness::bucket::Bucket;
use crate::harness::chance::Chance;
use crate::harness::data::{csv_rows, json_lines, real_trips, written};
use crate::harness::fake_kinesis::{FakeKinesis, PutFault, Record, STREAM};
use crate::harness::host::{Ended, Host};
use crate::harness::job::Job;
use crate::harness::kinesis::{ACCESS, Admin};
use crate::harness::patience::until;
use crate::harness::plugins::built;
use crate::harness::program::wasmill;
use crate::harness::proxy::{Proxy, Turn};
use crate::harness::root;
use crate::harness::server::{KINESIS_LOCAL, MOTO};
use crate::oracle::taxi;
use crate::taxi::{assert_answers, assert_files};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use wasmill_connect::replay::taxi::{DEFAULT_START, Trips};

const TRIPS: u64 = 20_000;

/// Trips of five and a half hours, which take three seconds at 6,480 times their speed.
fn trips(count: u64) -> Vec<String> {
    Trips::new(Some(count), 7, 1.0, DEFAULT_START).collect()
}

fn replay(dir: &Path, url: &str, stream: &str, input: &str, more: &[&str]) -> Command {
    let mut command = wasmill(dir);
    command.args(["replay", input, "--stream", stream, "--endpoint", url, "--region", "us-east-1"]).args(more);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command
}

const AS_THE_REFERENCE: [&str; 8] = [
    "--time-field=dropoff_datetime",
    "--speedup=6480",
    "--aggregate",
    "--markers",
    "--marker-events=500",
    "--disorder=30s",
    "--partition-key=medallion",
    "--statistics=20ms",
];

/// What a replay said that ended well.
fn said(ended: Ended) -> String {
    ended.well()
}

/// What is played: the real trips if they are here, else generated ones, with two bad lines between them.
struct Input {
    /// As an argument of the command.
    path: String,
    more: Vec<&'static str>,
    /// The trips.
    rows: Vec<Value>,
    /// What is said of the bad lines.
    bad: Vec<&'static str>,
}

impl Input {
    fn in_folder(dir: &Path) -> Self {
        if let Some(path) = real_trips() {
            let rows = csv_rows(&path);
            // An hour takes half a second at this speed; the pauses leave time for a split and a merge.
            return Self { path: path.display().to_string(), more: vec!["--delay=1ms"], rows, bad: Vec::new() };
        }
        let mut lines = trips(TRIPS);
        let rows = json_lines(&lines.join("\n"));
        lines.insert(700, "{\"medallion\":\"no time\"}".to_owned());
        lines.insert(9, "no trip".to_owned());
        fs::write(dir.join("in.jsonl"), lines.join("\n")).expect("it can be written");
        let bad = vec![
            "left out: in.jsonl line 10: it is no whole JSON object: no trip",
            "in.jsonl line 702: it has no event time",
        ];
        Self { path: "in.jsonl".to_owned(), more: vec!["--format=json"], rows, bad }
    }
}

/// The taxi job on a stream, by its markers.
fn taxi_job(stream: &str, url: &str, more: &str) -> Job {
    let source = format!(
        "type = \"kinesis\"\nstream = \"{stream}\"\nendpoint = \"{url}\"\nread_interval = \"5ms\"\n\
         poll_interval = \"5ms\"\n{more}\n{ACCESS}"
    );
    let job = Job::read("examples/taxi/job.toml").replace("type = \"replay\"", &source);
    let job = job.replace("path = \"${in}\"", "").replace("splits = \"${splits:1}\"", "");
    job.replace("watermark = { disorder = \"60s\" }", "watermark = { markers = true }")
}

/// The taxi job as the real program, which reads while others write.
struct Live<'a> {
    host: Host,
    dir: &'a Path,
}

impl<'a> Live<'a> {
    /// Starts it, with its results and its checkpoints in a folder.
    fn start(dir: &'a Path, stream: &str, url: &str) -> Self {
        let mut job =
            taxi_job(stream, url, "").append("[checkpoint]\nto = \"${out}/checkpoints\"\ninterval = \"200ms\"");
        for plugin in ["pickup-cell", "pickup-count", "airport-trips", "trip-duration"] {
            let component = built(&root().join("plugins").join(plugin));
            job = job.replace(
                &format!("plugin = \"../../plugins/{plugin}\""),
                &format!("plugin = \"{}\"", component.display()),
            );
        }
        fs::write(dir.join("job.toml"), job.text()).expect("it can be written");
        let mut command = wasmill(dir);
        command.env("KEY", "test").args(["run", "job.toml", "--workers", "2", "--set"]);
        let host = Host::start(command.arg(format!("out={}", dir.display())), &dir.join("live.txt"));
        let mut live = Self { host, dir };
        until("a job that reads", || {
            live.assert_runs();
            dir.join("checkpoints").exists().then_some(())
        });
        live
    }

    fn assert_runs(&mut self) {
        assert!(self.host.status().is_none(), "it ended by itself: {}", self.host.text());
    }

    /// The rows of a sink so far.
    fn rows(&self, sink: &str) -> Vec<Value> {
        let text = written(self.dir, &format!("{sink}.jsonl"));
        json_lines(text.rsplit_once('\n').map_or("", |(whole, _)| whole))
    }

    /// Waits until it has given the answer, ends it, and compares.
    fn assert_answers(mut self, answer: &taxi::Answer) {
        until("the answer", || {
            self.assert_runs();
            let rows = self.rows("pickup_count").len() + self.rows("trip_duration").len();
            (rows >= answer.pickup_count.len() + answer.trip_duration.len()).then_some(())
        });
        self.host.signal("TERM");
        until("its end", || self.host.status());
        assert_answers(&self.rows("pickup_count"), &self.rows("trip_duration"), answer);
    }
}

/// Plays trips while a shard is split and two are merged, and the taxi job reads them by the markers at the same time; when it is
/// over, reads the stream once more from its start. Both give the answer of brute force. Returns what the replay said at the end.
fn assert_replayed(write_url: &str, read_url: &str, admin: &Admin) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let input = Input::in_folder(dir.path());
    let answer = taxi::answer(&input.rows);
    let live_dir = tempfile::tempdir().expect("a folder");
    let live = Live::start(live_dir.path(), admin.stream(), read_url);

    let log = dir.path().join("log.txt");
    let arguments: Vec<_> = AS_THE_REFERENCE.iter().chain(&input.more).copied().collect();
    let mut command = replay(dir.path(), write_url, admin.stream(), &input.path, &arguments);
    let host = Host::start(&mut command, &log);
    until("the first events", || host.text().contains("behind 6480 times").then_some(()));
    admin.split();
    admin.merge();
    assert!(!host.text().contains("in the stream"), "it still played: {}", host.text());
    let said = said(host.wait());
    let count = input.rows.len();
    let grouped = format!("{},{:03}", count / 1_000, count % 1_000);
    assert!(said.contains(&format!("{grouped} events in the stream, {} bad lines", input.bad.len())), "{said}");
    input.bad.iter().for_each(|bad| assert!(said.contains(bad), "{bad}: {said}"));

    let job = taxi_job(admin.stream(), read_url, "until = \"tip\"");
    let ledger = job.set("KEY", "test").set("out", dir.path().display()).workers(2).run();
    let counts = ledger.step("trips").expect("it is in the job").counts();
    assert_eq!((counts.written, counts.rejected), (count as u64, 0), "{counts}");
    // One after 500 events, and one at the end, in each of eight shards.
    assert!(counts.control >= 8 * (count as u64 / 500 / 2), "{counts}");
    for step in ["pickup_count", "trip_duration"] {
        assert_eq!(ledger.step(step).expect("it is in the job").counts().late, 0, "{step}");
    }
    assert_files(dir.path(), &answer);
    // The last windows are open as long as later events may come.
    admin.tell_all("{\"type\":\"watermark\",\"watermark\":\"2014-01-01T00:00:00Z\"}");
    live.assert_answers(&answer);
    said.lines().filter(|line| line.contains("in the stream")).collect()
}

/// Eight shards of the fake, of which one is split and two are merged, and which refuses a third of the records → no event
/// lost or late, and the answer of brute force, live and afterwards.
#[test]
fn on_the_fake() {
    let fake = FakeKinesis::with_shards(8);
    fake.state().puts_meet([Some(PutFault::Every(3)), None, Some(PutFault::Every(2))].into_iter().cycle().take(5_000));
    let said = assert_replayed(&fake.url, &fake.url, &Admin::of(&fake.url, STREAM));
    assert!(!said.contains("(0 throttled)"), "{said}");
    assert_eq!(fake.state().shards.len(), 8 + 2 + 1);
}

/// A fake that refuses records by chance: of each request, each with a probability of 30 % → the same.
#[test]
fn on_a_fake_that_refuses_by_chance() {
    let fake = FakeKinesis::with_shards(8);
    let mut chance = Chance::announced();
    fake.state()
        .puts_meet((0..5_000).map(|_| Some(PutFault::Some { percent: 30, seed: chance.below(1 << 30) as u64 })));
    let said = assert_replayed(&fake.url, &fake.url, &Admin::of(&fake.url, STREAM));
    assert!(!said.contains("(0 throttled)"), "{said}");
}

/// The same on kinesis-mock, behind proxies that throttle, fail, stall and cut answers short, when it is written and when it is
/// read.
#[test]
fn on_kinesis_mock() {
    let Some(url) = KINESIS_LOCAL.url() else { return };
    let admin = Admin::create(url, "replayed", 8);
    let chance = Chance::announced();
    let turns = |mut chance: Chance, is_reader: bool| {
        move |operation: &str| match (operation, chance.below(20)) {
            ("PutRecords" | "GetRecords" | "ListShards", 0 | 1) => Turn::throttle(),
            ("PutRecords" | "GetRecords" | "ListShards", 2) => Turn::server_error(),
            ("GetRecords", 3) if is_reader => Turn::Half,
            ("GetRecords" | "GetShardIterator", 4) if is_reader => Turn::Silent,
            (_, 5) => Turn::Late,
            _ => Turn::Pass,
        }
    };
    let [a, b] = chance.split();
    let (writing, reading) = (Proxy::planned(url, turns(a, false)), Proxy::planned(url, turns(b, true)));
    assert_replayed(&writing.url, &reading.url, &admin);
    for proxy in [&writing, &reading] {
        assert!(proxy.disturbed() > 0);
    }
}

/// The records of a stream that are no markers, in the order in which they came.
fn events(fake: &FakeKinesis) -> Vec<Record> {
    let mut records: Vec<_> = fake.state().shards.values().flat_map(|shard| shard.records.clone()).collect();
    records.retain(|record| !record.data.starts_with(b"{\"type\":\"watermark\""));
    records.sort_by_key(|record| record.number);
    records
}

fn json(record: &Record) -> Value {
    serde_json::from_slice(&record.data).expect("JSON")
}

/// Ctrl-C in the middle of a replay at its own speed → what was sent has arrived, it says how many events that are and that
/// others were not sent, and ends well.
#[test]
fn an_interrupt_loses_nothing_that_was_sent() {
    let fake = FakeKinesis::with_shards(2);
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("in.jsonl"), trips(500).join("\n")).expect("it can be written");
    let more = ["--time-field=dropoff_datetime", "--speedup=50"];
    let mut command = replay(dir.path(), &fake.url, STREAM, "in.jsonl", &more);
    let host = Host::start(&mut command, &dir.path().join("log.txt"));
    until("some events", || (events(&fake).len() > 20).then_some(()));
    host.signal("INT");
    let said = said(host.wait());
    let arrived = events(&fake).len();
    assert!(arrived < 500 && said.contains(&format!("{arrived} events in the stream")), "{arrived}: {said}");
    assert!(said.contains(&format!("{} read and not sent", 500 - arrived)), "{said}");
}

/// Two passes over part of the input, moved to now, with a time stamp and a partition key → each event with all of that, the
/// second pass behind the first in event time, and the fields that nobody named as they were.
#[test]
fn events_are_adapted() {
    let fake = FakeKinesis::with_shards(2);
    let dir = tempfile::tempdir().expect("a folder");
    let trips = trips(50);
    fs::write(dir.path().join("in.jsonl"), trips.join("\n")).expect("it can be written");
    let more = "--time-field=dropoff_datetime --adapt-time=invocation --add-timestamp=sent --partition-key=medallion \
                --no-markers --passes=2 --limit=10 --delay=1ms";
    let mut command = replay(dir.path(), &fake.url, STREAM, "in.jsonl", &more.split(' ').collect::<Vec<_>>());
    let before = fake.state().clock.now();
    said(Host::start(&mut command, &dir.path().join("log.txt")).wait());
    let events = events(&fake);
    assert_eq!(events.len(), 20);
    let time = |event: &Value, field: &str| {
        let text = event[field].as_str().unwrap_or_else(|| panic!("{field}: {event}")).as_bytes();
        wasmill_stream::time::TimeFormat::Iso8601.parse(text).expect("a time")
    };
    let mut passes = BTreeMap::<String, Vec<i64>>::new();
    for record in &events {
        let mut event = json(record);
        assert_eq!(event["medallion"], record.key);
        assert!(time(&event, "sent") >= before);
        let moved = time(&event, "dropoff_datetime");
        assert!(moved >= before - 30_000, "the first is now, and others are half a minute out of order at most");
        let event = event.as_object_mut().expect("an object");
        assert!(event.remove("sent").is_some() && event.remove("dropoff_datetime").is_some());
        passes.entry(Value::Object(event.clone()).to_string()).or_default().push(moved);
    }
    assert_eq!(passes.len(), 10);
    let mut moves = BTreeSet::new();
    for trip in &trips[..10] {
        let mut trip: Value = serde_json::from_str(trip).expect("JSON");
        let original = time(&trip, "dropoff_datetime");
        trip.as_object_mut().expect("an object").remove("dropoff_datetime");
        let times = passes.get_mut(&trip.to_string()).unwrap_or_else(|| panic!("{trip} is as it was"));
        times.sort_unstable();
        let [first, second] = times[..] else { panic!("{trip}: {times:?}") };
        moves.insert((first - original, second - first));
    }
    let (all, later) = moves.first().expect("ten of them");
    assert!(moves.len() == 1 && *later > 0, "all are moved by the same: {all}, {moves:?}");
}

/// Events that come one after the other, and lists of shards that take longer than that, when a shard is split → events arrive
/// behind the split while others are still played.
#[test]
fn a_split_holds_up_no_steady_events() {
    let fake = FakeKinesis::with_shards(1);
    let proxy = Proxy::planned(&fake.url, |operation| match operation {
        "ListShards" => Turn::Late,
        _ => Turn::Pass,
    });
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("in.jsonl"), trips(TRIPS).join("\n")).expect("it can be written");
    let more = ["--aggregate", "--partition-key=medallion", "--delay=1ms"];
    let mut command = replay(dir.path(), &proxy.url, STREAM, "in.jsonl", &more);
    let mut host = Host::start(&mut command, &dir.path().join("log.txt"));
    until("some events", || (events(&fake).len() > 20).then_some(()));
    fake.state().split("shardId-000000000000");
    until("events behind the split", || {
        assert!(host.status().is_none(), "it had ended by then: {}", host.text());
        let state = fake.state();
        state.open().iter().all(|id| state.shards[id].records.len() > 20).then_some(())
    });
    host.signal("INT");
    said(host.wait());
}

/// An event time inside an array, which is to be replaced → the line is left out, and it is said why; it is sent as it is if its
/// time may stay.
#[test]
fn times_in_arrays_can_only_stay() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("in.jsonl"), "{\"t\":[1000]}\n").expect("it can be written");
    for (how, events, bad) in [("invocation", 0, 1), ("ingestion", 0, 1), ("original", 1, 0)] {
        let fake = FakeKinesis::with_shards(1);
        let how = format!("--adapt-time={how}");
        let more = ["--time-field=/t/0: time(unix-ms)", "--no-markers", &how];
        let mut command = replay(dir.path(), &fake.url, STREAM, "in.jsonl", &more);
        let said = said(Host::start(&mut command, &dir.path().join("log.txt")).wait());
        assert!(said.contains(&format!("{events} events in the stream, {bad} bad lines")), "{said}");
        assert_eq!(said.contains("its event time is in an array"), bad == 1, "{said}");
        assert_eq!(self::events(&fake).len(), events);
    }
}

/// Objects in S3, packed and not, those of a folder in the order of their keys, from a time on → the events of that time and
/// later, none twice.
#[test]
fn objects_are_played() {
    let Some(s3) = MOTO.url() else { return };
    let (fake, bucket) = (FakeKinesis::with_shards(1), Bucket::create(s3, "replayed"));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"{\"t\":1000,\"n\":1}\n{\"t\":2000,\"n\":2}\n").expect("memory");
    bucket.put("in/1.json", &packed.finish().expect("memory"));
    bucket.put("in/2.csv", b"t,n\n3000,3\n4000,4\n");
    let dir = tempfile::tempdir().expect("a folder");
    let endpoint = format!("--s3-endpoint={s3}");
    let more = [&*endpoint, "--time-field=/t: time(unix-ms)", "--seek=1970-01-01T00:00:02Z", "--no-markers"];
    let mut command = replay(dir.path(), &fake.url, STREAM, "s3://replayed/in/", &more);
    let said = said(Host::start(&mut command, &dir.path().join("log.txt")).wait());
    assert!(said.contains("3 events in the stream, 0 bad lines"), "{said}");
    let mut numbers: Vec<_> = events(&fake).iter().map(|event| json(event)["n"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [Some(2), Some(3), Some(4)]);
}

/// Arguments that do not go together, a stream and a file that are not there → exit code 2 and the reason, and nothing sent.
#[test]
fn mistakes_are_named() {
    let fake = FakeKinesis::with_shards(1);
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("in.jsonl"), "{}\n").expect("it can be written");
    let cases: [(&str, &str, &[&str], &str); 4] = [
        (STREAM, "in.jsonl", &["--speedup=10"], "need --time-field"),
        (STREAM, "in.jsonl", &["--time-field=/a: string"], "must have the type time"),
        (STREAM, "out.jsonl", &[], "no such file"),
        ("trisp", "in.jsonl", &[], "stream trisp in us-east-1"),
    ];
    for (stream, input, more, expected) in cases {
        let mut command = replay(dir.path(), &fake.url, stream, input, more);
        let ended = Host::start(&mut command, &dir.path().join("log.txt")).wait();
        assert_eq!(ended.code, Some(2), "{}", ended.log);
        assert!(ended.log.contains(expected), "{expected}: {}", ended.log);
    }
    assert!(events(&fake).is_empty());
}
