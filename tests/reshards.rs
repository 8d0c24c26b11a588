//! The real program on a Kinesis stream whose shards are split and merged while it reads, and that is killed meanwhile.

use crate::harness::chance::{Chance, count};
use crate::harness::data::{json_lines, written};
use crate::harness::fake_kinesis::{FakeKinesis, FakeShard, Fault, State, WHOLE};
use crate::harness::host::Host;
use crate::harness::kinesis::ACCESS;
use crate::harness::manifests::Manifests;
use crate::harness::patience::{for_a_while, until};
use crate::harness::program::{output, wasmill};
use crate::harness::report;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Keys of records; their hashes are spread evenly.
const KEYS: usize = 64;
/// Shards at the begin of one tree after the other.
const SHARDS: [u64; 3] = [1, 8, 32];
/// The most open shards.
const MOST: usize = 40;
/// What happens to a stream before, between and after kills.
const HAPPENINGS: usize = 60;
/// How long a run lives after its first new checkpoint, at most.
const LIFE: Duration = Duration::from_millis(400);

/// A stream to which things happen.
struct Stream {
    fake: FakeKinesis,
    /// How many records each key has.
    keys: [usize; KEYS],
    reshards: usize,
}

impl Stream {
    fn start(shards: u64) -> Self {
        let fake = FakeKinesis::with_shards(shards);
        fake.state().page = 20;
        Self { fake, keys: [0; KEYS], reshards: 0 }
    }

    /// Something happens: most often records, now and then a split, a merge, or a fault.
    fn happen(&mut self, chance: &mut Chance) {
        let mut state = self.fake.state();
        match chance.below(10) {
            0 => self.reshards += usize::from(split(&mut state, chance)),
            1 => self.reshards += usize::from(merge(&mut state, chance)),
            2 => {
                let open = state.open();
                let fault = [Fault::Throttled, Fault::Expired, Fault::Cut][chance.below(3)];
                state.faults.entry(open[chance.below(open.len())].clone()).or_default().push_back(Some(fault));
            }
            _ => {
                for _ in 0..chance.below(40) {
                    let key = chance.below(KEYS);
                    let number = self.keys[key];
                    self.keys[key] += 1;
                    let row = format!("{{\"key\":{key},\"number\":{number},\"t\":{}}}", 1_700_000_000_000 + number);
                    state.put(key as u64 * WHOLE.end / KEYS as u64, row);
                }
            }
        }
    }

    fn records(&self) -> usize {
        self.keys.iter().sum()
    }

    /// Asserts that rows are every record once, those of each key in their order.
    fn check(&self, rows: &str) {
        let rows = json_lines(rows);
        assert_eq!(rows.len(), self.records());
        let mut next = [0; KEYS];
        for row in &rows {
            let key = row["key"].as_u64().expect("a number") as usize;
            assert_eq!(row["number"].as_u64(), Some(next[key]), "of key {key}");
            next[key] += 1;
        }
        assert_eq!(next.map(|number| number as usize), self.keys);
    }
}

fn split(state: &mut State, chance: &mut Chance) -> bool {
    let open = state.open();
    let id = &open[chance.below(open.len())];
    let can = open.len() < MOST && state.shards[id].hashes.end - state.shards[id].hashes.start > 1;
    if can {
        state.split(id);
    }
    can
}

fn merge(state: &mut State, chance: &mut Chance) -> bool {
    let open = state.open();
    if open.len() > 1 {
        let at = 1 + chance.below(open.len() - 1);
        state.merge(&open[at - 1], &open[at]);
    }
    open.len() > 1
}

/// A job that writes what it reads to a file.
fn job(url: &str, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"
        name = "reshards"

        [engine]
        epoch = "10ms"

        [source.events]
        type = "kinesis"
        stream = "trips"
        endpoint = "{url}"
        read_interval = "1ms"
        poll_interval = "5ms"
        event_time = "/t: time(unix-ms)"
        {ACCESS}

        [sink.rows]
        input = "events"
        type = "file"
        path = "{dir}/rows.jsonl"

        [checkpoint]
        to = "{dir}/checkpoints"
        interval = "100ms"
        "#
    )
}

/// One tree: kills, then a run to the end.
fn grow(shards: u64, kills: usize, chance: &mut Chance) -> Stream {
    let (mut stream, dir) = (Stream::start(shards), tempfile::tempdir().expect("a folder"));
    let path = dir.path();
    fs::write(path.join("job.toml"), job(&stream.fake.url, path)).expect("it can be written");
    let start = |name: &str, workers: usize| {
        let mut command = wasmill(path);
        command.env("KEY", "test").args(["run", "job.toml", "--workers", &workers.to_string()]);
        Host::start(&mut command, &path.join(name))
    };
    let manifests = Manifests::Folder(path.join("checkpoints"));
    (0..HAPPENINGS).for_each(|_| stream.happen(chance));
    for kill in 0..kills {
        let known = manifests.numbers().last().copied();
        let mut host = start(&format!("run-{kill}.log"), 1 + chance.below(4));
        let mut left = HAPPENINGS;
        // The first manifest of a run holds what the one before did.
        until("a new checkpoint", || {
            let status = host.status();
            assert!(status.is_none(), "it ended ({status:?}) by itself: {}", host.text());
            left = left.saturating_sub(1);
            (0..left.min(1)).for_each(|_| stream.happen(chance));
            (manifests.numbers().last().copied() > known.map(|known| known + 1)).then_some(())
        });
        for_a_while(chance.shorter(LIFE), || {
            stream.happen(chance);
            host.status()
        });
        host.kill();
    }
    let mut host = start("last.log", 2);
    (0..HAPPENINGS).for_each(|_| stream.happen(chance));
    until("all rows", || {
        let status = host.status();
        assert!(status.is_none(), "it ended ({status:?}) by itself: {}", host.text());
        (rows(path).lines().count() >= stream.records()).then_some(())
    });
    host.signal("TERM");
    host.wait().well();
    stream.check(&rows(path));
    stream
}

fn rows(dir: &Path) -> String {
    written(dir, "rows.")
}

/// Splits and merges at random, of 1, 8 and 32 shards, before, between and after kills → every record once, those of each key in
/// their order, in the file.
#[test]
fn random_trees() {
    let (trees, mut chance) = (count("WASMILL_RESHARDS", 20), Chance::announced());
    let (mut records, mut reshards, mut kills) = (0, 0, 0);
    for tree in 0..trees {
        let of_tree = chance.below(3);
        let stream = grow(SHARDS[tree % SHARDS.len()], of_tree, &mut chance);
        records += stream.records();
        reshards += stream.reshards;
        kills += of_tree;
    }
    report(&format!("{trees} trees, {reshards} splits and merges, {kills} kills, {records} records"));
}

/// A stream that is deleted and created again while the job is stopped, and `on_gap = "skip"` → the new stream is read from its start
/// behind the rows of the old one, the gap is in the summary and in the checkpoint, and a job that goes on once more tells
/// of no other.
#[test]
fn the_next_stream_of_the_name() {
    let (mut stream, dir) = (Stream::start(2), tempfile::tempdir().expect("a folder"));
    let path = dir.path();
    let job = job(&stream.fake.url, path).replace("stream = \"trips\"", "stream = \"trips\"\non_gap = \"skip\"");
    fs::write(path.join("job.toml"), job).expect("it can be written");
    let mut chance = Chance::announced();
    let run = |stream: &Stream, log: &str| {
        let mut command = wasmill(path);
        let mut host = Host::start(command.env("KEY", "test").args(["run", "job.toml"]), &path.join(log));
        until("all rows", || {
            assert!(host.status().is_none(), "it ended by itself: {}", host.text());
            (rows(path).lines().count() >= stream.records()).then_some(())
        });
        host.signal("TERM");
        host.wait().well()
    };
    (0..HAPPENINGS).for_each(|_| stream.happen(&mut chance));
    let open = stream.fake.state().open().len();
    assert!(!run(&stream, "old.log").contains("lost by"));
    stream.fake.state().create_again([("shardId-000000000000", FakeShard::default())]);
    (0..HAPPENINGS).for_each(|_| stream.happen(&mut chance));
    let said = run(&stream, "new.log");
    assert!(said.contains(&format!("lost by events: {open} gaps")), "{said}");
    assert!(said.contains("the end of the stream created at 2023-11-14T"), "{said}");
    (0..HAPPENINGS).for_each(|_| stream.happen(&mut chance));
    assert!(!run(&stream, "later.log").contains("lost by"));
    stream.check(&rows(path));
    let (code, shown, _) = output(wasmill(path).args(["checkpoint", "show", "job.toml"]).env("KEY", "test"));
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("\"generation\":1") && shown.contains("\"gaps\""), "{shown}");
}
