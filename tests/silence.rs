//! A stream of eight shards, one or all of which fall silent while a job reads it.

use crate::harness::cells;
use crate::harness::data::json_lines;
use crate::harness::fake_kinesis::{FakeKinesis, WHOLE};
use crate::harness::job::{Failure, Job};
use crate::harness::kinesis::ACCESS;
use crate::harness::patience::until;
use crate::harness::report;
use crate::harness::search::Search;
use crate::oracle::windows::Row;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use wasmill_stream::ledger::Ledger;

const SHARDS: u64 = 8;
/// After so long without records, a shard is idle.
const IDLE: Duration = Duration::from_secs(2);
/// How much longer windows may take to close than a shard takes to become idle.
const MARGIN: Duration = Duration::from_secs(2);

/// A job that counts rows in windows of a second.
struct Reading {
    fake: FakeKinesis,
    search: Search,
    job: Option<JoinHandle<Result<Ledger, Failure>>>,
    /// The start of its first window.
    base: i64,
    _dir: TempDir,
}

impl Reading {
    fn begin() -> Self {
        let (fake, search) = (FakeKinesis::with_shards(SHARDS), Search::start());
        let dir = tempfile::tempdir().expect("a folder");
        let source = format!(
            "type = \"kinesis\"\nstream = \"trips\"\nendpoint = \"{}\"\nread_interval = \"20ms\"\n\
             poll_interval = \"50ms\"\n{ACCESS}",
            fake.url
        );
        let sink = format!(
            "type = \"opensearch\"\nendpoint = \"{}\"\nindex = \"windows\"\nflush_interval = \"10ms\"",
            search.url
        );
        let watermark = format!("disorder = \"0s\", idle = \"{}s\"", IDLE.as_secs());
        let text = cells::job(&source, &watermark, "window = { tumbling = \"1s\" }", &sink);
        let job = Job::new(text).set("KEY", "test").set("out", dir.path().display()).workers(2);
        let job = Some(std::thread::spawn(move || job.try_run()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        Self { fake, search, job, base: now - now % 1_000, _dir: dir }
    }

    /// Puts a row of this time, in milliseconds behind the base, into each of these shards.
    fn put(&self, shards: std::ops::Range<u64>, time: i64) {
        let row = Row { key: "0|0".to_owned(), time: self.base + time, amount: 1 };
        let mut state = self.fake.state();
        shards.for_each(|shard| state.put(shard * WHOLE.end / SHARDS, cells::line(&row)));
    }

    /// How many rows the window that begins so long behind the base had, if it has closed.
    fn rows_of(&self, start: i64) -> Option<i64> {
        let documents = self.search.documents("windows");
        let results = documents.values().map(|document| cells::result(&json_lines(document)[0]));
        results.into_iter().find(|((from, ..), _)| *from == self.base + start).map(|(_, (count, _))| count)
    }

    /// When the shards were last read, by the server's clock.
    fn read_at(&self) -> i64 {
        let state = self.fake.state();
        let of_shard = |shard: &String| {
            let mut calls = state.calls.iter().rev();
            calls.find(|call| call.operation == "GetRecords" && call.shard.as_ref() == Some(shard)).map(|call| call.at)
        };
        state.open().iter().map(of_shard).min().flatten().unwrap_or(i64::MIN)
    }
}

impl Drop for Reading {
    /// Ends the job: its stream is gone.
    fn drop(&mut self) {
        self.fake.state().refusal = Some((400, "ResourceNotFoundException"));
        let ended = self.job.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            let ended = ended.expect("it ran").expect("it does not panic");
            assert!(ended.err().is_some_and(|failure| failure.text().contains("was deleted")));
        }
    }
}

/// One of eight shards falls silent → a window waits for it, and closes once it is idle, two seconds later at most.
#[test]
fn one_of_eight() {
    let reading = Reading::begin();
    reading.put(0..SHARDS, 100);
    let since = Instant::now();
    let mut time = 2_000;
    let rows = until("the first window", || {
        time += 1;
        reading.put(0..SHARDS - 1, time);
        reading.rows_of(0)
    });
    let took = since.elapsed();
    report(&format!("a window closed {} ms after the last row of a shard", took.as_millis()));
    assert_eq!(rows, SHARDS as i64);
    assert!((IDLE..=IDLE + MARGIN).contains(&took), "it took {} ms", took.as_millis());
}

/// All shards fall silent → the windows that are open stay so; a row of one of them closes them.
#[test]
fn all_of_eight() {
    let reading = Reading::begin();
    reading.put(0..SHARDS, 100);
    reading.put(0..SHARDS, 1_500);
    assert_eq!(until("the first window", || reading.rows_of(0)), SHARDS as i64);
    let since = reading.read_at();
    let idle_thrice = 3 * IDLE.as_millis() as i64;
    until("silence for three times the idle time", || (reading.read_at() >= since + idle_thrice).then_some(()));
    assert_eq!(reading.rows_of(1_000), None);
    reading.put(3..4, 9_000);
    assert_eq!(until("the second window", || reading.rows_of(1_000)), SHARDS as i64);
}
