//! How jobs end: errors name their part, panics stay inside, a stop loses nothing that was read.

use crate::parts::*;
use std::sync::atomic::Ordering::SeqCst;
use wasmill_engine::{NodeKind, Port, SinkTerms};
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{ErrorKind, GuestFault};

fn poisoned() -> Vec<Event> {
    let mut list = events(1, 3_000, 0);
    list[2_000].1 = "poison".to_owned();
    list
}

/// A plugin that fails → the job ends with an error that names the node, on one worker and on several.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_plugin_ends_the_job() {
    for workers in [1, 3] {
        let mut job = Job::default();
        let source = job.source(Lists::new(vec![poisoned(), events(2, 3_000, 0)]), 0, Mood::Fails);
        job.keep("out", &[(source, Port::Main)]);
        let error = job.run(workers).await.expect_err("the plugin fails");
        assert!(error.to_string().starts_with("source list: plugin parse: trapped ("), "{error}");
        assert_eq!(error.kind(), ErrorKind::Guest(GuestFault::Trap));
    }
}

/// A panic in native logic → an error of the job; the process and the other workers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_only_the_job() {
    let mut job = Job::default();
    let source = job.source(Lists::new(vec![poisoned(), events(2, 3_000, 0)]), 0, Mood::Panics);
    job.keep("out", &[(source, Port::Main)]);
    let error = job.run(2).await.expect_err("the plugin panics");
    assert_eq!(error.to_string(), "a worker panicked: poison");
}

/// A source that fails → its error, naming it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_source_ends_the_job() {
    let mut lists = Lists::new(vec![events(1, 100, 0)]);
    lists.then = Then::Fail;
    let mut job = Job::default();
    let source = job.source(lists, 0, Mood::Well);
    job.keep("out", &[(source, Port::Main)]);
    let error = job.run(2).await.expect_err("the source fails");
    assert_eq!(error.to_string(), "source list: the list is torn");
}

/// A sink that fails → its error, naming it, although sources and workers were busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_sink_ends_the_job() {
    let mut lists = Lists::new(vec![events(1, 5_000, 0)]);
    lists.then = Then::Repeat;
    let mut job = Job::default();
    let source = job.source(lists, 0, Mood::Well);
    let sink = Box::new(Keep { fail: true, ..Keep::default() });
    job.node("shelf", &[(source, Port::Main)], NodeKind::Sink { sink, terms: SinkTerms::default() });
    let error = job.run(2).await.expect_err("the sink fails");
    assert_eq!(error.to_string(), "sink shelf: the shelf is full");
}

/// An endless source that is stopped → the job ends, all that was read is written, open windows do not fire early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_loses_nothing_that_was_read() {
    let mut lists = Lists::new(vec![events(1, 500, 0), events(2, 500, 0)]);
    lists.then = Then::Repeat;
    let sent = lists.sent.clone();
    let mut job = Job::default();
    let source = job.source(lists, 0, Mood::Well);
    let raw = job.keep("raw", &[(source, Port::Main)]);
    let size = WindowSpec::Tumbling { size: Period::from_millis(86_400_000), offset: Period::default() };
    let count = job.count("count", source, size);
    let counted = job.keep("counted", &[(count, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(2)).await.expect("the job starts");
    while sent.load(SeqCst) < 200_000 {
        tokio::task::yield_now().await;
    }
    running.stopper().stop();
    let ledger = running.wait().await.expect("a stop is a clean end");
    assert_balance(&ledger);
    let read = ledger.step("list").expect("in the ledger").counts().read;
    assert_eq!(raw.sorted().len() as u64, read);
    assert_eq!(counted.sorted(), Vec::<String>::new());
}
