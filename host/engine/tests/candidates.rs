//! Versions that have to prove themselves: whatever they do, every row is accounted for, and the incumbent can go on alone.

use crate::editions::*;
use crate::parts::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use wasmill_engine::{Bounds, Candidacy, Journal, Mode, NodeKind, Port, Running};
use wasmill_stream::Result;
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::{Binary, Error, key};

const NO_BOUNDS: Bounds = Bounds { rejects: None, cpu: None, latency: None, output: None };

/// A version of a step, whose counts are greater by `surplus`, and whose next `traps` calls fail.
fn odd(step: &str, number: u32, surplus: u64, traps: usize) -> Version {
    if step == "numbers" {
        let mut odd = numbering(number);
        odd.edition.surplus = surplus;
        odd.edition.traps.store(traps, SeqCst);
        Version::Process(Arc::new(odd))
    } else {
        let mut odd = count(number);
        odd.edition.surplus = surplus;
        odd.edition.traps.store(traps, SeqCst);
        Version::Aggregate(Arc::new(odd))
    }
}

pub async fn try_out(running: &Running, step: &str, version: Version, mode: Mode) -> Arc<Candidacy> {
    running.swapper().try_out(step, version, mode, NO_BOUNDS).await.expect("it fits").0
}

pub async fn settle(running: &Running, candidacy: &Arc<Candidacy>, promote: bool) {
    running.swapper().settle(candidacy, promote).await.expect("it settles").expect("it was on trial");
}

pub async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Candidates for steps of every kind that fail on every call, with the state of the incumbent and with one of their own
/// → each is not called again after its first failure, and all answers are those of a job that nobody touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_costs_nothing() {
    for number in [1, 2] {
        let world = World::new(3_000);
        let (running, done) = world.start(1, 3).await;
        for step in STEPS {
            let bad = odd(step, number, 0, usize::MAX);
            let candidacy = try_out(&running, step, bad, Mode::Probation).await;
            candidacy.failed().await;
            let reason = candidacy.failure().expect("it has failed");
            assert!(reason.contains("fails where the version before does not"), "{reason}");
            settle(&running, &candidacy, false).await;
            assert_eq!(running.swapper().running(step).await.expect("a step").plugin().state_version(), 1);
        }
        done.set(true);
        assert_balance(&running.wait().await.expect("it ends"));
        world.check();
    }
}

/// Candidates with states of their own that do well → they go on alone with these; nobody sees a difference.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_does_well_stays() {
    let world = World::new(3_000);
    let (running, done) = world.start(1, 2).await;
    for (step, mode) in STEPS.into_iter().zip([
        Mode::Probation,
        Mode::Shadow,
        Mode::Canary { key_groups: 400 },
        Mode::Canary { key_groups: 700 },
    ]) {
        let candidacy = try_out(&running, step, newer(step, 2), mode).await;
        until(|| candidacy.report().compared > 50).await;
        settle(&running, &candidacy, true).await;
        let report = candidacy.report();
        assert!(report.differing == 0 && report.failure.is_none(), "{step}: {report:?}");
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(versions_in(&world.store).await, [2; 4]);
    world.check();
}

/// A shadow that counts one too many → the differences are found and shown, and none of its answers is seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_only_compared() {
    let world = World::new(3_000);
    let (running, done) = world.start(1, 2).await;
    for step in STEPS {
        let candidacy = try_out(&running, step, odd(step, 2, 1, 0), Mode::Shadow).await;
        until(|| candidacy.report().differing > 20).await;
        settle(&running, &candidacy, false).await;
        let report = candidacy.report();
        assert_eq!(report.compared, report.differing, "{step}: every answer differs");
        let difference = &report.differences[0];
        let count = |line: &String| {
            let mut words = line.split(' ').filter_map(|word| word.parse::<u64>().ok());
            words.next().expect("a count")
        };
        let (before, after) = (&difference.incumbent[0], &difference.candidate[0]);
        assert_eq!(count(before) + 1, count(after), "{step}: {difference:?}");
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    world.check();
}

/// A canary that numbers rows differently → exactly the rows of its key groups show it, and none after it was called off.
#[tokio::test(flavor = "multi_thread")]
async fn a_canary_answers_for_its_keys() {
    const SURPLUS: u64 = 1_000_000;
    let world = World::new(3_000);
    let (running, done) = world.start(1, 2).await;
    let mode = Mode::Canary { key_groups: 512 };
    let candidacy = try_out(&running, "numbers", odd("numbers", 2, SURPLUS, 0), mode).await;
    until(|| candidacy.report().rows > 100).await;
    settle(&running, &candidacy, false).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    let (mut odd, mut rows) = (0, Vec::new());
    for row in world.vaults["numbers"].rows() {
        let [name, number, time] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let number: u64 = number.parse().expect("a number");
        if number > SURPLUS {
            assert!(key::group(key::hash(name.as_bytes())) < 512, "{row}: a key of the incumbent");
            odd += 1;
        }
        rows.push(format!("{name} {} {time}", number % SURPLUS));
    }
    assert!(odd as u64 >= 100, "{odd} rows are the canary's");
    rows.sort();
    assert_eq!(rows, crate::world::numbered(world.lists.iter().flatten().cloned().collect()));
}

/// A job that is killed while candidates with states of their own are on trial → it goes on with the incumbents and their
/// states.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_does_not_survive_a_restart() {
    let world = World::new(3_000);
    let (running, _done) = world.start(1, 2).await;
    for step in STEPS {
        let candidacy = try_out(&running, step, odd(step, 2, 0, 0), Mode::Probation).await;
        until(|| candidacy.report().compared > 20).await;
    }
    let newest = || async { Journal::new(world.store.clone()).newest().await.expect("whole").expect("one") };
    while !newest().await.steps.values().all(|mark| mark.paired) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stopper().abort(Error::internal("a crash"));
    running.wait().await.expect_err("it was killed");
    let (running, done) = world.start(1, 3).await;
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(versions_in(&world.store).await, [1; 4]);
    world.check();
}

/// A transform on trial in every way, that fails or not → each row is written by one of both, and there once.
#[tokio::test(flavor = "multi_thread")]
async fn transforms() {
    let lists = lists(2_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists.clone());
    let source = job.source(played, 300, Mood::Well);
    let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) });
    let taken = job.keep("out", &[(step, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(2)).await.expect("it starts");
    let modes = [Mode::Shadow, Mode::Canary { key_groups: 512 }, Mode::Probation];
    for (number, mode) in (2..).zip(modes) {
        let version = Version::Transform(Arc::new(tag(number)));
        let candidacy = try_out(&running, "tag", version, mode).await;
        until(|| candidacy.report().rows > 100).await;
        settle(&running, &candidacy, false).await;
        assert_eq!(candidacy.failure(), None, "{mode:?}");
        assert_eq!(candidacy.report().differing > 0, mode == Mode::Shadow, "every value differs");
        let bad = tag(number + 10);
        bad.edition.failures.store(usize::MAX, SeqCst);
        let candidacy = try_out(&running, "tag", Version::Transform(Arc::new(bad)), mode).await;
        candidacy.failed().await;
        settle(&running, &candidacy, false).await;
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    let (rows, mut versions): (Vec<String>, Vec<String>) = taken
        .sorted()
        .into_iter()
        .map(|row| row.rsplit_once(' ').map(|(row, version)| (row.to_owned(), version.to_owned())).expect("a version"))
        .unzip();
    let mut expected: Vec<String> = lists.iter().flatten().map(|(time, key)| format!("{key} {time}")).collect();
    expected.sort();
    let mut rows = rows;
    rows.sort();
    assert_eq!(rows, expected);
    versions.sort();
    versions.dedup();
    assert_eq!(versions, ["1", "3", "4"], "a shadow writes nothing, and who fails nothing either");
}

edition!(Alarms, ProcessPlugin, Process);

impl Process for Alarms {
    /// The state is the number of rows since the last alarm, which goes off 100 ms after the first of them and tells it:
    /// `KEY NUMBER TIME`.
    fn process(&mut self, turn: &Turn<'_>) -> Result<Processed> {
        let count = turn.batch.times.len();
        let mut numbers: Vec<u64> = turn.states.iter().map(|state| number_of(self.edition.number, state)).collect();
        let mut pending: Vec<Vec<i64>> = vec![Vec::new(); turn.keys.len()];
        turn.timers.iter().for_each(|(key, time)| pending[key as usize].push(time));
        let (mut origins, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut fire = |key: usize, until: i64, numbers: &mut Vec<u64>, pending: &mut Vec<Vec<i64>>| {
            while let Some(&due) = pending[key].first().filter(|due| **due <= until) {
                pending[key].remove(0);
                origins.push((count + key) as u32);
                times.push(due);
                let name = String::from_utf8_lossy(turn.keys.get(key)).into_owned();
                values.push(format!("{name} {} {due}", numbers[key] + self.edition.surplus));
                numbers[key] = 0;
            }
        };
        for (&time, &key) in turn.batch.times.iter().zip(turn.groups) {
            let key = key as usize;
            fire(key, time, &mut numbers, &mut pending);
            numbers[key] += 1;
            if pending[key].is_empty() {
                pending[key].push(time + 100);
            }
        }
        (0..turn.keys.len()).for_each(|key| fire(key, turn.watermark, &mut numbers, &mut pending));
        let mut timers = Timers::default();
        (0..).zip(&pending).for_each(|(key, list)| list.iter().for_each(|&time| timers.push(key, time)));
        let stored_of = |number: &u64| if *number == 0 { String::new() } else { stored(self.edition.number, *number) };
        let main =
            Rows { origins: Some(origins), times: Some(times), values: Some(values.iter().collect()), keys: None };
        Ok(Processed { states: numbers.iter().map(stored_of).collect(), timers, main, ..Processed::default() })
    }

    fn migrate(&mut self, from: u32, states: &Binary) -> Result<Binary> {
        migrate(&self.edition, from, states)
    }
}

/// A process with timers whose candidate is tried in every way, promoted and called off, → alarms go off as if one version
/// had run alone.
#[tokio::test(flavor = "multi_thread")]
async fn timers() {
    let alarms = |number| {
        let alarms = Alarms::new(number, Needs { writes_values: true, ..Needs::default() });
        Arc::new(alarms)
    };
    let lists = lists(3_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists.clone());
    let source = job.source(played, 300, Mood::Well);
    let kind = NodeKind::Process { plugin: alarms(1), order: Order::EventTime };
    let step = job.node("alarms", &[(source, Port::Main)], kind);
    let taken = job.keep("out", &[(step, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(3)).await.expect("it starts");
    let trials = [
        (Mode::Probation, 2, false),
        (Mode::Shadow, 3, false),
        (Mode::Canary { key_groups: 512 }, 4, false),
        (Mode::Canary { key_groups: 512 }, 5, true),
        (Mode::Probation, 6, true),
        (Mode::Probation, 6, false),
    ];
    for (mode, number, promote) in trials {
        let candidacy = try_out(&running, "alarms", Version::Process(alarms(number)), mode).await;
        let report = || candidacy.report();
        until(|| report().compared > 100 || report().rows > 200).await;
        assert_eq!((report().differing, report().failure), (0, None), "{mode:?}: {:?}", report().differences);
        settle(&running, &candidacy, promote).await;
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    assert_eq!(taken.sorted(), alarms_of(lists.into_iter().flatten().collect()));
}

/// By brute force: 100 ms after the first row that no alarm has counted, one counts it and those before itself.
fn alarms_of(mut events: Vec<Event>) -> Vec<String> {
    events.sort();
    let mut by_key: std::collections::BTreeMap<String, Vec<i64>> = std::collections::BTreeMap::new();
    events.into_iter().for_each(|(time, key)| by_key.entry(key).or_default().push(time));
    let mut told = Vec::new();
    for (key, mut times) in by_key {
        while let Some(due) = times.first().map(|first| first + 100) {
            let counted = times.iter().take_while(|time| **time < due).count();
            told.push(format!("{key} {counted} {due}"));
            times.drain(..counted);
        }
    }
    told.sort();
    told
}
