//! Two hosts on one job: the later one wins, whatever the earlier one believes.

use crate::harness::chance::{Chance, count};
use crate::harness::patience::until;
use crate::harness::report;
use crate::harness::root;
use crate::harness::search::Search;
use crate::pipeline::{self, Input, Pipeline, Turn};
use std::fs;
use std::sync::Arc;
use std::time::Instant;
use wasmill_connect::checkpoint_store::StorePlace;
use wasmill_engine::{Fence, Journal};
use wasmill_stream::ErrorKind;
use wasmill_stream::checkpoint::{Created, Manifest};

const RATE: usize = 500;

fn turn(workers: usize) -> Turn {
    Turn { workers, rate: Some(RATE) }
}

/// A second start while the first runs → the first ends with exit code 1 and says who took over; every row is there once.
#[test]
fn the_later_host_wins() {
    let search = Arc::new(Search::start());
    let pipeline = Pipeline::new(Input::new(15_000), pipeline::all(&search, None));
    let mut first = pipeline.start(turn(1));
    let before = pipeline.wait_for_progress(&mut first, 0);
    let run = pipeline.manifests().newest().expect("there is one").run;
    let mut second = pipeline.start(turn(3));
    until("the second run", || {
        assert!(second.status().is_none(), "{}", second.text());
        pipeline.manifests().newest().filter(|newest| newest.run > run)
    });
    let since = Instant::now();
    let ended = first.wait();
    let took = since.elapsed();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains("has taken over this job"), "{}", ended.log);
    pipeline.wait_for_progress(&mut second, before);
    pipeline.rest(second);
    pipeline.check();
    report(&format!("the first host had ended {} ms after the second began", took.as_millis()));
}

/// A host that is frozen, while another takes over, and thawed then, again and again, every other time only when the number
/// that it would publish next has been taken and pruned → it ends with exit code 1 and commits nothing; every row is there
/// once.
#[test]
fn a_frozen_host_wakes_up() {
    let (rounds, mut chance) = (count("WASMILL_FREEZES", 3), Chance::announced());
    let search = Arc::new(Search::start());
    let pipeline = Pipeline::new(Input::new((rounds + 1) * 12_000), pipeline::all(&search, None));
    let mut owner = pipeline.start(turn(2));
    let mut took = Vec::new();
    for round in 0..rounds {
        let before = pipeline.progress();
        pipeline.wait_for_progress(&mut owner, before);
        owner.signal("STOP");
        let frozen_at = pipeline.manifests().newest().expect("there is one").number;
        let before = pipeline.progress();
        let mut next = pipeline.start(turn(1 + chance.below(4)));
        pipeline.wait_for_progress(&mut next, before);
        if round % 2 == 0 {
            until("pruning", || {
                assert!(next.status().is_none(), "{}", next.text());
                pipeline.manifests().numbers().first().filter(|oldest| **oldest > frozen_at + 1).copied()
            });
        }
        owner.signal("CONT");
        let since = Instant::now();
        let ended = owner.wait();
        took.push(since.elapsed());
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        assert!(ended.log.contains("has taken over this job"), "{}", ended.log);
        owner = next;
    }
    owner.kill();
    pipeline.finish().well();
    pipeline.check();
    let longest = took.iter().max().copied().unwrap_or_default();
    report(&format!("{rounds} frozen hosts woke up and ended, the slowest after {} ms", longest.as_millis()));
}

/// A host that stands still just before it publishes, for so long that another one has used the number, gone on and removed
/// that manifest as an old one → it may not publish, nor may a run begin with the number, and it learns who took over.
#[tokio::test]
async fn a_number_that_was_used_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = StorePlace::folder(folder.path()).open().await.expect("it can be opened");
    let journal = Journal::new(store);
    let fixture = "tests/fixtures/checkpoint-1/checkpoints/pipeline/manifest/0000000006";
    let sample = Manifest::decode(&fs::read(root().join(fixture)).expect("a fixture")).expect("a manifest");
    let of = |writer: &str, run: u64, number: u64| Manifest { number, run, writer: writer.into(), ..sample.clone() };
    assert_eq!(journal.begin(&of("frozen", 1, 1)).await.expect("a store"), Created::New);
    assert_eq!(journal.begin(&of("next", 2, 2)).await.expect("a store"), Created::New);
    for number in 3..=6 {
        journal.publish(&of("next", 2, number)).await.expect("nobody is in the way");
    }
    let fence = |writer: &str, run: u64, number: u64| Fence { run, writer: writer.into(), number };
    journal.prune(2).await.expect("a store");
    assert_eq!(journal.numbers().await.expect("a store"), [5, 6]);
    journal.check(&fence("next", 2, 6)).await.expect("it is the newest");
    journal.check(&fence("next", 2, 4)).await.expect("the newest is its own, and it does not know yet");

    let watched = journal.check(&fence("frozen", 1, 1)).await.expect_err("another is there");
    let published = journal.publish(&of("frozen", 1, 2)).await.expect_err("another is there");
    for error in [watched, published] {
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.report().contains("run 2 since"), "{}", error.report());
    }
    assert_eq!(journal.begin(&of("third", 3, 3)).await.expect("a store"), Created::Taken);
    let newest = journal.newest().await.expect("it is whole").expect("there is one");
    assert_eq!((newest.number, &*newest.writer), (6, "next"));
}
