//! Versions that have to prove themselves: whatever they do, every row is accounted for, and the incumbent can go on alone.

use crate::editions::*;
use crate::parts::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use wasmill_engine::{Bounds, Candidacy, DeadLetters, Journal, Mode, NodeKind, Port, Running};
use wasmill_stream::Result;
use wasmill_stream::dead_letter::DeadLetter;
use wasmill_stream::guest_ledger::Took;
use wasmill_stream::plugin::*;
use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;
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

async fn try_out(running: &Running, step: &str, version: Version, mode: Mode) -> Arc<Candidacy> {
    running.swapper().try_out(step, version, mode, NO_BOUNDS).await.expect("it fits").0
}

async fn settle(running: &Running, candidacy: &Arc<Candidacy>, promote: bool) {
    running.swapper().settle(candidacy, promote).await.expect("it settles").expect("it was on trial");
}

async fn until(condition: impl Fn() -> bool) {
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

/// Bounds that a candidate breaks → it has failed, with the bound and the figures; one that keeps to all of them has not.
#[tokio::test(flavor = "multi_thread")]
async fn bounds() {
    let lists = lists(4_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists);
    let source = job.source(played, 300, Mood::Well);
    let step = job.node("tag", &[(source, Port::Main)], NodeKind::Transform { plugin: Arc::new(tag(1)) });
    job.keep("out", &[(step, Port::Main)]);
    let running = wasmill_engine::start(job.graph(), options(1)).await.expect("it starts");
    let ledger = running.ledger().step("tag").expect("a step").clone();
    until(|| ledger.counts().read > 1_500).await;
    let bounds = Bounds { rejects: Some(0.1), cpu: Some(5.0), latency: Some(5.0), output: Some((0.9, 1.1)) };
    let nanos = Duration::from_nanos;
    let slow = |cpu, wall| Took { cpu: nanos(cpu), wall: nanos(wall) };
    let candidates: [(_, _, Option<&str>); 5] = [
        (dropping(2, false), slow(10, 10), None),
        (dropping(3, true), slow(10, 10), Some("it gives 0.5")),
        (dropping(4, false), slow(10, 90), Some("it takes 90 ns by the clock a row, and 5 times the 10 ns")),
        (dropping(5, false), slow(90, 10), Some("it takes 90 ns of CPU time a row, and 5 times the 10 ns")),
        (refusing(6), slow(10, 10), Some(" rows, and 0.1 of all is the bound")),
    ];
    for (mut version, per_row, breaks) in candidates {
        version.per_row = per_row;
        let version = Version::Transform(Arc::new(version));
        let (candidacy, _) = running.swapper().try_out("tag", version, Mode::Probation, bounds).await.expect("it fits");
        until(|| candidacy.report().rows > 1_200).await;
        candidacy.judge();
        let reason = candidacy.failure();
        assert_eq!(reason.is_some(), breaks.is_some(), "{reason:?}");
        assert!(reason.iter().all(|reason| reason.contains(breaks.unwrap_or_default())), "{reason:?}");
        settle(&running, &candidacy, false).await;
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
}

/// Steps of every kind whose incumbent and canary refuse all rows → each dead letter names the one that has refused it.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_who_refuses() {
    let lists = lists(2_000);
    let mut job = Job::default();
    let (played, done) = slowly(lists);
    let source = job.source(played, 300, Mood::Well);
    let refusing = |step: &str, number| -> Version {
        let (mut tag, mut count, mut numbering) = (tag(number), count(number), numbering(number));
        for edition in [&mut tag.edition, &mut count.edition, &mut numbering.edition] {
            edition.refuses = true;
        }
        match step {
            "tag" => Version::Transform(Arc::new(tag)),
            "counts" => Version::Aggregate(Arc::new(count)),
            _ => Version::Process(Arc::new(numbering)),
        }
    };
    let (windows, allowed_lateness) = (WindowSpec::Session { gap: Period::from_millis(50) }, Period::default());
    let steps = ["tag", "counts", "numbers"];
    for step in steps {
        let kind = match refusing(step, 1) {
            Version::Transform(plugin) => NodeKind::Transform { plugin },
            Version::Aggregate(plugin) => NodeKind::Aggregate { plugin, windows, allowed_lateness },
            Version::Process(plugin) => NodeKind::Process { plugin, order: Order::EventTime },
        };
        let node = job.node(step, &[(source, Port::Main)], kind);
        job.keep(&format!("{step}_out"), &[(node, Port::Main)]);
    }
    let (dead, mut graph) = (Taken::default(), job.graph());
    let sink = Box::new(Keep { taken: dead.clone(), ..Keep::default() });
    graph.dead_letters = Some(DeadLetters { sink, late: false });
    let running = wasmill_engine::start(graph, options(2)).await.expect("it starts");
    let mut refused = Vec::new();
    for step in steps {
        let mode = Mode::Canary { key_groups: 512 };
        let candidacy = try_out(&running, step, refusing(step, 2), mode).await;
        until(|| candidacy.report().rejects > 100).await;
        settle(&running, &candidacy, false).await;
        assert_eq!(candidacy.failure(), None, "{step}");
        refused.push(candidacy.report().rejects);
    }
    done.set(true);
    assert_balance(&running.wait().await.expect("it ends"));
    let letters: Vec<DeadLetter> =
        dead.sorted().iter().map(|letter| serde_json::from_str(letter).expect("a letter")).collect();
    for (step, refused) in steps.into_iter().zip(refused) {
        let of_step = letters.iter().filter(|letter| letter.step == step);
        let is_canary = |letter: &&DeadLetter| letter.plugin.as_ref().is_some_and(|plugin| plugin.version == "2");
        let (canary, incumbent): (Vec<&DeadLetter>, Vec<&DeadLetter>) = of_step.partition(is_canary);
        assert_eq!((canary.len() as u64, incumbent.is_empty()), (refused, false), "{step}");
        let group = |letter: &DeadLetter| {
            let key = letter.key.as_ref().and_then(|key| key.bytes()).expect("rows have keys");
            key::group(key::hash(&key))
        };
        assert!(canary.into_iter().all(|letter| group(letter) < 512), "{step}: a key of the incumbent");
    }
}

/// A transform whose rows take their time, as its ledger says.
#[derive(Clone)]
struct Drops {
    native: Native,
    edition: Edition,
    per_row: Took,
}

native!(Drops);

impl TransformPlugin for Drops {
    fn instantiate(&self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(self.clone()))
    }
}

/// Drops every second row, or none.
fn dropping(number: u32, drops: bool) -> Drops {
    let edition = Edition { number, surplus: u64::from(drops), ..Edition::default() };
    let native = known(number, Needs { writes_values: true, ..Needs::default() });
    Drops { native, edition, per_row: Took::default() }
}

/// Refuses all rows.
fn refusing(number: u32) -> Drops {
    let mut refusing = dropping(number, false);
    refusing.edition.refuses = true;
    refusing
}

impl Transform for Drops {
    fn transform(&mut self, batch: &View<'_>) -> Result<Transformed> {
        let rows = batch.times.len();
        let (cpu, wall) = (self.per_row.cpu * rows as u32, self.per_row.wall * rows as u32);
        self.native.ledger.call(rows, Took { cpu, wall }, false);
        if self.edition.refuses {
            let main = Rows { origins: Some(Vec::new()), values: Some(Binary::default()), ..Rows::default() };
            return Ok(Transformed { main, rejects: self.edition.refusals(rows), ..Transformed::default() });
        }
        let step = self.edition.surplus as usize + 1;
        let origins: Vec<u32> = (0..batch.times.len() as u32).step_by(step).collect();
        let values = origins.iter().map(|_| "x").collect();
        Ok(Transformed {
            main: Rows { origins: Some(origins), values: Some(values), ..Rows::default() },
            ..Transformed::default()
        })
    }
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
