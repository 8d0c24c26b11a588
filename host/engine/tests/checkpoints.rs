//! Crashes, stops and other runs: every row of every sink is there exactly once, whatever happens in between.

use crate::parts::*;
use crate::vault::{Vault, Way, checkpoints, start};
use crate::world::{DISORDER, World, lines};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use wasmill_engine::{Checkpoints, NodeKind, Options, Port, SinkTerms};
use wasmill_stream::checkpoint::Kind;
use wasmill_stream::ledger::Ledger;
use wasmill_stream::units::{ByteCount, Period};
use wasmill_stream::window::WindowSpec;
use wasmill_stream::{Error, ErrorKind};

/// Runs that are broken off at any moment, each with another number of workers → the last one ends with exactly the rows
/// that a single run would have given, and every run that published anything got further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_lose_nothing_and_double_nothing() {
    let world = World::new(5, 6_000);
    let mut read = Vec::new();
    for round in 0..12u64 {
        let running = world.start([1, 4, 2, 3][round as usize % 4]).await.expect("it starts");
        if round == 0 {
            let known = running.checkpoints().expect("it keeps some").clone();
            until("a checkpoint", || (known.look().published > 0).then_some(())).await;
        }
        tokio::time::sleep(Duration::from_millis(20 + round * 37 % 90)).await;
        running.stopper().abort(Error::internal("crash"));
        running.wait().await.expect_err("it was broken off");
        let newest = world.newest().await;
        let positions = newest.sources.get("list").map_or(0, |mark| {
            mark.splits
                .values()
                .filter_map(|split| split.position)
                .map(|position| position.to_string())
                .fold(0u64, |sum, position| sum + position.parse::<u64>().expect("a number"))
        });
        read.push(positions);
    }
    assert!(read.is_sorted(), "{read:?}");
    assert!(read.last() > read.first(), "{read:?}");
    let ledger = world.start(2).await.expect("it starts").wait().await.expect("it ends");
    assert_balance(&ledger);
    world.check();
    let end = world.newest().await;
    assert_eq!(end.kind, Kind::End);
    assert!(end.sources["list"].splits.values().all(|split| split.done));
}

/// A stop in the middle → nothing that was read is lost, nothing is read again, and the next run ends with the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_exact() {
    let world = World::new(3, 1_500);
    let running = world.start(2).await.expect("it starts");
    until("rows", || (world.raw.rows().len() > 300).then_some(())).await;
    running.stopper().stop();
    let first = running.wait().await.expect("a stop is no failure");
    // Rows that wait for their time are in flight, and come in again in the next run.
    let others = first.steps.iter().filter(|step| step.name != "number").cloned().collect();
    assert_balance(&Ledger { steps: others });
    assert_eq!(world.newest().await.kind, Kind::Stop);
    let second = world.start(3).await.expect("it starts").wait().await.expect("it ends");
    assert_balance(&second);
    let read = |ledger: &Ledger| ledger.step("list").expect("a source").counts().read as usize;
    assert!(read(&first) > 0 && read(&second) > 0, "{} {}", read(&first), read(&second));
    assert_eq!(read(&first) + read(&second), world.all().len());
    world.check();
}

/// Crashes after a checkpoint was committed and its readers have taken everything away, one more before the next checkpoint → the
/// job goes on, and every row was there once. Without the note that it was committed, or with one about another manifest, the
/// sink looks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_take_what_is_committed() {
    let world = World::new(3, 1_500);
    let running = world.start(2).await.expect("it starts");
    until("rows", || (world.raw.rows().len() > 300).then_some(())).await;
    world.store.held.store(true, SeqCst);
    let all = |settled: Value| settled["sinks"].as_array().map(Vec::len) == Some(6);
    until("all sinks to be settled", || world.settled().filter(|settled| all(settled.clone()))).await;
    running.stopper().abort(Error::internal("crash"));
    running.wait().await.expect_err("it was broken off");
    world.store.held.store(false, SeqCst);
    for vault in [&world.tumbling, &world.sliding, &world.sessions, &world.ordered, &world.raw, &world.archive] {
        vault.take();
    }
    let whole = world.store.objects().clone();
    let settled = world.settled().expect("there is one");
    for (member, other) in [("number", json!(1)), ("writer", json!("other")), ("sinks", json!([])), ("sinks", json!(1))]
    {
        let mut wrong = settled.clone();
        wrong[member] = other;
        world.store.objects().insert("settled".to_owned(), wrong.to_string().into());
        let error = world.start(1).await.err().expect("what it looks for is gone").to_string();
        assert!(error.contains("was never prepared"), "{member}: {error}");
        *world.store.objects() = whole.clone();
    }
    let again = world.start(1).await.expect("it starts");
    again.stopper().abort(Error::internal("crash"));
    again.wait().await.expect_err("it was broken off");
    world.start(3).await.expect("it starts").wait().await.expect("it ends");
    world.check();
}

/// A sink whose source ends while another source goes on → its last rows are committed by the next checkpoint, and are not
/// touched again: not by later checkpoints, nor by the stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_ends_first_is_committed() {
    let world = World::new(2, 300);
    let [short, long] = [vec![world.lists[0].clone()], vec![world.lists[1].clone()]];
    let (first, second) = (Vault::default(), Vault::default());
    let job = || {
        let mut job = Job::default();
        let list = job.source(Lists::new(short.clone()), DISORDER, Mood::Well);
        job.node(
            "ends",
            &[(list, Port::Main)],
            NodeKind::Sink { sink: Box::new(first.clone()), terms: SinkTerms::default() },
        );
        let lists = Lists { then: Then::Repeat, pause: Duration::from_millis(1), ..Lists::new(long.clone()) };
        let endless = job.source_named("endless", lists, DISORDER, Mood::Well);
        job.node(
            "goes_on",
            &[(endless, Port::Main)],
            NodeKind::Sink { sink: Box::new(second.clone()), terms: SinkTerms::default() },
        );
        job
    };
    let expected = lines(&world.lists[0]);
    for _ in 0..2 {
        let options = Options { checkpoints: Some(checkpoints(&world.store)), ..options(2) };
        let running = wasmill_engine::start(job().graph(), options).await.expect("it starts");
        until("the first sink's rows", || (first.rows() == expected).then_some(())).await;
        let (first, second) = (&first, &second);
        let later = |count: usize| {
            let enough = second.parts_committed() + count;
            until("parts", move || (second.parts_committed() >= enough).then_some(()))
        };
        later(3).await;
        let parts = first.parts_committed();
        later(3).await;
        assert_eq!(first.parts_committed(), parts);
        running.stopper().stop();
        running.wait().await.expect("a stop is no failure");
        assert_eq!(first.rows(), expected);
        assert_eq!(world.newest().await.kind, Kind::Stop);
    }
}

/// A second run of the same job → takes over; the first fails, says why, and commits nothing after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_run_wins() {
    let mut world = World::new(2, 3_000);
    world.pause = Duration::from_millis(5);
    let first = world.start(1).await.expect("it starts");
    tokio::time::sleep(Duration::from_millis(150)).await;
    let second = world.start(2).await.expect("it starts");
    let error = first.wait().await.expect_err("it was fenced off");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("has taken over this job"), "{error}");
    second.wait().await.expect("it ends");
    world.check();
}

/// A host is frozen; another takes over and publishes and prunes until no trace of its begin is left; the first thaws → it
/// fails, says why, and commits nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_thaws_late_has_lost() {
    for retain in [1, 3] {
        let mut world = World::new(2, 3_000);
        world.pause = Duration::from_millis(5);
        let way = Way::to(world.store.clone());
        let first = Checkpoints { store: way.clone(), retain, ..checkpoints(&world.store) };
        let first = world.start_with(first).await.expect("it starts");
        until("a checkpoint", || (first.checkpoints().is_some_and(|known| known.look().last.is_some())).then_some(()))
            .await;
        way.frozen.send_replace(true);
        let second = world.start_with(Checkpoints { retain, ..checkpoints(&world.store) }).await.expect("it starts");
        let begun = world.newest().await;
        let oldest = || world.store.objects().keys().find(|name| name.starts_with("manifest/")).cloned();
        let later = format!("manifest/{:010}", begun.number + 3);
        until("pruning", || (oldest().is_some_and(|oldest| oldest > later)).then_some(())).await;
        way.frozen.send_replace(false);
        let error = first.wait().await.expect_err("it was fenced off");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("has taken over this job"), "{error}");
        second.wait().await.expect("it ends");
        world.check();
    }
}

/// A damaged newest manifest, of which nobody knows the run → refused, `fresh` as recommended starts, behind its number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_starts_in_spite_of_damage() {
    let world = World::new(2, 300);
    world.start(1).await.expect("it starts").wait().await.expect("it ends");
    let last = world.newest().await;
    world.store.objects().retain(|name, _| !name.starts_with("state/"));
    world.store.objects().insert(format!("manifest/{:010}", last.number), "torn".into());
    let error = world.start(1).await.err().expect("it does not start").to_string();
    assert!(error.contains("no older checkpoint is whole; `wasmill run --fresh`"), "{error}");
    let anew = World { store: world.store.clone(), lists: world.lists.clone(), ..World::default() };
    let fresh = Checkpoints { fresh: true, ..checkpoints(&anew.store) };
    anew.start_with(fresh).await.expect("it starts").wait().await.expect("it ends");
    anew.check();
    let newest = anew.newest().await;
    assert!(newest.number > last.number && newest.run > last.run, "{} {}", newest.number, newest.run);
}

/// A sink that does not answer its commit → it is what the stalled checkpoint waits for, not the store; the job goes on when it
/// answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_commit_is_named() {
    let world = World::new(2, 500);
    world.raw.moods().stuck.store(true, SeqCst);
    let running = world.start(2).await.expect("it starts");
    let status = running.checkpoints().expect("it keeps some").clone();
    let named = || status.look().stalled.filter(|reason| reason.ends_with("waiting for the commit of raw"));
    until("a stalled checkpoint", named).await;
    world.raw.moods().stuck.store(false, SeqCst);
    running.wait().await.expect("it ends");
    world.check();
}

/// A sink whose reader has seen enough, beside others → the job ends without an error and without a last checkpoint; the next
/// run goes on from the one before, and every row is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_sink_ends_the_job_quietly() {
    let world = World::new(3, 1_500);
    let running = world.start(2).await.expect("it starts");
    until("a checkpoint", || (running.checkpoints().is_some_and(|known| known.look().last.is_some())).then_some(()))
        .await;
    world.raw.moods().closed.store(true, SeqCst);
    let ended = tokio::time::timeout(Duration::from_secs(30), running.wait()).await.expect("it ends");
    ended.expect("that is no failure");
    assert_eq!(world.newest().await.kind, Kind::Periodic);
    world.raw.moods().closed.store(false, SeqCst);
    world.start(1).await.expect("it starts").wait().await.expect("it ends");
    world.check();
}

/// A full disk for a while → the job goes on, checkpoints come again by themselves, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_waited_for() {
    let world = World::new(3, 1_000);
    let running = world.start(2).await.expect("it starts");
    world.store.full.store(true, SeqCst);
    until("a refusal", || (world.store.refused.load(SeqCst) > 0).then_some(())).await;
    world.store.full.store(false, SeqCst);
    running.wait().await.expect("it ends");
    world.check();
}

/// A state or manifest that was changed, cut or removed → the next run refuses to start and names the newest checkpoint
/// that is whole; the rows that were committed stay as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named() {
    let world = World::new(2, 4_000);
    let running = world.start(1).await.expect("it starts");
    until("rows", || (world.raw.rows().len() > 300).then_some(())).await;
    running.stopper().stop();
    running.wait().await.expect("it stops");
    let whole = world.store.objects().clone();
    let newest = world.newest().await;
    let mut named: Vec<String> = newest
        .steps
        .values()
        .flat_map(|step| &step.runs)
        .flat_map(|run| &run.segments)
        .map(|s| s.name.clone())
        .collect();
    named.push(format!("manifest/{:010}", newest.number));
    assert!(named.len() > 3, "{named:?}");
    for name in &named {
        for damage in 0..3 {
            let mut objects = whole.clone();
            let bytes = objects[name].clone();
            match damage {
                0 => drop(objects.insert(name.clone(), bytes.slice(..bytes.len() / 2))),
                1 => {
                    let mut flipped = bytes.to_vec();
                    let middle = flipped.len() / 2;
                    flipped[middle] ^= 4;
                    objects.insert(name.clone(), flipped.into());
                }
                // A manifest that is gone is not the newest any more.
                _ if name.starts_with("manifest") => continue,
                _ => drop(objects.remove(name)),
            }
            *world.store.objects() = objects;
            let error = world.start(2).await.err().expect("it does not start");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let text = error.to_string();
            assert!(text.contains(name.as_str()), "{text}");
            assert!(
                text.contains("the newest whole checkpoint is number") || text.contains("no older checkpoint"),
                "{text}"
            );
        }
    }
    *world.store.objects() = whole;
    world.start(2).await.expect("it starts").wait().await.expect("it ends");
    world.check();
}

/// Another window in the same step, a step that is gone → refused with both shapes or the name; `fresh` starts anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_job_is_refused() {
    let world = World::new(1, 200);
    world.start(1).await.expect("it starts").wait().await.expect("it ends");
    let try_size = |size: i64, name: &'static str, fresh: bool| {
        let mut job = Job::default();
        let source = job.source(Lists::new(world.lists.clone()), DISORDER, Mood::Well);
        let spec = WindowSpec::Tumbling { size: Period::from_millis(size), offset: Period::default() };
        let count = job.count(name, source, spec);
        let vault = Vault::default();
        job.lock_up("out", count, &vault);
        let checkpoints = Checkpoints { fresh, ..checkpoints(&world.store) };
        async move { start(job, 1, checkpoints).await.map(|running| (running, vault)) }
    };
    let error = try_size(1_000, "other", false).await.err().expect("refused").to_string();
    assert!(error.contains("is gone") && error.contains("--fresh"), "{error}");
    let Ok((running, vault)) = try_size(2_000, "tumbling", true).await else { panic!("it starts afresh") };
    running.wait().await.expect("it ends");
    assert_eq!(vault.rows(), counts(world.all(), 2_000));
    let error = try_size(1_000, "tumbling", false).await.err().expect("refused").to_string();
    assert!(error.contains("\"tumbling 2s, lateness 0s\" there and is \"tumbling 1s, lateness 0s\" now"), "{error}");
}

/// State above the limit → the job ends with an error that names the step, the sizes and the setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_is_limited() {
    let mut world = World::new(1, 3_000);
    world.pause = Duration::ZERO;
    let mut job = Job::default();
    let source = job.source(Lists::new(world.lists.clone()), DISORDER, Mood::Well);
    let spec = WindowSpec::Tumbling { size: Period::from_millis(1_000_000_000), offset: Period::default() };
    let count = job.count("huge", source, spec);
    job.keep("out", &[(count, Port::Main)]);
    let options = Options { state_limit: ByteCount::new(500), ..options(1) };
    let running = wasmill_engine::start(job.graph(), options).await.expect("it starts");
    let error = running.wait().await.expect_err("the limit is low").to_string();
    assert!(error.contains("step huge") && error.contains("state_limit"), "{error}");
}
