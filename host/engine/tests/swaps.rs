//! Plugins that are replaced while the job runs: every row meets exactly one version, states go along, and what cannot take
//! over leaves everything as it was.

use crate::editions::*;
use crate::parts::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use wasmill_engine::{DeadLetters, NodeKind, Port, Swapper, Tolerance};
use wasmill_stream::plugin::*;
use wasmill_stream::{Error, ErrorKind};

/// Swaps one version after the other.
async fn swap(swapper: &Swapper, step: &str, versions: impl IntoIterator<Item = Version>) {
    for version in versions {
        swapper.swap(step, version).await.expect("it fits");
    }
}

/// A transform that is replaced again and again by one that wants other things → every row has met one version, each split's
/// rows in the order of the versions, on any number of workers.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_meets_one_version() {
    for workers in [1, 2, 4] {
        let lists = lists(2_000);
        let mut job = Job::default();
        let (played, done) = slowly(lists.clone());
        let source = job.source(played, DISORDER, Mood::Well);
        let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) });
        let taken = job.keep("out", &[(step, Port::Main)]);
        let running = wasmill_engine::start(job.graph(), options(workers)).await.expect("it starts");
        swap(&running.swapper(), "tag", (2..12).map(|number| Version::Transform(Arc::new(tag(number))))).await;
        done.set(true);
        let ledger = running.wait().await.expect("it ends");
        assert_balance(&ledger);
        let mut versions: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for row in taken.sorted() {
            let (event, version) = row.rsplit_once(' ').expect("a version");
            versions.entry(event.to_owned()).or_default().push(version.parse().expect("a number"));
        }
        let expected = lists.iter().flatten().count();
        assert_eq!(versions.values().map(Vec::len).sum::<usize>(), expected, "each row once");
        for list in &lists {
            // Events of other splits may be equal: any of their versions will do.
            let mut last = 0;
            for (time, key) in list {
                let of_event = &versions[&format!("{key} {time}")];
                last = *of_event.iter().filter(|version| **version >= last).min().expect("versions ascend");
            }
        }
        assert!(versions.values().flatten().any(|version| *version == 11), "the last one has worked");
    }
}

/// The decoder of a source is replaced → every record is decoded once.
#[tokio::test(flavor = "multi_thread")]
async fn decoders() {
    let lists = lists(2_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists.clone());
    let source = job.source(played, DISORDER, Mood::Well);
    let taken = job.keep("out", &[(source, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(2)).await.expect("it starts");
    swap(&running.swapper(), "list", (0..10).map(|_| Version::Transform(Parse::new(Mood::Well)))).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    let mut expected: Vec<String> = lists.iter().flatten().map(|(time, key)| format!("{time} {key}")).collect();
    expected.sort();
    assert_eq!(taken.sorted(), expected);
}

/// Steps of every kind go from one version of their state to the next while windows are open and rows wait, with checkpoints
/// all the time and a crash in between, which is gone on from with another number of workers → the answers are those of a
/// job that nobody touched, and the manifest says which version its states have.
#[tokio::test(flavor = "multi_thread")]
async fn states_go_along() {
    let world = World::new(3_000);
    let (running, _done) = world.start(1, 2).await;
    let swapper = running.swapper();
    for step in STEPS {
        swap(&swapper, step, [newer(step, 2), newer(step, 3)]).await;
    }
    while versions_in(&world.store).await != [3; 4] {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stopper().abort(Error::internal("a crash"));
    running.wait().await.expect_err("it was killed");
    let (running, done) = world.start(3, 3).await;
    let swapper = running.swapper();
    for step in STEPS {
        swap(&swapper, step, [newer(step, 4)]).await;
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(versions_in(&world.store).await, [4; 4]);
    world.check();
}

/// A version that cannot rewrite the states of one worker of four → it is refused with its reason, and all go on as before;
/// then comes one that can.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_take_over() {
    let world = World::new(3_000);
    let (running, done) = world.start(1, 4).await;
    let swapper = running.swapper();
    // A refusal needs a state.
    for step in STEPS {
        while running.ledger().step(step).expect("a step").counts().written < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for step in STEPS {
        // It wants other things than the version before, too: these must not stay away from that one.
        let is_process = step == "numbers";
        let needs = Needs { reads_values: !is_process, writes_values: is_process, ..Needs::default() };
        let (counting, numbering) = (Counting::new(2, needs.clone()), Numbering::new(2, needs));
        counting.edition.failures.store(1, SeqCst);
        numbering.edition.failures.store(1, SeqCst);
        let bad = match is_process {
            true => Version::Process(Arc::new(numbering)),
            false => Version::Aggregate(Arc::new(counting)),
        };
        let error = swapper.swap(step, bad).await.expect_err("it does not know the state");
        assert!(error.report().contains("does not know this state"), "{}", error.report());
        assert_eq!(swapper.running(step).await.expect("a step").plugin().identity().version, "1");
    }
    swap(&swapper, "tumbling", [newer("tumbling", 3)]).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(versions_in(&world.store).await, [3, 1, 1, 1]);
    world.check();
}

/// Versions of another kind, of an older state, or without an output that is read → refused, with the way to do it.
#[tokio::test(flavor = "multi_thread")]
async fn misfits() {
    let world = World::new(500);
    let (running, done) = world.start(2, 1).await;
    let swapper = running.swapper();
    let refused = [
        ("tumbling", newer("numbers", 2), "runs plugins of world `aggregator`, and this is one of world `process`"),
        ("tumbling", newer("tumbling", 1), "has version 2, and this plugin knows only up to 1"),
        ("tumbling_out", newer("tumbling", 2), "has no plugin"),
        ("nothing", newer("tumbling", 2), "steps with a plugin: list, tumbling, sliding, sessions, numbers"),
    ];
    for (step, version, reason) in refused {
        let error = swapper.swap(step, version).await.expect_err(reason);
        assert!(error.kind() == ErrorKind::Invalid && error.report().contains(reason), "{}", error.report());
    }
    done.set(true);
    running.wait().await.expect("it ends");
    world.check();
}

/// A step that pauses because its plugin fails on every row → another version takes over within the pause, and every row
/// comes through.
#[tokio::test(flavor = "multi_thread")]
async fn a_cure() {
    let lists = lists(300);
    let mut job = Job::default();
    let source = job.source(Lists::new(lists.clone()), DISORDER, Mood::Well);
    let bad = tag(1);
    bad.edition.failures.store(usize::MAX, SeqCst);
    let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(bad) });
    let taken = job.keep("out", &[(step, Port::Main)]);
    let dead = Taken::default();
    let mut graph = job.graph();
    graph.nodes[step].tolerance = Tolerance { share: 0.0, give_up: Duration::from_secs(60) };
    graph.dead_letters =
        Some(DeadLetters { sink: Box::new(Keep { taken: dead.clone(), behind: None, fail: false }), late: false });
    let running = wasmill_engine::start(graph, options(2)).await.expect("it starts");
    let paused = running.ledger().step("tag").expect("the step").clone();
    while paused.paused().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.swapper().swap("tag", Version::Transform(Arc::new(tag(3)))).await.expect("it fits");
    let ledger = running.wait().await.expect("it ends");
    assert_balance(&ledger);
    // Of each worker the first ten are tolerated.
    let (taken, dead) = (taken.sorted(), dead.sorted().len());
    assert!(taken.iter().all(|row| row.ends_with(" 3")) && dead <= 20, "{dead} dead letters");
    assert_eq!(taken.len() + dead, lists.iter().flatten().count());
}

/// Before the cure of a step that pauses comes a version for another step, and one that cannot do with the rows as they are
/// → the cure is found behind both, and every row comes through.
#[tokio::test(flavor = "multi_thread")]
async fn a_cure_behind_others() {
    let lists = lists(300);
    let mut job = Job::default();
    let source = job.source(Lists::new(lists.clone()), DISORDER, Mood::Well);
    let bad = tag(1);
    bad.edition.failures.store(usize::MAX, SeqCst);
    let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(bad) });
    let other = job.node("other", &[(step, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) });
    let taken = job.keep("out", &[(other, Port::Main)]);
    let mut graph = job.graph();
    graph.nodes[step].tolerance = Tolerance { share: 0.0, give_up: Duration::from_secs(600) };
    let dead = Taken::default();
    graph.dead_letters =
        Some(DeadLetters { sink: Box::new(Keep { taken: dead.clone(), behind: None, fail: false }), late: false });
    let running = wasmill_engine::start(graph, options(1)).await.expect("it starts");
    let paused = running.ledger().step("tag").expect("the step").clone();
    until("a pause", || paused.paused()).await;
    let hasty = running.swapper().with_patience(Duration::from_millis(50));
    let version = |number| Version::Transform(Arc::new(tag(number)));
    // Neither comes to its epoch while the first step pauses.
    assert!(hasty.swap("other", version(5)).await.expect("it is on its way").is_pending);
    assert!(hasty.swap("tag", version(2)).await.expect("it is on its way").is_pending);
    let cure = running.swapper().swap("tag", version(3)).await.expect("it fits");
    assert!(!cure.is_pending, "it was found");
    assert_balance(&running.wait().await.expect("it ends"));
    let (taken, dead) = (taken.sorted().len(), dead.sorted().len());
    assert!(dead <= 10, "{dead} dead letters");
    assert_eq!(taken + dead, lists.iter().flatten().count());
}
