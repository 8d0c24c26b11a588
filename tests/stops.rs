//! SIGTERM while rows flow: the job ends with everything committed, and the next run reads nothing again.

use crate::harness::chance::{Chance, count};
use crate::harness::host::Host;
use crate::harness::patience::{for_a_while, until};
use crate::harness::report;
use crate::harness::search::Search;
use crate::pipeline::{self, Input, Outlet, Pipeline, Turn};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmill_stream::checkpoint::Kind;

/// What README and issue promise; reported, not asserted, as a machine may be busy.
const PROMISED: Duration = Duration::from_secs(10);

/// Stops at random moments under load, with 1, 4, 2 and 3 workers → exit code 0 each time, every row once in the end, and
/// all runs together read each record once.
#[test]
fn nothing_is_read_again() {
    let (rounds, mut chance) = (count("WASMILL_STOPS", 5), Chance::announced());
    let search = Arc::new(Search::start());
    let pipeline = Pipeline::new(Input::new((rounds + 2) * 10_000), pipeline::all(&search, None));
    let (mut read, mut took) = (0, Vec::new());
    for round in 0..rounds {
        let workers = [1, 4, 2, 3][round % 4];
        let before = pipeline.progress();
        let left = pipeline.input().len() - before as usize;
        let mut host = pipeline.start(Turn { workers, rate: Some(left / (rounds - round + 1) / 8 + 1) });
        pipeline.wait_for_progress(&mut host, before);
        let early = for_a_while(chance.shorter(Duration::from_millis(500)), || host.status());
        assert!(early.is_none(), "{early:?}: {}", host.text());
        host.signal("TERM");
        let since = Instant::now();
        let ended = host.wait();
        took.push(since.elapsed());
        read += ended.read("rows");
        ended.well();
        let newest = pipeline.manifests().newest().expect("there is one");
        assert_eq!(newest.kind, Kind::Stop, "round {round}");
        assert_eq!(pipeline.progress(), read, "round {round}: what was read is what the checkpoint knows");
    }
    let last = pipeline.finish();
    read += last.read("rows");
    last.well();
    pipeline.check();
    assert_eq!(read, pipeline.input().len() as u64, "all runs together");
    let longest = took.iter().max().copied().unwrap_or_default();
    report(&format!(
        "{rounds} stops with exit code 0, {} of them within {} s, the longest {} ms; {read} records read once",
        took.iter().filter(|took| **took <= PROMISED).count(),
        PROMISED.as_secs(),
        longest.as_millis()
    ));
}

/// A job whose index does not answer any more, so that it cannot drain, and that has got a SIGTERM.
fn stopped_while_deaf() -> (Pipeline, Arc<Search>, Host) {
    let search = Arc::new(Search::start());
    let index = Outlet::Index { search: search.clone(), url: search.url.clone() };
    let pipeline = Pipeline::new(Input::new(40_000), vec![Outlet::Folder, index]);
    let mut host = pipeline.start(Turn { workers: 2, rate: Some(2_000) });
    pipeline.wait_for_progress(&mut host, 0);
    search.set_deaf(true);
    // No checkpoint comes any more: the index has not answered for what it was sent.
    until("something that it does not answer", || search.is_asked_in_vain().then_some(()));
    host.signal("TERM");
    (pipeline, search, host)
}

/// A sink that does not answer, so that the job cannot drain → after SIGTERM it gives up by itself, with exit code 1 and the
/// reason; the next run goes on, and every row is there once.
#[test]
fn a_job_that_cannot_drain_gives_up() {
    let (pipeline, search, host) = stopped_while_deaf();
    let since = Instant::now();
    let ended = host.wait();
    let took = since.elapsed();
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{}", ended.log);
    assert!(ended.log.contains("there is no last checkpoint"), "{}", ended.log);
    search.set_deaf(false);
    pipeline.finish().well();
    pipeline.check();
    report(&format!("a job whose sink does not answer ended {} ms after SIGTERM", took.as_millis()));
}

/// A sink that does not answer, so that the job cannot drain: a first SIGTERM waits, a second one ends at once with exit code
/// 130 → the next run goes on, and every row is there once.
#[test]
fn a_second_signal_ends_at_once() {
    let (pipeline, search, mut host) = stopped_while_deaf();
    until("the first signal", || host.text().contains("stopping").then_some(()));
    assert!(host.status().is_none(), "it waits for its sink: {}", host.text());
    host.signal("TERM");
    let ended = host.wait();
    assert_eq!((ended.code, ended.signal), (Some(130), None), "{}", ended.log);
    search.set_deaf(false);
    pipeline.finish().well();
    pipeline.check();
}
