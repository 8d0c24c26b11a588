//! Plugins that are replaced while the job runs: every row meets exactly one version, states go along, and what cannot take
//! over leaves everything as it was.

use crate::editions::*;
use crate::parts::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use wasmill_engine::{Bounds, DeadLetters, Migration, Mode, NodeKind, Port, Running, SinkTerms, Swapper, Tolerance};
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;
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

/// A job whose step `tag` pauses, because its plugin fails on every row.
struct Paused {
    running: Running,
    rows: usize,
    taken: Taken,
    dead: Taken,
}

impl Paused {
    /// With other steps behind it.
    async fn start(workers: usize, others: &[&str]) -> Self {
        let lists = lists(300);
        let mut job = Job::default();
        let source = job.source(Lists::new(lists.clone()), DISORDER, Mood::Well);
        let bad = tag(1);
        bad.edition.failures.store(usize::MAX, SeqCst);
        let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(bad) });
        let last = others.iter().fold(step, |before, name| {
            job.node(name, &[(before, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) })
        });
        let (taken, dead) = (job.keep("out", &[(last, Port::Main)]), Taken::default());
        let mut graph = job.graph();
        graph.nodes[step].tolerance = Tolerance { share: 0.0, give_up: Duration::from_secs(600) };
        graph.dead_letters = Some(DeadLetters {
            sink: Box::new(Keep { taken: dead.clone(), behind: None, fail: false }),
            terms: SinkTerms::default(),
            late: false,
        });
        let running = wasmill_engine::start(graph, options(workers)).await.expect("it starts");
        let step = running.ledger().step("tag").expect("the step").clone();
        until("a pause", || step.paused()).await;
        Self { running, rows: lists.iter().flatten().count(), taken, dead }
    }

    /// Waits for its end, and returns the rows that came through. Of each worker the first ten failures are tolerated.
    async fn end(self, workers: usize) -> Vec<String> {
        assert_balance(&self.running.wait().await.expect("it ends"));
        let (taken, dead) = (self.taken.sorted(), self.dead.sorted().len());
        assert!(dead <= 10 * workers, "{dead} dead letters");
        assert_eq!(taken.len() + dead, self.rows);
        taken
    }
}

/// A step that pauses because its plugin fails on every row → another version takes over within the pause, and every row
/// comes through.
#[tokio::test(flavor = "multi_thread")]
async fn a_cure() {
    let job = Paused::start(2, &[]).await;
    job.running.swapper().swap("tag", Version::Transform(Arc::new(tag(3)))).await.expect("it fits");
    let taken = job.end(2).await;
    assert!(taken.iter().all(|row| row.ends_with(" 3")), "{taken:?}");
}

/// Before the cure of a step that pauses comes a version for another step, and one that cannot do with the rows as they are
/// → the cure is found behind both, and every row comes through.
#[tokio::test(flavor = "multi_thread")]
async fn a_cure_behind_others() {
    let job = Paused::start(1, &["other"]).await;
    let hasty = job.running.swapper().with_patience(Duration::from_millis(50));
    let version = |number| Version::Transform(Arc::new(tag(number)));
    // Neither comes to its epoch while the first step pauses.
    assert!(hasty.swap("other", version(5)).await.expect("it is on its way").is_pending);
    assert!(hasty.swap("tag", version(2)).await.expect("it is on its way").is_pending);
    let cure = job.running.swapper().swap("tag", version(3)).await.expect("it fits");
    assert!(!cure.is_pending, "it was found");
    job.end(1).await;
}

/// A version of a step with what its edition says.
fn edited(step: &str, number: u32, edit: impl FnOnce(&mut Edition)) -> (Version, Edition) {
    let (mut counting, mut numbering, mut tag) = (count(number), numbering(number), tag(number));
    let edition = match step {
        "numbers" => &mut numbering.edition,
        "list" => &mut tag.edition,
        _ => &mut counting.edition,
    };
    edit(edition);
    let edition = edition.clone();
    let version = match step {
        "numbers" => Version::Process(Arc::new(numbering)),
        "list" => Version::Transform(Arc::new(tag)),
        _ => Version::Aggregate(Arc::new(counting)),
    };
    (version, edition)
}

/// Versions of every kind that fail in a call without rows → refused with the reason, at once and on trial, before a worker has
/// called them. One that does well → each of its instances was called once without rows, by nobody who works on rows.
#[tokio::test(flavor = "multi_thread")]
async fn probe_calls() {
    let world = World::new(3_000);
    let (running, done) = world.start(1, 3).await;
    let swapper = running.swapper();
    let runs = async |step| swapper.running(step).await.expect("a step").plugin().identity().version.clone();
    for step in ["list", "tumbling", "numbers"] {
        let before = runs(step).await;
        for mode in [None, Some(Mode::Probation), Some(Mode::Shadow)] {
            let (version, edition) = edited(step, 2, |edition| edition.is_hollow = true);
            let error = match mode {
                None => swapper.swap(step, version).await.expect_err("it fails"),
                Some(mode) => swapper.try_out(step, version, mode, Bounds::default()).await.expect_err("it fails"),
            };
            let reason = error.report();
            assert!(reason.starts_with("probe call: ") && reason.contains("it fails without rows"), "{reason}");
            assert!(edition.workers.lock().expect("not poisoned").is_empty(), "{step}: nobody has called it with rows");
            assert_eq!(
                (runs(step).await, swapper.trial(step).await.expect("a step").is_some()),
                (before.clone(), false)
            );
        }
    }
    for step in ["tumbling", "numbers"] {
        let (version, edition) = edited(step, 2, |_| {});
        swapper.swap(step, version).await.expect("it fits");
        let with_rows = || Some(edition.workers.lock().expect("not poisoned").len()).filter(|workers| *workers > 0);
        until("rows", with_rows).await;
        let (probes, workers) =
            (edition.probes.lock().expect("not poisoned"), edition.workers.lock().expect("not poisoned"));
        assert_eq!(probes.len(), 3, "{step}: one for each worker");
        assert!(probes.iter().all(|thread| !workers.contains(thread)), "{step}: {probes:?} and {workers:?}");
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    world.check();
}

/// Versions that cannot rewrite any state, or not the 2,000th, of 2,500 → refused with both versions and the plugin's words, the
/// first one after a sample only; those that can say how many they have rewritten. On trial, a sample decides, too.
#[tokio::test(flavor = "multi_thread")]
async fn states_are_tried_first() {
    const KEYS: usize = 2_500;
    let mut job = Job::default();
    let rows = (0..KEYS as i64).map(|at| (at, format!("k{at}"))).collect();
    let source = job.source(Lists { then: Then::Wait, ..Lists::new(vec![rows]) }, DISORDER, Mood::Well);
    let (windows, allowed_lateness) = (WindowSpec::Session { gap: Period::from_millis(1_000_000) }, Period::default());
    let kinds = [
        ("windows", NodeKind::Aggregate { plugin: Arc::new(count(1)), windows, allowed_lateness }),
        ("numbers", NodeKind::Process { plugin: Arc::new(numbering(1)), order: Order::Arrival }),
    ];
    for (name, kind) in kinds {
        let step = job.node(name, &[(source, Port::Main)], kind);
        job.keep(&format!("{name}_out"), &[(step, Port::Main)]);
    }
    let running = wasmill_engine::start(job.graph(), options(1)).await.expect("it starts");
    let swapper = running.swapper();
    for step in ["windows", "numbers"] {
        let ledger = running.ledger().step(step).expect("a step").clone();
        until("all keys", || (ledger.counts().emitted == KEYS as u64).then_some(())).await;
        let sizes = |edition: &Edition| edition.rewritten.lock().expect("not poisoned").clone();
        let cases =
            [(1, false, "a sample of 1000 of 2500"), (2_000, false, "2500"), (1, true, "a sample of 1000 of 2500")];
        for (brittle, is_trial, which) in cases {
            let (version, edition) = edited(step, 2, |edition| edition.brittle = brittle);
            let error = match is_trial {
                false => swapper.swap(step, version).await.expect_err("it cannot"),
                true => {
                    let tried = swapper.try_out(step, version, Mode::Probation, Bounds::default()).await;
                    tried.expect_err("it cannot")
                }
            };
            let expected =
                format!("step {step}: rewrite {which} states from version 1 to 2: it does not know this state");
            assert_eq!(error.report(), expected);
            let sizes = sizes(&edition);
            assert_eq!((sizes[0], sizes.len() > 1), (1_000, brittle > 1), "{step}: {sizes:?}");
        }
        let (version, edition) = edited(step, 2, |_| {});
        let migration = swapper.swap(step, version).await.expect("it can").migration.expect("it had to");
        let Migration { from, to, states, sample, took, .. } = migration;
        assert_eq!((from, to, states, sample, took.is_some()), (1, 2, KEYS as u64, 1_000, true));
        assert_eq!(sizes(&edition).iter().sum::<usize>(), 1_000 + KEYS, "a sample, then all");
        let (version, edition) = edited(step, 3, |_| {});
        let tried = swapper.try_out(step, version, Mode::Probation, Bounds::default()).await.expect("it can");
        let migration = tried.1.migration.expect("it will have to");
        assert_eq!((migration.states, migration.took), (KEYS as u64, None));
        assert_eq!(sizes(&edition), [1_000], "the rest when it meets them");
        let swapped = swapper.settle(&tried.0, true).await.expect("it can").expect("it was on trial");
        assert_eq!(
            swapped.migration.map(|migration| (migration.from, migration.to, migration.states)),
            Some((2, 3, KEYS as u64))
        );
    }
    running.stopper().stop();
    running.wait().await.expect("it ends");
}
