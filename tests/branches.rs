//! Jobs whose rows go to several sinks, one of which takes nothing for a while, or refuses too much.

use crate::harness::fake_kinesis::FakeKinesis;
use crate::harness::kinesis::ACCESS;
use crate::harness::patience::until;
use crate::harness::program::{interrupt, wasmill};
use crate::harness::search::{Search, UNFIT};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Child, ExitStatus};
use tempfile::TempDir;

/// Puts so many rows, numbered from `first`, into a stream.
fn put(fake: &FakeKinesis, first: usize, rows: usize) {
    let mut state = fake.state();
    (first..first + rows).for_each(|n| state.put(n as u64, json!({"t": n, "n": n}).to_string()));
}

fn source(name: &str, fake: &FakeKinesis) -> String {
    format!(
        "[source.{name}]\ntype = \"kinesis\"\nstream = \"trips\"\nendpoint = \"{}\"\nread_interval = \"20ms\"\n\
         poll_interval = \"20ms\"\nevent_time = \"/t: time(unix-ms)\"\n{ACCESS}\n",
        fake.url
    )
}

fn sink(table: &str, search: &Search, more: &str) -> String {
    format!(
        "[{table}]\ntype = \"opensearch\"\nendpoint = \"{}\"\nindex = \"rows\"\nbatch_rows = 100\n\
         flush_interval = \"20ms\"\n{more}\n",
        search.url
    )
}

/// The numbers of the rows that a sink has.
fn numbers(search: &Search) -> BTreeSet<u64> {
    let number = |row: &String| serde_json::from_str::<Value>(row).expect("JSON")["n"].as_u64().expect("a number");
    search.documents("rows").values().map(number).collect()
}

/// A job in the real program.
struct Run {
    child: Child,
    dir: TempDir,
}

impl Run {
    fn start(job: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("job.toml"), job).expect("it can be written");
        let log = File::create(dir.path().join("log")).expect("it can be written");
        let mut run = wasmill(dir.path());
        run.args(["run", "job.toml", "--set", "KEY=any"]);
        run.stdout(log.try_clone().expect("a second handle")).stderr(log);
        Self { child: run.spawn().expect("it starts"), dir }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    fn until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        until(what, || {
            assert!(self.ended().is_none(), "{}", self.log());
            is_so().then_some(())
        });
    }

    /// Ends it as Ctrl-C does. No row is on its way then.
    fn finish(mut self) {
        interrupt(&self.child);
        let status = self.child.wait().expect("it is ours");
        assert!(status.success() && !self.log().contains("in flight"), "{}", self.log());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
    }
}

/// Two streams, each with a sink, of which one is broken → all rows of the other arrive, many times what may be on its way;
/// when the sink is mended, its own do, too.
#[test]
fn a_sink_that_waits() {
    let (held, free) = (FakeKinesis::with_shards(2), FakeKinesis::with_shards(2));
    let (broken, well) = (Search::start(), Search::start());
    let mut run = Run::start(&format!(
        "[engine]\nin_flight = \"32 KiB\"\nepoch = \"10ms\"\n{}{}{}{}",
        source("held", &held),
        source("free", &free),
        sink("sink.broken", &broken, "input = \"held\""),
        sink("sink.well", &well, "input = \"free\"")
    ));
    put(&held, 0, 100);
    put(&free, 0, 100);
    run.until("the first rows", || numbers(&broken).len() == 100 && numbers(&well).len() == 100);
    broken.set_broken(true);
    put(&held, 100, 20_000);
    put(&free, 100, 20_000);
    run.until("the rows of the other stream", || numbers(&well).len() == 20_100);
    assert_eq!(numbers(&broken).len(), 100);
    broken.set_broken(false);
    run.until("the rows that have waited", || numbers(&broken).len() == 20_100);
    run.finish();
}

/// One stream and two sinks, of which one is broken and does not let rows wait → the other one gets all rows meanwhile, those of the
/// broken one are dead letters of their own cause, and when it is mended it gets the next ones. Each row is at one of its two
/// places.
#[test]
fn a_sink_that_does_not_wait() {
    let fake = FakeKinesis::with_shards(2);
    let (broken, well, dead) = (Search::start(), Search::start(), Search::start());
    let mut run = Run::start(&format!(
        "{}{}{}{}",
        source("rows", &fake),
        sink("sink.broken", &broken, "input = \"rows\"\non_outage = \"dead-letter\"\noutage_after = \"200ms\""),
        sink("sink.well", &well, "input = \"rows\""),
        sink("dead_letter", &dead, "")
    ));
    put(&fake, 0, 1_000);
    run.until("the first rows", || numbers(&broken).len() == 1_000);
    broken.set_broken(true);
    put(&fake, 1_000, 5_000);
    run.until("the letters", || dead.documents("rows").len() == 5_000);
    run.until("the same rows at the other sink", || numbers(&well).len() == 6_000);
    broken.set_broken(false);
    let mut rows = 6_000;
    until("another row", || {
        put(&fake, rows, 10);
        rows += 10;
        (numbers(&broken).len() > 1_000).then_some(())
    });
    run.until("all rows", || numbers(&broken).len() + dead.documents("rows").len() == rows);
    run.finish();
    let letters: BTreeSet<u64> = (dead.documents("rows").values())
        .map(|letter| {
            let letter: Value = serde_json::from_str(letter).expect("JSON");
            assert_eq!((&letter["step"], &letter["cause"]), (&json!("broken"), &json!("outage")), "{letter}");
            let record: Value = serde_json::from_str(letter["record"].as_str().expect("the record")).expect("JSON");
            record["n"].as_u64().expect("a number")
        })
        .collect();
    let (arrived, all) = (numbers(&broken), (0..rows as u64).collect::<BTreeSet<_>>());
    assert!(arrived.is_disjoint(&letters));
    assert_eq!(&arrived | &letters, all);
    assert_eq!(numbers(&well), all);
}

/// A sink whose other side refuses one row in ten → the job ends and says how many, of how many, and what for; one that may
/// refuse that many goes on.
#[test]
fn a_sink_that_refuses_much() {
    for (share, ends) in [(0.05, true), (0.5, false)] {
        let (fake, search, dead) = (FakeKinesis::with_shards(2), Search::start(), Search::start());
        let refusals = format!("refusals = {{ share = {share}, period = \"300ms\" }}");
        let mut run = Run::start(&format!(
            "{}{}{}",
            source("rows", &fake),
            sink("sink.picky", &search, &format!("input = \"rows\"\n{refusals}")),
            sink("dead_letter", &dead, "")
        ));
        let mut rows = 0;
        let letters = || dead.documents("rows").len();
        let ended = until("enough of them", || {
            // So much that a period has a hundred refused rows on a busy machine as well.
            if letters() * 10 == rows {
                put(&fake, rows, 1_800);
                let mut state = fake.state();
                (0..200).for_each(|n| state.put(n, format!("{{\"t\":{n},\"n\":0,{UNFIT}:true}}")));
                rows += 2_000;
            }
            let ended = run.ended();
            (ended.is_some() || !ends && letters() >= 3_000).then_some(ended)
        });
        let log = run.log();
        match ended {
            Some(status) => {
                assert!(!status.success() && ends, "{log}");
                let words = ["sink picky: ", " of the last 300ms were refused, ", "allows 5 %", "it is unfit"];
                assert!(words.iter().all(|word| log.contains(word)), "{log}");
            }
            None => run.finish(),
        }
    }
}
