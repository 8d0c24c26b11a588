//! The answer does not depend on workers, splits or timing.

use crate::parts::*;
use std::collections::BTreeSet;
use wasmill_engine::{NodeKind, Port};
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

fn tumbling(millis: i64) -> WindowSpec {
    WindowSpec::Tumbling { size: Period::from_millis(millis), offset: Period::default() }
}

/// Any number of workers and splits → the brute-force counts, and every row accounted for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_equal_brute_force() {
    for (workers, splits) in [(1, 1), (1, 5), (2, 1), (2, 8), (4, 3)] {
        let lists: Vec<_> = (0..splits).map(|at| events(at as u64, 1_500, 300)).collect();
        let expected = counts(lists.iter().flatten().cloned(), 1_000);
        let mut job = Job::default();
        let source = job.source(Lists::new(lists), 300, Mood::Well);
        let count = job.count("count", source, tumbling(1_000));
        let taken = job.keep("out", &[(count, Port::Main)]);
        let ledger = job.run(workers).await.expect("the job ends");
        assert_balance(&ledger);
        let fired = ledger.step("count").expect("in the ledger").counts().fired;
        assert_eq!(fired as usize, expected.len());
        assert_eq!(taken.sorted(), expected, "{workers} workers, {splits} splits");
    }
}

/// One source feeding two aggregations and a raw sink → each gets every row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_feeds_several_branches() {
    let list = events(9, 2_000, 0);
    let mut job = Job::default();
    let source = job.source(Lists::new(vec![list.clone()]), 0, Mood::Well);
    let (short, long) = (job.count("short", source, tumbling(500)), job.count("long", source, tumbling(4_000)));
    let shorts = job.keep("shorts", &[(short, Port::Main)]);
    let longs = job.keep("longs", &[(long, Port::Main)]);
    let raw = job.keep("raw", &[(source, Port::Main)]);
    let both = job.keep("both", &[(short, Port::Main), (long, Port::Main)]);
    let ledger = job.run(2).await.expect("the job ends");
    assert_balance(&ledger);
    assert_eq!(shorts.sorted(), counts(list.clone(), 500));
    assert_eq!(longs.sorted(), counts(list.clone(), 4_000));
    let mut lines: Vec<_> = list.iter().map(|(time, key)| format!("{time} {key}")).collect();
    lines.sort();
    assert_eq!(raw.sorted(), lines);
    let mut union = [counts(list.clone(), 500), counts(list, 4_000)].concat();
    union.sort();
    assert_eq!(both.sorted(), union);
}

/// Rows behind the watermark leave by the late output, bytes intact; skipped and refused rows are counted as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_skipped_and_refused_rows() {
    let mut list: Vec<Event> = (0..20_000).map(|i| (i * 100, "a".to_owned())).collect();
    let keys = ["skip", "bad", "b"];
    list.extend((0..30).map(|i| (1_999_000, keys[i % 3].to_owned())));
    let mut source = Lists::new(vec![list, late_list()]);
    source.chunk = 50;
    let mut job = Job::default();
    let source = job.source(source, 0, Mood::Well);
    let count = job.count("count", source, tumbling(1_000));
    let counted = job.keep("out", &[(count, Port::Main)]);
    let late = job.keep("late", &[(count, Port::Late)]);
    let ledger = job.run(2).await.expect("the job ends");
    assert_balance(&ledger);
    let source = ledger.step("list").expect("in the ledger");
    assert_eq!((source.counts().filtered, source.counts().rejected), (10, 10));
    assert_eq!(source.rejects().reasons.get("bad key"), Some(&10));
    assert!(source.rejects().examples[0].starts_with("list/0 record "), "{:?}", source.rejects().examples);
    let step = ledger.step("count").expect("in the ledger").counts();
    let in_windows: u64 = counted.sorted().iter().filter_map(|row| row.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!(step.late, 5);
    assert_eq!(in_windows + step.late, step.read);
    assert_eq!(late.sorted(), vec!["0 straggler"; 5]);
}

/// Ends with rows for the very first window. The rows before them fill many epochs, so that it has closed by then.
fn late_list() -> Vec<Event> {
    (0..20_000).map(|i| (i * 100, "c".to_owned())).chain((0..5).map(|_| (0, "straggler".to_owned()))).collect()
}

/// Rows of few keys and times, in either order, and rows of timers at the same times → as many ids as rows, and the same
/// ones with any number of workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_tell_rows_apart() {
    let list = |split: i64| (0..400).map(|at| (at / 8 + split % 2, format!("k{}", at % 3))).collect::<Vec<Event>>();
    for order in [Order::Arrival, Order::EventTime] {
        let mut of_one = None;
        for workers in [1, 2, 4] {
            let mut job = Job::default();
            let source = job.source(Lists::new((0..3).map(list).collect()), 0, Mood::Well);
            let echo = job.node("echo", &[(source, Port::Main)], NodeKind::Process { plugin: Echo::new(), order });
            let taken = job.keep("out", &[(echo, Port::Main)]);
            assert_balance(&job.run(workers).await.expect("the job ends"));
            let ids = taken.ids.lock().expect("not poisoned").clone();
            let distinct: BTreeSet<String> = ids.iter().cloned().collect();
            // In the order of arrival the calls decide how many timers fire.
            if order == Order::Arrival {
                let records = ids.iter().filter(|id| id.contains("|list/"));
                assert_eq!((records.clone().count(), records.collect::<BTreeSet<_>>().len()), (1_200, 1_200));
                continue;
            }
            assert!(ids.len() > 1_200);
            assert_eq!(ids.len(), distinct.len(), "{workers} workers");
            assert_eq!(*of_one.get_or_insert(distinct.clone()), distinct, "{workers} workers");
        }
    }
}
