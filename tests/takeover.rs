//! Two hosts on one job: the later one wins, whatever the earlier one believes.

use crate::harness::chance::{Chance, count};
use crate::harness::patience::until;
use crate::harness::report;
use crate::harness::search::Search;
use crate::pipeline::{self, Input, Pipeline, Turn};
use std::sync::Arc;
use std::time::Instant;

const RATE: usize = 1_500;

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
    second.wait().well();
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
